"""What a recipe costs on any device: examples, operations, and how finely they are cut."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from softshare import data
from softshare.counting import count
from softshare.models import build
from softshare.models.path_network import PathNetwork
from softshare.recipe import PATH_MODELS, PATHS, Recipe
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
    """

    examples: int
    flops: float
    scored: int
    grain: float

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
    train, scored, shape = _sizes(recipe.data)
    train = recipe.examples or train
    if recipe.data == PATHS and PathTask.recalibrated:
        scored += scored + min(EACH_EPOCH * recipe.batch_size, train)
    macs, layers = _macs(recipe.model, shape)
    flops = 6.0 * macs
    return Cost(train, flops, scored, flops * min(recipe.batch_size, train) / layers)


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
    if name in _SIZES:
        return _SIZES[name]
    train, test = data.load(name, download=False)
    return len(train), len(test), tuple(train.images.shape[1:])


@lru_cache(maxsize=256)
def _macs(model: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """MACs of an example, and layers; those of the plain twin, which are the shared one's too."""
    plain = "cnn" if model in PATH_MODELS else "-".join(model.removeprefix("s").split("-")[:3])
    with torch.device("meta"):
        build(model)
        net = build(plain, in_channels=shape[0])
        layers = sum(not any(module.children()) for module in net.modules())
        return count(net, shape).macs or 0, layers
