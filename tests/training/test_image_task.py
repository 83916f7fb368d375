"""Images as a task: augmentation by the recipe, loss and error by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from softshare import data
from softshare.recipe import Recipe
from softshare.training.image_task import ImageTask

CPU = torch.device("cpu")
IMAGES = Recipe("wrn-10-1", "tiny", batch_size=16, cutout=3)
pytestmark = pytest.mark.usefixtures("tiny_images")


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
    sets = tuple(replace(s, name="digits-q50") for s in sets)
    list(ImageTask(replace(IMAGES, data="digits-q50"), CPU).batches(0))
    assert seen[-1]["flip"] is False, "nor are they as JPEG"


def test_the_loss_of_images_is_cross_entropy() -> None:
    logits, labels = torch.randn(7, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 4, 0, 2])
    chances = logits.exp() / logits.exp().sum(1, keepdim=True)
    by_hand = -sum(math.log(chances[i, label]) for i, label in enumerate(labels)) / 7
    assert ImageTask(IMAGES, CPU).loss(logits, labels).item() == pytest.approx(by_hand, rel=1e-5)


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
    error = ImageTask(IMAGES, CPU).scores(lambda x: x.flatten(1) @ weight, 0)["test_error"]
    assert error == pytest.approx(100 * wrong / 600)
    assert 0 < error < 100


def test_a_subset_is_the_same_for_every_seed_and_has_the_statistics_of_the_whole() -> None:
    few = [ImageTask(replace(IMAGES, examples=20, seed=seed), CPU) for seed in (0, 1)]
    assert torch.equal(few[0].images, few[1].images)
    whole = {tuple(image.flatten().tolist()) for image in data.load("tiny")[0].images}
    kept = {tuple(image.flatten().tolist()) for image in few[0].images}
    assert len(kept) == 20
    assert kept < whole
    assert torch.equal(few[0].moments["mean"], data.load("tiny")[0].mean)
    assert few[0].facts() | {"train": 50} == ImageTask(IMAGES, CPU).facts()


def test_facts_tell_images_apart() -> None:
    train, _ = data.load("tiny")
    assert ImageTask(IMAGES, CPU).facts() == {
        "name": "tiny",
        "checksum": train.checksum,
        "train": 50,
        "test": 600,
    }
