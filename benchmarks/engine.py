"""softshare's own training, an epoch at a time: what is measured is what trains the records."""

from __future__ import annotations

from typing import Any

import torch
from generated import NAME, image_task
from torch import Tensor

from softshare.models import build
from softshare.precision import seeded
from softshare.recipe import Recipe, for_profile
from softshare.step import Step
from softshare.tasks import Task, predictor, task_for


def image_recipe(model: str, **settings: Any) -> Recipe:
    """The paper's recipe (Section 4.1) for generated images."""
    return for_profile(model, NAME, **settings)


def title(model: str) -> str:
    """A model as the paper writes it: WRN 28-10."""
    return model.upper().replace("RN-", "RN ")


class Epochs:
    """The steps of an epoch a call.

    Args:
        recipe: what to train.
        device: where.
        steps: steps a call, on as many batches of generated images; for the shortest-path task
            the recipe's own examples.
        compiled: whether the network is compiled.
    """

    def __init__(
        self, recipe: Recipe, device: torch.device, steps: int = 0, compiled: bool = False
    ) -> None:
        self.task: Task = (
            image_task(recipe, device, steps * recipe.batch_size)
            if recipe.data == NAME
            else task_for(recipe, device)
        )
        with seeded(recipe.seed, device):
            net = build(recipe.model, init=recipe.init, **self.task.model_settings)
        self.step = Step(net, recipe, self.task.loss, device)
        self.net, self.precision = self.step.net, self.step.precision
        if compiled:
            self.net.compile()
        kind = str(self.precision).removeprefix("torch.")
        self.about = f"softshare's training, {kind}, channels last"

    def __call__(self) -> None:
        self.net.train()
        for inputs, targets in self.task.batches(0):
            self.step(inputs, targets)

    def evaluate(self, inputs: Tensor) -> Tensor:
        """Outputs of a batch, as they are made for the score that ends an epoch."""
        return predictor(self.net, self.precision)(inputs)
