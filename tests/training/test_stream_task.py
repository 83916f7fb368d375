"""Photographs as a task: what a step is given, what is scored, runs that resume and share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

import softshare as ss
from softshare.data.colour import MEAN, STD
from softshare.recipe import Recipe, for_profile
from softshare.training import train
from softshare.training.loop import Training
from softshare.training.processes import Processes
from softshare.training.stream_task import StreamTask
from softshare.training.tasks import task_for

CPU = torch.device("cpu")
PHOTOS = for_profile("swrn-50-2", "photos", batch_size=4)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A twelfth of the arithmetic."""
    monkeypatch.setattr(StreamTask, "side", 64)


def task(folder: Path, recipe: Recipe = PHOTOS, processes: Processes | None = None) -> StreamTask:
    return StreamTask(recipe, CPU, folder, processes=processes or Processes())


def test_networks_of_depth_50_read_files(photo_folder: Callable[..., Path]) -> None:
    found = task_for(PHOTOS, CPU, photo_folder())
    assert isinstance(found, StreamTask)
    assert found.model_settings == {"num_classes": 3, "dropout": 0.0}
    assert found.input_shape == (3, 64, 64)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(
    photo_folder: Callable[..., Path],
) -> None:
    ours = task(photo_folder(train=11))
    assert ours.steps == 3
    labels = []
    for epoch in (0, 1, 1):
        batches = list(ours.batches(epoch))
        assert [len(images) for images, _ in batches] == [4, 4, 3]
        assert all(images.shape[1:] == (3, 64, 64) for images, _ in batches)
        labels.append(torch.cat([targets for _, targets in batches]))
    assert all(torch.equal(each.sort().values, ours.train.labels) for each in labels)
    assert not torch.equal(labels[0], labels[1])
    assert torch.equal(labels[1], labels[2])


def test_batches_follow_from_recipe_and_epoch(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder()
    first, again = (list(task(folder).batches(3)) for _ in range(2))
    other = list(task(folder, replace(PHOTOS, seed=1)).batches(3))
    for ours, same, different in zip(first, again, other, strict=True):
        assert torch.equal(ours[0], same[0])
        assert not torch.equal(ours[0], different[0])


def test_parts_of_a_batch_are_those_that_one_process_would_see(
    photo_folder: Callable[..., Path],
) -> None:
    folder = photo_folder(train=7)
    alone = list(task(folder).batches(0))
    parts = [list(task(folder, processes=Processes(rank, 2)).batches(0)) for rank in (0, 1)]
    for (images, labels), *each in zip(alone, *parts, strict=True):
        torch.testing.assert_close(torch.cat([mine for mine, _ in each]), images)
        assert all(torch.equal(theirs, labels) for _, theirs in each)
    with pytest.raises(ValueError, match="needs an example of every batch; got a batch of 3"):
        list(task(folder, processes=Processes(0, 4)).batches(0))


def test_scores_are_those_of_the_middle_crop(photo_folder: Callable[..., Path]) -> None:
    """Scored by hand, image by image, with seven classes for five guesses."""
    folder = photo_folder(held_out=12)
    for i, name in enumerate("defg"):
        for split in ("train", "val"):
            (folder / split / name).mkdir()
            image = Image.new("RGB", (50, 50), (60 * i, 200 - 40 * i, 90))
            image.save(folder / split / name / "0.png")
    ours = task(folder)
    torch.manual_seed(4)
    weight = torch.randn(3 * 64 * 64, 7)
    wrong = torch.zeros(2)
    for path, label in zip(ours.test.paths, ours.test.labels.tolist(), strict=True):
        image = tv.resize(Image.open(path).convert("RGB"), [73], InterpolationMode.BICUBIC)
        pixels = tv.normalize(tv.to_tensor(tv.center_crop(image, [64, 64])), list(MEAN), list(STD))
        order = (pixels.flatten() @ weight).argsort(descending=True).tolist()
        wrong += torch.tensor([label != order[0], label not in order[:5]])
    scores = ours.scores(lambda x: x.flatten(1) @ weight, 0)
    expected = (100 * wrong / len(ours.test)).tolist()
    assert scores == {"test_error": pytest.approx(expected[0]), "top5_error": expected[1]}
    assert 0 < scores["top5_error"] < scores["test_error"] < 100


def test_few_classes_are_all_among_the_first_five(photo_folder: Callable[..., Path]) -> None:
    scores = task(photo_folder()).scores(lambda x: x.mean((2, 3)), 0)
    assert scores["top5_error"] == 0


def test_a_subset_is_the_same_for_every_seed(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder(train=9)
    few = [task(folder, replace(PHOTOS, examples=5, seed=seed)) for seed in (0, 1)]
    assert torch.equal(few[0].chosen.sort().values, few[1].chosen.sort().values)
    assert few[0].facts()["train"] == 5
    assert len(list(few[0].batches(0))) == few[0].steps == 2
    with pytest.raises(ValueError, match="photos has 9 training examples; got examples=10"):
        task(folder, replace(PHOTOS, examples=10))


@pytest.mark.slow
def test_a_run_has_both_errors_and_resumes_bit_for_bit(
    photo_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder()
    settings = {"epochs": 2, "batch_size": 3, "lr": 0.01, "progress": False, "device": "cpu"}

    def made(place: str) -> ss.Run:
        return train("swrn-50-2-1", source=folder, runs=tmp_path / place / "runs", **settings)

    whole = made("whole")
    assert list(whole.result) == ["test_error", "top5_error"]
    assert whole.path.startswith("photos/paper/swrn-50-2-1+epochs=2")
    assert (len(whole.curves["top5_error"]), whole.metric) == (2, "test_error")
    assert whole.data["train"] == 6
    assert len(whole.model["groups"]) == 12
    saved = Training._save
    monkeypatch.setattr(Training, "_save", lambda self: [saved(self), 1 / 0])
    with pytest.raises(ZeroDivisionError):
        train(
            "swrn-50-2-1",
            source=folder,
            runs=tmp_path / "cut" / "runs",
            checkpoint_seconds=0,
            **settings,
        )
    monkeypatch.setattr(Training, "_save", saved)
    again = made("cut")
    assert again.curves == whole.curves
    assert again.coefficients == whole.coefficients
