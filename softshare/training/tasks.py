"""What a run learns: batches, a loss and a score."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from softshare.recipe import PATHS, Recipe, streams
from softshare.records import Run
from softshare.training.image_task import ImageTask
from softshare.training.path_task import PathTask
from softshare.training.precision import autocast
from softshare.training.processes import ALONE, Processes
from softshare.training.stream_task import StreamTask


class Task(Protocol):
    """A task, ready on a device. Batches depend on recipe and epoch alone."""

    metrics: tuple[str, ...]  # the first is the one that a run is judged by
    recalibrated: bool  # whether they are also told with batch normalisation estimated anew
    model_settings: dict[str, Any]
    input_shape: tuple[int, ...]
    steps: int

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of the steps of an epoch, counted from 0.

        Where several processes train a network, all targets, and all inputs or those of the part
        of this one.
        """

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What a step minimises."""

    def scores(self, predict: Callable[[Tensor], Tensor], epoch: int) -> dict[str, float]:
        """The metrics on examples that are not trained on."""

    def facts(self) -> dict[str, Any]:
        """The record's ``data``."""


def task_for(
    recipe: Recipe,
    device: torch.device,
    source: str | Path | None = None,
    processes: Processes = ALONE,
) -> Task:
    """The task of a recipe; `source` is a file or folder to read its image set from."""
    if recipe.data == PATHS:
        return PathTask(recipe, device)
    if streams(recipe.model):
        return StreamTask(recipe, device, source, processes)
    return ImageTask(recipe, device, source)


def check_images(run: Run, task: Task) -> None:
    """Refuses a task of other images than those with which a record was made.

    Raises:
        ValueError: their checksums differ.
    """
    if run.data["checksum"] != task.facts()["checksum"]:
        raise ValueError(
            f"The record {run.path} was made with other images of the name {run.recipe.data!r}. "
            "Name those as the source, or give one of the two sets another name."
        )


def predictor(net: nn.Module, precision: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The network as a function for evaluation: eval mode, no gradient, in `precision`."""

    def predict(inputs: Tensor) -> Tensor:
        with torch.no_grad(), autocast(inputs.device, precision):
            return net(inputs)

    net.eval()
    return predict
