"""A run that is told to leave keeps every whole epoch, and ends later as if it had stayed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softshare import storage
from softshare.records import Run
from softshare.training import train
from softshare.training.step import Step
from softshare.training.watch import Stopped, Watch

pytestmark = pytest.mark.usefixtures("few_held_out", "data_below")
TINY = {"profile": "smoke", "examples": 96, "batch_size": 32, "progress": False, "device": "cpu"}
CASES: dict[str, dict[str, Any]] = {  # four epochs of three steps
    "dropout": {"model": "wrn-10-1", "dropout": 0.3, "epochs": 4, **TINY},
    "shared": {"model": "swrn-16-1-2", "recurrence": 0.05, "epochs": 4, **TINY},
}


def epochs_kept(folder: Path) -> int:
    saved = list(folder.glob("checkpoints/*.pt"))
    return len(storage.load_checkpoint(saved[0])["curves"]["epoch"]) if saved else 0


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("checkpoint_seconds", [0.0, 1e9])
def test_asked_at_any_step_it_leaves_with_all_whole_epochs_and_goes_on(
    essence: Callable,
    case: str,
    checkpoint_seconds: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    straight = train(**CASES[case], runs=tmp_path / "straight" / "runs")
    folder = tmp_path / "stopped"
    settings = CASES[case] | {"runs": folder / "runs", "checkpoint_seconds": checkpoint_seconds}
    taken = Step.__call__
    for last, whole in ((2, 0), (4, 1), (2, 1), (5, 2), (3, 3)):  # the step after which it is asked
        watch, steps = Watch(), 0

        def counted(*arguments: Any, **more: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == last:  # noqa: B023
                watch.ask()  # noqa: B023
            return taken(*arguments, **more)

        monkeypatch.setattr(Step, "__call__", counted)
        with pytest.raises(Stopped, match=f"^{whole} of 4 epochs are done\\.$"):
            train(**settings, watch=watch)
        assert steps == last, "not one step more"
        assert epochs_kept(folder) == whole
    monkeypatch.setattr(Step, "__call__", taken)
    assert essence(train(**settings, watch=Watch())) == essence(straight)
    assert not list(folder.glob("checkpoints/*.pt"))


def test_an_epoch_that_would_end_after_the_deadline_is_not_begun(tmp_path: Path) -> None:
    class Heard(Watch):
        noted: list[tuple[int, int]] = []  # noqa: RUF012

        def note(self, done: int, total: int, seconds: float) -> None:
            self.noted.append((done, total))
            self.deadline = time.monotonic() + seconds / 2 if done == 2 else self.deadline

    with pytest.raises(Stopped, match="2 of 4"):
        train(**CASES["dropout"], runs=tmp_path / "runs", watch=Heard())
    assert Heard.noted == [(1, 4), (2, 4)]
    assert epochs_kept(tmp_path) == 2


def test_what_follows_the_last_epoch_can_be_cut_off_too(
    essence: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record cannot be written: the checkpoint has all epochs, and no step is taken again."""
    settings = CASES["dropout"] | {"runs": tmp_path / "runs", "watch": Watch()}
    with monkeypatch.context() as patch:

        def cut_off(*arguments: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(Run, "save", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train(**settings)
    assert epochs_kept(tmp_path) == 4
    with monkeypatch.context() as patch:
        patch.setattr(Step, "__call__", cut_off)
        run = train(**settings)
    assert essence(run) == essence(train(**CASES["dropout"], runs=tmp_path / "again" / "runs"))


def test_a_record_tells_how_many_runs_shared_the_device(tmp_path: Path) -> None:
    """Also of epochs before a checkpoint; of a run that was alone it says nothing."""

    class Beside(Watch):
        at_once = 3

        def note(self, done: int, total: int, seconds: float) -> None:
            self.asked = done == 2

    settings = CASES["dropout"] | {"runs": tmp_path / "runs"}
    with pytest.raises(Stopped):
        train(**settings, watch=Beside())
    assert train(**settings, watch=Watch()).origin["runs_at_once"] == 3
    alone = train(**CASES["dropout"], runs=tmp_path / "alone" / "runs", watch=Watch())
    assert "runs_at_once" not in alone.origin
