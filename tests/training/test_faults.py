"""What is damaged, foreign or broken is named, and never recorded or gone on from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from softshare import storage, training
from softshare.queue.place import Place
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.training import train
from softshare.training.image_task import ImageTask

pytestmark = pytest.mark.usefixtures("few_held_out", "data_below")
QUICK = {"device": "cpu", "checkpoint_seconds": 0.0}


def checkpoint(folder: Path) -> Path:
    (path,) = folder.glob("checkpoints/*.pt")
    return path


def interrupted(folder: Path, interrupt: Callable, settings: dict[str, Any]) -> tuple[Path, Run]:
    """A checkpoint after the first epoch, and the record of the same run uninterrupted."""
    straight = train(**settings, runs=folder / "straight" / "runs", device="cpu")
    with interrupt():
        train(**settings, runs=folder / "runs", **QUICK)
    return checkpoint(folder), straight


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def other_data(path: Path) -> None:
    state = storage.load_checkpoint(path)
    state["fits"]["data"] = "sha256:0"
    storage.save_checkpoint(path, state)


def other_version(path: Path) -> None:
    state = storage.load_checkpoint(path)
    state["fits"]["shapes"].popitem()
    storage.save_checkpoint(path, state)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (cut, "is damaged: its checksum does not match"),
        (flip, "is damaged: its checksum does not match"),
        (other_data, "is of other data or another version"),
        (other_version, "is of other data or another version"),
    ],
)
def test_a_checkpoint_that_cannot_be_trusted_is_named_set_aside_and_retrained(
    cases: dict, essence: Callable, damage: Callable, text: str, tmp_path: Path, interrupt: Callable
) -> None:
    path, straight = interrupted(tmp_path, interrupt, cases["dropout"])
    damage(path)
    named = f"^The checkpoint {re.escape(str(path))} {text}. "
    named += f"The file was set aside as {path.name}.damaged"
    with pytest.warns(UserWarning, match=named):
        run = train(**cases["dropout"], runs=tmp_path / "runs", device="cpu")
    assert essence(run) == essence(straight)
    assert path.with_name(f"{path.name}.damaged").is_file()


@pytest.mark.parametrize("place", ["cuda in bfloat16", "cpu in float32, 2 processes"])
def test_a_checkpoint_of_another_device_or_of_several_processes_is_refused_and_kept(
    cases: dict, place: str, tmp_path: Path, interrupt: Callable
) -> None:
    path, _ = interrupted(tmp_path, interrupt, cases["dropout"])
    storage.save_checkpoint(path, storage.load_checkpoint(path) | {"place": place})
    with pytest.raises(ValueError, match=f"was made on {place}, and this is cpu in float32; go on"):
        train(**cases["dropout"], runs=tmp_path / "runs", device="cpu")
    assert path.is_file()
    recipe = for_profile(**{k: v for k, v in cases["dropout"].items() if k != "progress"})
    assert Place("cpu", 1, 1, tmp_path / "runs").begun(recipe) == -1


@pytest.mark.parametrize("told", [True, False])
def test_processor_seconds_add_up_or_are_left_out(
    cases: dict, essence: Callable, told: bool, tmp_path: Path, interrupt: Callable
) -> None:
    """A checkpoint of an earlier version did not keep them, and half of them would mislead."""
    path, straight = interrupted(tmp_path, interrupt, cases["dropout"])
    state = storage.load_checkpoint(path)
    state["processor_seconds"] = 1000.0
    if not told:
        del state["processor_seconds"]
    storage.save_checkpoint(path, state)
    run = train(**cases["dropout"], runs=tmp_path / "runs", device="cpu")
    assert essence(run) == essence(straight)
    found = run.cost["processor_seconds"]
    assert found is None if not told else 1000 < found < 1100


def test_a_damaged_record_that_another_process_sets_aside_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our looking for it and our reading it."""
    recipe = for_profile("wrn-10-1", profile="smoke")
    Run(recipe).save(tmp_path)
    load = Run.load
    monkeypatch.setattr(Run, "load", lambda path: (path.unlink(), load(path))[1])
    assert training._recorded(recipe, tmp_path) is None


def test_a_damaged_record_is_named_set_aside_and_retrained(
    cases: dict, essence: Callable, tmp_path: Path
) -> None:
    settings = cases["dropout"]
    run = train(**settings, runs=tmp_path / "runs", **QUICK)
    path = tmp_path / "runs" / run.path
    path.write_text(path.read_text().replace("digits", "digit5"))
    with pytest.warns(UserWarning, match=f"^The record {re.escape(str(path))} is damaged: its"):
        again = train(**settings, runs=tmp_path / "runs", **QUICK)
    assert essence(again) == essence(run) == essence(Run.load(path))
    assert "digit5" in path.with_name(f"{path.name}.damaged").read_text()


def test_a_record_in_anothers_place_is_refused(cases: dict, tmp_path: Path) -> None:
    run = train(**cases["dropout"], runs=tmp_path / "runs", **QUICK)
    wrong = tmp_path / "runs" / replace(run, recipe=replace(run.recipe, seed=1)).path
    (tmp_path / "runs" / run.path).rename(wrong)
    with pytest.raises(
        ValueError, match=f"holds another run than its name says: {re.escape(run.path)}"
    ):
        train(**cases["dropout"], seed=1, runs=tmp_path / "runs")


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(
    cases: dict, essence: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of three steps of the second epoch has one poisoned pixel."""
    batches = ImageTask.batches

    def poisoned(task: ImageTask, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step, (images, labels) in enumerate(batches(task, epoch)):
            if (epoch, step) == (1, 1):
                images[3, 0, 2, 2] = float("nan")
            yield images, labels

    settings = cases["dropout"]
    with monkeypatch.context() as patch:
        patch.setattr(ImageTask, "batches", poisoned)
        with pytest.raises(
            FloatingPointError,
            match=r"^The loss of wrn-10-1 stopped being a number at step 2 of epoch 2, learning "
            r"rate 0\.02; lower lr\. No record was written; the last checkpoint, from before, is "
            r"kept\.$",
        ):
            train(**settings, runs=tmp_path / "runs", **QUICK)
    assert not list(tmp_path.glob("runs/**/*.json"))
    assert storage.load_checkpoint(checkpoint(tmp_path))["curves"]["epoch"] == [1]
    sound = train(**settings, runs=tmp_path / "runs", device="cpu")
    assert essence(sound) == essence(train(**settings, runs=tmp_path / "again", device="cpu"))


def test_a_network_broken_by_its_very_last_step_is_not_recorded(
    cases: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finite loss with an infinite slope: nothing shows before the outputs."""
    loss = ImageTask.loss

    def steep(task: ImageTask, outputs: Tensor, targets: Tensor) -> Tensor:
        return loss(task, outputs, targets) + (outputs.sum() * 0).abs().sqrt()

    monkeypatch.setattr(ImageTask, "loss", steep)
    settings = {**cases["dropout"], "epochs": 1, "examples": 32}
    with pytest.raises(
        FloatingPointError,
        match=r"^The output of wrn-10-1 stopped being a number in the last step of epoch 1, "
        r"learning rate 0\.1; lower lr\. No record was written\.$",
    ):
        train(**settings, runs=tmp_path / "runs", **QUICK)
    assert not list(tmp_path.glob("runs/**/*.json"))


def test_a_full_disk_stops_the_run_with_a_sentence_and_keeps_the_checkpoint(
    cases: dict,
    essence: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt: Callable,
) -> None:
    path, straight = interrupted(tmp_path, interrupt, cases["dropout"])
    before = path.read_bytes()

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=f"Could not write {re.escape(str(path))} .No space left"):
            train(**cases["dropout"], runs=tmp_path / "runs", **QUICK)
    assert path.read_bytes() == before
    run = train(**cases["dropout"], runs=tmp_path / "runs", **QUICK)
    assert essence(run) == essence(straight)


def test_a_checkpoint_is_gone_on_from_in_its_own_precision(
    cases: dict, essence: Callable, tmp_path: Path, interrupt: Callable
) -> None:
    """Made in bfloat16 by request; without a request that is kept, and another is refused."""
    settings = cases["dropout"] | {"precision": "bfloat16"}
    path, straight = interrupted(tmp_path, interrupt, settings)
    assert straight.origin["precision"] == "bfloat16"
    with pytest.raises(ValueError, match="was made on cpu in bfloat16, and this is cpu in float32"):
        train(**settings | {"precision": "float32"}, runs=tmp_path / "runs", device="cpu")
    assert path.is_file()
    run = train(**cases["dropout"], runs=tmp_path / "runs", device="cpu")
    assert run.origin["precision"] == "bfloat16"
    assert run.origin["engine"] == "eager"
    assert essence(run) == essence(straight)
    plain = train(**cases["dropout"], runs=tmp_path / "plain" / "runs", device="cpu")
    assert plain.origin["precision"] == "float32"
    assert plain.curves["loss"] != run.curves["loss"]
