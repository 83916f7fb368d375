"""A run killed at any moment goes on, and ends in the record that it would have had."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softshare import storage
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.training import train

pytestmark = pytest.mark.usefixtures("few_held_out", "data_below")
QUICK = {"device": "cpu", "checkpoint_seconds": 0.0}


def die(runs: str, settings: dict, kind: str, number: int) -> None:
    """Trains until the process kills itself, as kill -9 would, at the number-th such moment."""
    import os
    import signal

    from softshare.records import Run
    from softshare.training import loop, path_task, train
    from softshare.training.step import Step

    passed = 0
    path_task.HELD_OUT = 8

    def perhaps(call: Any) -> Any:
        def instead(*arguments: Any) -> Any:
            nonlocal passed
            if passed == number:
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 1
            return call(*arguments)

        return instead

    if kind == "step":
        Step.__call__ = perhaps(Step.__call__)
    elif kind == "score":
        loop.Training._scores = perhaps(loop.Training._scores)
    elif kind == "write":  # a checkpoint or the record: all there, but not in its place yet
        os.fsync = perhaps(os.fsync)
    elif kind == "removal":  # the record is there, and the checkpoint too
        save = Run.save

        def saved(self: Run, root: Any) -> Any:
            save(self, root)
            os.kill(os.getpid(), signal.SIGKILL)

        Run.save = saved
    train(**settings, runs=runs, device="cpu", checkpoint_seconds=0)


@pytest.mark.parametrize("case", ["dropout", "recurrence", "unit", "curriculum"])
def test_a_run_killed_again_and_again_ends_in_the_same_record(
    cases: dict, essence: Callable, case: str, tmp_path: Path, start: Callable
) -> None:
    settings = cases[case]
    straight = train(**settings, runs=tmp_path / "straight" / "runs", device="cpu")
    folder = tmp_path / "killed"
    deaths: list[tuple[str, int, list[int]]] = [  # the moment, and the epochs that are safe then
        ("step", 1, []),
        ("write", 0, []),
        ("step", 4, [1]),
        ("score", 0, [1]),
        ("write", 0, [1]),
        ("write", 1, [1, 2]),
    ]
    for kind, number, safe in deaths:
        process = start(die, str(folder / "runs"), settings, kind, number)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        saved = list(folder.glob("checkpoints/*.pt"))
        done = [storage.load_checkpoint(path)["curves"]["epoch"] for path in saved]
        assert (done or [[]]) == [safe]
        assert not list(folder.glob("runs/**/seed*.json"))
    assert list(folder.glob("**/.*seed*")), "killed writers leave unfinished files"
    resumed = train(**settings, runs=folder / "runs", **QUICK)
    assert essence(resumed) == essence(straight)
    assert essence(Run.load(folder / "runs" / resumed.path)) == essence(straight)
    assert not list(folder.glob("checkpoints/*.pt"))
    assert not list(folder.glob("**/.*seed*")), "unfinished files are swept away"


def test_killed_with_the_record_written_it_is_found_and_the_checkpoint_removed(
    cases: dict, tmp_path: Path, start: Callable
) -> None:
    process = start(die, str(tmp_path / "runs"), cases["dropout"], "removal", 0)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.glob("checkpoints/*.pt"))) == 1
    (path,) = tmp_path.glob("runs/**/seed*.json")
    assert train(**cases["dropout"], runs=tmp_path / "runs") == Run.load(path)
    assert not list(tmp_path.glob("checkpoints/*.pt"))


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_record(
    cases: dict, essence: Callable, tmp_path: Path, start: Callable
) -> None:
    settings = {**cases["recurrence"], "epochs": 8}
    straight = train(**settings, runs=tmp_path / "straight" / "runs", device="cpu")
    runs, draw = tmp_path / "killed" / "runs", random.Random(0)
    for _ in range(15):
        process = start(die, str(runs), settings, "never", -1)
        time.sleep(draw.uniform(0.0, 2.0))
        process.kill()
        process.join()
    assert essence(train(**settings, runs=runs, **QUICK)) == essence(straight)


def test_a_finished_run_is_not_trained_again(
    cases: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(**cases["dropout"], runs=tmp_path / "runs", **QUICK)

    def refuse(*arguments: Any) -> None:
        raise AssertionError("no data are needed to find a record")

    monkeypatch.setattr("softshare.training.task_for", refuse)
    assert train(**cases["dropout"], runs=tmp_path / "runs") == run


def test_two_processes_on_one_run_are_one_training_and_one_refusal(
    cases: dict, tmp_path: Path, start: Callable
) -> None:
    def hold(runs: str, settings: dict, here: str, go: str) -> None:
        import time
        from pathlib import Path

        from softshare.training import train
        from softshare.training.image_task import ImageTask

        batches = ImageTask.batches

        def waiting(self: Any, epoch: int) -> Any:
            Path(here).touch()
            while not Path(go).exists():
                time.sleep(0.01)
            yield from batches(self, epoch)

        ImageTask.batches = waiting
        train(**settings, runs=runs, device="cpu")

    settings, here, go = cases["dropout"], tmp_path / "here", tmp_path / "go"
    process = start(hold, str(tmp_path / "runs"), settings, str(here), str(go))
    while not here.exists():
        assert process.is_alive()
        time.sleep(0.01)
    path = for_profile(**{k: v for k, v in settings.items() if k != "progress"}).path
    text = f"Another process is training {path}; wait for it, or choose another seed."
    with pytest.raises(RuntimeError, match=f"^{re.escape(text)}$"):
        train(**settings, runs=tmp_path / "runs")
    other = train(**settings, seed=1, runs=tmp_path / "runs")
    assert other.seed == 1, "another run is not kept waiting"
    go.touch()
    process.join()
    assert process.exitcode == 0
    assert train(**settings, runs=tmp_path / "runs").path == path
