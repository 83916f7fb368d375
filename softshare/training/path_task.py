"""The task of Section 4.4: shortest paths are marked, by curriculum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from softshare import shortest_paths
from softshare.data.image_set import checksum
from softshare.recipe import PATHS, Recipe
from softshare.training.random_streams import epoch_stream

HELD_OUT = 1000
"""Examples of a phase on which the network is scored."""

_SCORED = 500  # grids at once


class PathTask:
    """Shortest paths by curriculum (Section 4.4): cross-entropy per cell, F1 on held-out examples.

    The paper names neither loss nor batch size nor what is evaluated on. Here: binary
    cross-entropy, averaged over all cells; 50 examples a step; F1 over all cells of 1 000
    examples drawn like the current phase's, from seeds of their own. At this learning rate the
    running averages of batch normalisation trail far behind the weights, so that F1 is told a
    second time with these estimated anew from 10 batches of training examples.
    """

    metrics: tuple[str, ...] = ("f1",)
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
            n = HELD_OUT if held_out else self.recipe.examples
            drawn = shortest_paths.phase(phase + 1, n, seed=self.recipe.seed, held_out=held_out)
            inputs, targets = (t.to(self.device) for t in drawn)
            self._drawn[held_out] = (phase, (inputs, targets))
        return self._drawn[held_out][1]

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        inputs, targets = self.examples(self.recipe.phase_at(epoch))
        generator = epoch_stream(self.recipe, epoch, self.device)
        order = torch.randperm(len(inputs), generator=generator, device=self.device)
        for rows in order.split(self.recipe.batch_size):
            yield inputs[rows].float(), targets[rows].float()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs.float(), targets)

    def scores(self, predict: Callable[[Tensor], Tensor], epoch: int) -> dict[str, float]:
        inputs, targets = self.examples(self.recipe.phase_at(epoch), held_out=True)
        batches = inputs.split(_SCORED)
        logits = torch.cat([predict(batch.float()) for batch in batches])
        return {"f1": shortest_paths.f1(logits, targets).item()}

    def facts(self) -> dict[str, Any]:
        inputs, targets = self.examples(0)
        return {
            "name": PATHS,
            "checksum": checksum(inputs.cpu().numpy(), targets.cpu().numpy()),
            "train": self.recipe.examples * self.recipe.phases,
            "test": HELD_OUT * self.recipe.phases,
        }
