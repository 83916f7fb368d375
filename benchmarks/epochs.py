"""softshare's own step, an epoch at a time: what is measured is what trains the records."""

from __future__ import annotations

from typing import Any

import torch
from generated import NAME, image_task
from torch import Tensor

import softshare as ss
from softshare.models import build
from softshare.recipe import Recipe, for_profile
from softshare.sharing import banks
from softshare.training.engine import engine_for, tuned
from softshare.training.precision import name_of, precision_for
from softshare.training.random_streams import seeded
from softshare.training.step import Step
from softshare.training.tasks import Task, predictor, task_for


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
        engine: how steps are driven. Default: as a run of the recipe in full would choose.
    """

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        steps: int = 0,
        engine: str | None = None,
    ) -> None:
        self.device = device
        self.task: Task = (
            image_task(recipe, device, steps * recipe.batch_size)
            if recipe.data == NAME
            else task_for(recipe, device)
        )
        with seeded(recipe.seed, device):
            net = build(recipe.model, init=recipe.init, **self.task.model_settings)
        flops = 6.0 * (ss.count(net, self.task.input_shape).macs or 0) * recipe.batch_size
        self.precision = precision_for(device, flops)
        self.engine = engine_for(device, flops, _STEPS, engine)
        self.step = Step(net, recipe, self.task.loss, device, self.precision, self.engine)
        self.net = self.step.net

    def __call__(self) -> None:
        self.net.train()
        with tuned(self.device):
            for inputs, targets in self.task.batches(0):
                self.step(inputs, targets)

    def evaluate(self, inputs: Tensor) -> Tensor:
        """Outputs of a batch, as they are made for the score that ends an epoch."""
        return predictor(self.net, self.precision)(inputs)

    @property
    def about(self) -> str:
        """What this is, in words; after the first call, with the engine that really ran."""
        fused = any(bank.fused for bank in banks(self.net).values())
        mixing = ", weights in one pass over memory" if fused else ""
        how = f"{name_of(self.precision)}, channels last, {self.step.engine}"
        return f"softshare's step, {how}{mixing}"


_STEPS = 200 * 391  # of a run of the paper, which decide whether compiling is worth its time
