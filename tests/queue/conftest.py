"""A queue whose workers only pretend to train."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softshare import queue
from softshare.queue import Queue, Summary
from softshare.queue.campaign import Job
from softshare.queue.device_speed import Speed
from softshare.queue.estimate import Estimator
from softshare.queue.narration import Narrator
from softshare.queue.place import Place
from softshare.queue.workers import Ending
from softshare.recipe import for_profile
from softshare.records import Run

_SPEED = Speed(((1e7, 1e10), (1e10, 1e13)))


def _job(model: str, seed: int = 0, **settings: Any) -> Job:
    recipe = for_profile(model, None if model == "scnn" else "cifar10", seed=seed, **settings)
    return Job(recipe, ("table1",), "x")


class _Pretended:
    """A worker whose run ends as `endings` says the second time it is heard at work."""

    endings: dict[Job, str] = {}  # noqa: RUF012
    log: list[tuple[str, Job]] = []  # noqa: RUF012
    early = False  # whether those of `endings` end while they prepare

    def __init__(self, job: Job, estimate: Any, runs: Path, *rest: Any) -> None:
        self.job, self.estimate, self.runs = job, estimate, runs
        self.done, self.heard, self.ending, self.pipe = 0, 0, None, None
        self.most = self.at_once = 1  # as is so, and as the queue says
        self.warnings: list[str] = []
        self.may_train = False
        self.unwell = self.early and job in self.endings
        self.process = self
        self.log.append(("prepare", job))

    def hear(self) -> None:
        if not self.may_train and not self.unwell:
            return
        self.heard += 1
        events = [event for event, _ in self.log]
        self.most = max(self.most, events.count("start") - events.count("end"))
        if self.heard == 2:
            kind = self.endings.get(self.job, "done")
            if kind == "crowded" and self.most == 1:
                kind = "done"
            self.log.append(("end", self.job))
            if kind == "done":
                for recipe in {self.job.recipe, self.job.recipe.base}:
                    Run(recipe, result={"test_error": 5.0}).save(self.runs)
            text = self.job.recipe.path if kind == "done" else "a reason"
            self.ending = Ending("memory" if kind == "crowded" else kind, text)

    def beside(self, runs: int) -> None:
        self.at_once = max(self.at_once, runs)

    def go(self) -> None:
        self.may_train, self.due = True, time.monotonic() + self.estimate.seconds
        self.log.append(("start", self.job))

    def close(self) -> None:
        if not self.ending:
            self.log.append(("dismiss", self.job))

    def join(self, timeout: float = 0) -> None: ...
    def ask(self) -> None: ...


@pytest.fixture(scope="session")
def speed() -> Speed:
    """Of a device on which a narrow network is slow."""
    return _SPEED


@pytest.fixture(scope="session")
def job() -> Callable[..., Job]:
    """A run of the plan: ``job("wrn-28-1", seed=2, epochs=3)``."""
    return _job


@pytest.fixture
def pretended() -> type[_Pretended]:
    """What the pretended runs end as, and the log of their starts and ends."""
    return _Pretended


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Summary]:
    """Works off jobs: ``work(jobs, device="cpu", workers=2, budget=60)``."""
    monkeypatch.setattr(queue, "Worker", _Pretended)
    monkeypatch.setattr(queue, "wait", lambda *_, **__: None)
    monkeypatch.setattr(_Pretended, "log", [])
    monkeypatch.setattr(_Pretended, "endings", {})
    monkeypatch.setattr(_Pretended, "early", False)

    def work(
        jobs: list[Job],
        device: str = "cpu",
        workers: int = 2,
        budget: float = 1e9,
        whole: bool = False,
    ) -> Summary:
        place = Place(device, workers, 1, tmp_path / "runs")
        deadline = time.monotonic() + budget
        estimator = Estimator(_SPEED, [], "cpu")
        return Queue(jobs, place, estimator, Narrator(quiet=True), deadline, 1.0, whole).run()

    return work
