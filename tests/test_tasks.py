"""What a run learns from: batches by seed and epoch alone, losses and scores by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from softshare import data, shortest_paths, tasks
from softshare.image_set import Splits, image_sets
from softshare.recipe import Recipe, for_profile
from softshare.tasks import ImageTask, PathTask, predictor, task_for

CPU = torch.device("cpu")
IMAGES = Recipe("wrn-10-1", "tiny", batch_size=16, cutout=3)
PATHS = for_profile("scnn", profile="smoke", examples=40, batch_size=16, epochs=2)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image set of 50 + 600 images, and 30 held-out examples a phase."""
    draw = np.random.default_rng(0)

    def split(n: int) -> tuple[np.ndarray, np.ndarray]:
        images = draw.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8)
        return images, draw.integers(0, 5, n)

    sets = image_sets("tiny", Splits(tuple("abcde"), split(50), split(600)))
    monkeypatch.setattr(data, "load", lambda name, root=None: sets)
    monkeypatch.setattr(tasks, "_HELD_OUT", 30)


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


def test_images_are_augmented_as_the_recipe_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding an eighth of the image, 4 of 32 as in the paper; digits are not mirrored."""
    seen: list[dict[str, Any]] = []

    def note(images: Tensor, generator: torch.Generator, **settings: Any) -> Tensor:
        seen.append(settings)
        return images

    monkeypatch.setattr(data, "augment", note)
    list(ImageTask(IMAGES, CPU).batches(0))
    train, _ = data.load("tiny")
    for settings in seen:
        assert (settings["flip"], settings["crop"], settings["cutout"]) == (True, 2, 3)
        assert torch.equal(settings["mean"], train.mean)
        assert torch.equal(settings["std"], train.std)
    sets = tuple(replace(s, name="digits") for s in data.load("tiny"))
    monkeypatch.setattr(data, "load", lambda name, root=None: sets)
    list(ImageTask(replace(IMAGES, data="digits"), CPU).batches(0))
    assert seen[-1]["flip"] is False


def test_the_loss_of_images_is_cross_entropy() -> None:
    logits, labels = torch.randn(7, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 4, 0, 2])
    chances = logits.exp() / logits.exp().sum(1, keepdim=True)
    by_hand = -sum(math.log(chances[i, label]) for i, label in enumerate(labels)) / 7
    assert ImageTask(IMAGES, CPU).loss(logits, labels).item() == pytest.approx(by_hand, rel=1e-5)


def test_the_loss_of_paths_is_cross_entropy_of_each_cell() -> None:
    logits = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    targets = (torch.rand(3, 1, 4, 4) > 0.7).float()
    p = 1 / (1 + (-logits).exp())
    by_hand = -(targets * p.log() + (1 - targets) * (1 - p).log()).sum().item() / 48
    assert PathTask(PATHS, CPU).loss(logits, targets).item() == pytest.approx(by_hand, rel=1e-5)


def test_the_loss_is_taken_in_float32_whatever_the_network_computes_in() -> None:
    logits, labels = torch.full((2, 5), 300.0).bfloat16(), torch.tensor([0, 1])
    assert ImageTask(IMAGES, CPU).loss(logits, labels).dtype == torch.float32
    assert PathTask(PATHS, CPU).loss(logits, torch.ones(2, 5)).dtype == torch.float32


def test_the_test_error_counts_the_wrong_images_of_the_whole_test_set() -> None:
    """600 test images in batches of 500: the last batch is smaller."""
    torch.manual_seed(0)
    weight = torch.randn(3 * 16 * 16, 5)
    train, test = data.load("tiny")
    wrong = 0
    for image, label in zip(test.images, test.labels, strict=True):
        pixels = (image / 255 - train.mean[:, None, None]) / train.std[:, None, None]
        scores = pixels.flatten().double() @ weight.double()
        wrong += int(scores.argmax() != label)
    error = ImageTask(IMAGES, CPU).score(lambda x: x.flatten(1) @ weight, 0)
    assert error == pytest.approx(100 * wrong / 600)
    assert 0 < error < 100


def test_f1_counts_cells_of_all_held_out_examples_of_the_phase() -> None:
    """A guess that draws the row of one query and the column of the other, against sets."""
    task = PathTask(PATHS, CPU)

    def guess(inputs: Tensor) -> Tensor:
        queries = inputs[:, :1]
        return queries.amax(2, keepdim=True) + queries.amax(3, keepdim=True) - 0.5

    for phase in (0, 4):
        inputs, targets = task.examples(phase, held_out=True)
        cells = {tuple(c) for c in targets.nonzero().tolist()}
        guessed = {tuple(c) for c in (guess(inputs.float()) > 0).nonzero().tolist()}
        f1 = 2 * len(cells & guessed) / (len(cells) + len(guessed))
        score = task.score(guess, phase * PATHS.epochs)
        assert score == pytest.approx(f1)
        assert 0 < score < 1


def test_a_phase_draws_its_queries_in_its_window_and_holds_others_out() -> None:
    task = PathTask(PATHS, CPU)
    for phase, window in enumerate(shortest_paths.WINDOWS):
        train, held_out = (task.examples(phase, h)[0][:, 0] for h in (False, True))
        reach = [
            int((cells[0] - cells[1]).abs().max())
            for cells in (grid.nonzero() for grid in torch.cat((train, held_out)))
        ]
        assert max(reach) <= window // 2
        assert max(reach) > window // 2 - 2, "far pairs occur"
        rows = {tuple(grid.flatten().tolist()) for grid in train}
        assert len(rows & {tuple(grid.flatten().tolist()) for grid in held_out}) <= len(rows) // 4
        epochs = range(phase * PATHS.epochs, (phase + 1) * PATHS.epochs)
        for epoch in epochs:
            inputs = torch.cat([x for x, _ in task.batches(epoch)])[:, 0]
            assert {tuple(grid.flatten().tolist()) for grid in inputs.to(torch.uint8)} == rows


def test_a_subset_is_the_same_for_every_seed_and_has_the_statistics_of_the_whole() -> None:
    few = [ImageTask(replace(IMAGES, examples=20, seed=seed), CPU) for seed in (0, 1)]
    assert torch.equal(few[0].images, few[1].images)
    whole = {tuple(image.flatten().tolist()) for image in data.load("tiny")[0].images}
    kept = {tuple(image.flatten().tolist()) for image in few[0].images}
    assert len(kept) == 20
    assert kept < whole
    assert torch.equal(few[0].moments["mean"], data.load("tiny")[0].mean)
    assert few[0].facts() | {"train": 50} == ImageTask(IMAGES, CPU).facts()


def test_facts_tell_images_apart_and_count_all_phases() -> None:
    train, _ = data.load("tiny")
    assert ImageTask(IMAGES, CPU).facts() == {
        "name": "tiny",
        "checksum": train.checksum,
        "train": 50,
        "test": 600,
    }
    facts = PathTask(PATHS, CPU).facts()
    assert (facts["train"], facts["test"]) == (5 * 40, 5 * 30)
    assert facts != PathTask(replace(PATHS, seed=1), CPU).facts()


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
