"""What a recipe costs on any device: examples, operations, and how finely they are cut."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from softshare import data
from softshare.counting import count
from softshare.data.compression import quality
from softshare.data.inventory import files
from softshare.models import build
from softshare.models.path_network import PathNetwork
from softshare.recipe import PATH_MODELS, PATHS, Recipe
from softshare.sharing import banks
from softshare.training.folded_score import most_passes, passes
from softshare.training.path_task import HELD_OUT, PathTask
from softshare.training.recalibration import EACH_EPOCH

_SIZES = {  # training images, test images, shape
    "cifar10": (50_000, 10_000, (3, 32, 32)),
    "cifar10-jpeg": (50_000, 10_000, (3, 32, 32)),
    "cifar100": (50_000, 10_000, (3, 32, 32)),
    "digits": (1438, 359, (1, 8, 8)),
    "imagenet": (1_281_167, 50_000, (3, 224, 224)),
}


@dataclass(frozen=True)
class Cost:
    """What an epoch of a recipe takes, by the formula of the field.

    Attributes:
        examples: trained on in an epoch.
        flops: of training on one of them: forward once, backward twice, two FLOP a MAC.
        scored: examples that pass at its end, forward alone: those held out, and again, with those
            before them from which batch normalisation is estimated anew, where the task asks for
            it.
        grain: FLOP of a training step a layer. The finer, the further from a device's best speed.
        folding: FLOP of measuring at the end what folding costs, at as many thresholds as there
            can be; 0 where it is not measured.
    """

    examples: int
    flops: float
    scored: int
    grain: float
    folding: float = 0.0

    @property
    def epoch(self) -> float:
        """FLOP of an epoch."""
        return self.flops * (self.examples + self.scored / 3)


def cost(recipe: Recipe) -> Cost:
    """The cost of an epoch.

    Raises:
        ValueError: an unknown model, or a data set of unknown size.
        FileNotFoundError: a data set that has to be looked at, and is not there.

    Example:
        >>> found = cost(Recipe("swrn-28-10-2"))
        >>> f"{found.flops / 1e9:.1f} GFLOP an image"
        '31.5 GFLOP an image'
    """
    train, held_out, shape = _sizes(recipe.data)
    train, scored = recipe.examples or train, held_out
    if recipe.data == PATHS and PathTask.recalibrated:
        scored += scored + min(EACH_EPOCH * recipe.batch_size, train)
    macs, layers = _macs(recipe.model, shape)
    flops = 6.0 * macs
    each, bound = passes(recipe, train, held_out), most_passes(recipe, train)
    foldings = () if recipe.tune else _foldings(recipe.model)
    measured = max((n * each for n in foldings if n * each <= bound), default=0.0)
    grain = flops * min(recipe.batch_size, train) / layers
    return Cost(train, flops, scored, grain, flops / 3 * measured)


def flops(recipe: Recipe) -> float:
    """Training alone, without any scoring: FLOP of a whole run.

    Example:
        >>> f"{flops(Recipe('wrn-28-10')) / 1e18:.2f} EFLOP"
        '0.31 EFLOP'
    """
    found = cost(recipe)
    return found.flops * found.examples * recipe.total_epochs


def _sizes(name: str) -> tuple[int, int, tuple[int, ...]]:
    if name == PATHS:
        return 0, HELD_OUT, PathNetwork.input_shape
    name, _ = quality(name)
    if name in _SIZES:
        return _SIZES[name]
    about = [(path, path.stat()) for path in files(name)]
    return _counted(name, tuple((path, at.st_size, at.st_mtime_ns) for path, at in about))


@lru_cache(maxsize=32)
def _counted(name: str, stamp: tuple[Any, ...]) -> tuple[int, int, tuple[int, ...]]:
    """Sizes of a set that has to be read for it; once, as long as its files stay the same."""
    train, test = data.load(name, download=False)
    return len(train), len(test), tuple(train.images.shape[1:])


@lru_cache(maxsize=256)
def _macs(model: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """MACs of an example, and layers; those of the plain twin, which are the shared one's too."""
    plain = "cnn" if model in PATH_MODELS else "-".join(model.removeprefix("s").split("-")[:3])
    with torch.device("meta"):
        net = build(plain, in_channels=shape[0])
        layers = sum(not any(module.children()) for module in net.modules())
        return count(net, shape).macs or 0, layers


@lru_cache(maxsize=256)
def _foldings(model: str) -> tuple[int, int]:
    """Foldings of a network at most: all groups together, and with each of several alone."""
    with torch.device("meta"):
        shapes = [bank.coefficients.shape for bank in banks(build(model)).values()]  # (L, k) each
    grow = sum(layers - 1 for layers, k in shapes if k > 1)
    whole = (1 + grow) * min(len(shapes), 1)
    return whole, whole + grow * (len(shapes) > 1)
