"""What a run learns: batches, loss and score of images and of shortest paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softshare import data, shortest_paths
from softshare.image_set import checksum
from softshare.precision import autocast
from softshare.recipe import PATHS, Recipe

_EVALUATION_BATCH = 500
_HELD_OUT = 1000  # examples a phase


class Task(Protocol):
    """A task, ready on a device. Batches depend on recipe and epoch alone."""

    metric: str
    recalibrated: bool  # whether the metric is also told with batch normalisation estimated anew
    model_settings: dict[str, Any]
    input_shape: tuple[int, ...]
    steps: int

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of the steps of an epoch, counted from 0."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What a step minimises."""

    def score(self, predict: Callable[[Tensor], Tensor], epoch: int) -> float:
        """The metric on examples that are not trained on."""

    def facts(self) -> dict[str, Any]:
        """The record's ``data``."""


def task_for(
    recipe: Recipe, device: torch.device, source: str | Path | None = None, root: Path | None = None
) -> Task:
    """The task of a recipe; `source` is a file or folder to read its image set from."""
    if recipe.data == PATHS:
        return PathTask(recipe, device)
    return ImageTask(recipe, device, source, root)


class ImageTask:
    """Image classification (Section 4.1): cross-entropy, test error in per cent.

    Padding of the random crop is an eighth of the image, 4 pixels of 32 as in the paper. Digits
    are not mirrored: a mirrored digit is another sign.
    """

    metric = "test_error"
    recalibrated = False

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        source: str | Path | None = None,
        root: Path | None = None,
    ) -> None:
        train, test = (s.to(device) for s in data.load(str(source or recipe.data), root))
        if train.name != recipe.data:
            raise ValueError(
                f"The recipe is for {recipe.data!r}, and {source} holds {train.name!r}; variants "
                f"are never mixed. Pass data={train.name!r}."
            )
        if recipe.examples:
            if recipe.examples > len(train):
                raise ValueError(
                    f"{recipe.data} has {len(train)} training examples; got "
                    f"examples={recipe.examples}. Pass 0 for all."
                )
            chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
            chosen = chosen[: recipe.examples].to(device)
            self.images, self.labels = train.images[chosen], train.labels[chosen]
        else:
            self.images, self.labels = train.images, train.labels
        self.recipe, self.test, self.device = recipe, test, device
        self.moments: dict[str, Any] = {"mean": train.mean, "std": train.std}
        self.augmentation: dict[str, Any] = {
            "flip": recipe.data != "digits",
            "crop": train.images.shape[-1] // 8,
            "cutout": recipe.cutout,
        }
        self.input_shape = tuple(train.images.shape[1:])
        self.model_settings = {
            "num_classes": train.num_classes,
            "in_channels": self.input_shape[0],
            "dropout": recipe.dropout,
        }
        self.steps = -(-len(self.images) // recipe.batch_size)
        self.checksum = train.checksum

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = _generator(self.recipe.seed, self.recipe.begin + epoch, self.device)
        order = torch.randperm(len(self.images), generator=generator, device=self.device)
        for rows in order.split(self.recipe.batch_size):
            images = self.images[rows]
            yield (
                data.augment(images, generator, **self.moments, **self.augmentation),
                self.labels[rows],
            )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.float(), targets)

    def score(self, predict: Callable[[Tensor], Tensor], epoch: int) -> float:
        wrong = torch.zeros((), device=self.device)
        test = zip(
            self.test.images.split(_EVALUATION_BATCH),
            self.test.labels.split(_EVALUATION_BATCH),
            strict=True,
        )
        for images, labels in test:
            wrong += (predict(data.normalise(images, **self.moments)).argmax(1) != labels).sum()
        return 100 * wrong.item() / len(self.test)

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.recipe.data,
            "checksum": self.checksum,
            "train": len(self.images),
            "test": len(self.test),
        }


class PathTask:
    """Shortest paths by curriculum (Section 4.4): cross-entropy per cell, F1 on held-out examples.

    The paper names neither loss nor batch size nor what is evaluated on. Here: binary
    cross-entropy, averaged over all cells; 50 examples a step; F1 over all cells of 1 000
    examples drawn like the current phase's, from seeds of their own. At this learning rate the
    running averages of batch normalisation trail far behind the weights, so that F1 is told a
    second time with these estimated anew from 10 batches of training examples.
    """

    metric = "f1"
    recalibrated = True
    input_shape: tuple[int, ...] = (2, 32, 32)

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if recipe.phases > len(shortest_paths.WINDOWS):
            raise ValueError(
                f"The curriculum has up to {len(shortest_paths.WINDOWS)} phases; got "
                f"phases={recipe.phases}."
            )
        if not recipe.examples:
            raise ValueError("The shortest-path task draws its examples; pass examples=5000, say.")
        self.recipe, self.device = recipe, device
        self.model_settings: dict[str, Any] = {"dropout": recipe.dropout}
        self.steps = -(-recipe.examples // recipe.batch_size)
        self._drawn: dict[bool, tuple[int, tuple[Tensor, Tensor]]] = {}

    def examples(self, phase: int, held_out: bool = False) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a phase, counted from 0, uint8."""
        if self._drawn.get(held_out, (-1,))[0] != phase:
            n = _HELD_OUT if held_out else self.recipe.examples
            drawn = shortest_paths.phase(phase + 1, n, seed=self.recipe.seed, held_out=held_out)
            inputs, targets = (t.to(self.device) for t in drawn)
            self._drawn[held_out] = (phase, (inputs, targets))
        return self._drawn[held_out][1]

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        inputs, targets = self.examples(self.recipe.phase_at(epoch))
        generator = _generator(self.recipe.seed, self.recipe.begin + epoch, self.device)
        order = torch.randperm(len(inputs), generator=generator, device=self.device)
        for rows in order.split(self.recipe.batch_size):
            yield inputs[rows].float(), targets[rows].float()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs.float(), targets)

    def score(self, predict: Callable[[Tensor], Tensor], epoch: int) -> float:
        inputs, targets = self.examples(self.recipe.phase_at(epoch), held_out=True)
        batches = inputs.split(_EVALUATION_BATCH)
        logits = torch.cat([predict(batch.float()) for batch in batches])
        return shortest_paths.f1(logits, targets).item()

    def facts(self) -> dict[str, Any]:
        inputs, targets = self.examples(0)
        return {
            "name": PATHS,
            "checksum": checksum(inputs.cpu().numpy(), targets.cpu().numpy()),
            "train": self.recipe.examples * self.recipe.phases,
            "test": _HELD_OUT * self.recipe.phases,
        }


def _generator(seed: int, epoch: int, device: torch.device) -> torch.Generator:
    """A stream of random numbers for one epoch: a resumed run draws what it would have drawn."""
    return torch.Generator(device).manual_seed((seed * 1_000_003 + epoch + 1) % 2**63)


def predictor(net: nn.Module, precision: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The network as a function for evaluation: eval mode, no gradient, in `precision`."""

    def predict(inputs: Tensor) -> Tensor:
        with torch.no_grad(), autocast(inputs.device, precision):
            return net(inputs)

    net.eval()
    return predict
