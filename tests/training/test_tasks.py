"""What a run learns from: batches by seed and epoch alone, whatever the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from softshare import data
from softshare.recipe import Recipe, for_profile
from softshare.training.image_task import ImageTask
from softshare.training.path_task import PathTask
from softshare.training.tasks import predictor, task_for

CPU = torch.device("cpu")
IMAGES = Recipe("wrn-10-1", "tiny", batch_size=16, cutout=3)
PATHS = for_profile("scnn", profile="smoke", examples=40, batch_size=16, epochs=2)
pytestmark = pytest.mark.usefixtures("tiny_images")


def drawn(recipe: Recipe, epoch: int) -> list[Tensor]:
    """Inputs and targets of an epoch, from a new task."""
    return [tensor for batch in task_for(recipe, CPU).batches(epoch) for tensor in batch]


def equal(one: list[Tensor], two: list[Tensor]) -> bool:
    return len(one) == len(two) and all(map(torch.equal, one, two))


@pytest.mark.parametrize("recipe", [IMAGES, PATHS], ids=["images", "paths"])
def test_batches_depend_on_seed_and_epoch_alone(recipe: Recipe) -> None:
    before = [drawn(recipe, epoch) for epoch in range(3)]
    torch.rand(99)
    task = task_for(replace(recipe, lr=0.5), CPU)
    next(iter(task.batches(5 % recipe.total_epochs)))  # left in the middle, as by a kill
    again = [[t for batch in task.batches(epoch) for t in batch] for epoch in (2, 0, 1)]
    assert all(map(equal, again, [before[2], before[0], before[1]]))
    others = [drawn(replace(recipe, seed=seed), 0) for seed in (1, 2**27)]
    different = [*before, *others]
    assert not any(equal(a, b) for i, a in enumerate(different) for b in different[:i])


@pytest.mark.parametrize("recipe", [IMAGES, PATHS], ids=["images", "paths"])
def test_an_epoch_sees_every_example_once_in_batches_of_the_asked_size(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "augment", lambda images, generator, **settings: images)
    task: Any = task_for(recipe, CPU)
    inputs, targets = (
        (task.images, task.labels) if isinstance(task, ImageTask) else task.examples(0)
    )
    for epoch in range(2):
        batches = list(task.batches(epoch))
        assert [len(x) for x, _ in batches] == [16] * (len(inputs) // 16) + [len(inputs) % 16]
        assert len(batches) == task.steps
        seen = torch.cat([torch.cat((x.flatten(1), y.reshape(len(y), -1)), 1) for x, y in batches])
        there = torch.cat((inputs.flatten(1), targets.reshape(len(targets), -1)), 1)
        assert sorted(seen.tolist()) == sorted(there.tolist())


def test_the_loss_is_taken_in_float32_whatever_the_network_computes_in() -> None:
    logits, labels = torch.full((2, 5), 300.0).bfloat16(), torch.tensor([0, 1])
    assert ImageTask(IMAGES, CPU).loss(logits, labels).dtype == torch.float32
    assert PathTask(PATHS, CPU).loss(logits, torch.ones(2, 5)).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: task_for(replace(IMAGES, examples=51), CPU),
            r"tiny has 50 training examples; got examples=51\. Pass 0 for all\.",
        ),
        (
            lambda: task_for(replace(IMAGES, data="other"), CPU, Path("tiny.zip")),
            r"for 'other', and tiny\.zip holds 'tiny'; .* Pass data='tiny'\.",
        ),
        (lambda: task_for(replace(PATHS, phases=6), CPU), "up to 5 phases; got phases=6"),
        (lambda: task_for(replace(PATHS, examples=0), CPU), "pass examples=5000, say"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_prediction_is_in_eval_mode_without_gradient() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.9))
    outputs = predictor(net.train(), torch.float32)(torch.ones(2, 4))
    assert not outputs.requires_grad
    assert torch.equal(outputs, net[0](torch.ones(2, 4)))
