"""Tables and figures whose runs are made at once, and nobody trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from softshare.paths import runs_root
from softshare.recipe import Recipe, for_profile
from softshare.recipe.request import request
from softshare.records import Run
from softshare.reproduction import collection


@pytest.fixture(scope="session")
def rows() -> list[tuple[str, dict[str, Any]]]:
    """Models and settings of Table 1, as the paper prints it."""
    return [
        ("wrn-28-10", {}),
        ("wrn-28-10", {"dropout": 0.3}),
        ("swrn-28-10", {}),
        ("swrn-28-10", {"dropout": 0.3}),
        ("swrn-28-10-1", {}),
    ]


class _Trainer:
    """In place of `softshare.train`: makes records at once, and remembers what was asked."""

    def __init__(self, make_run: Callable[..., Run]) -> None:
        self.make_run = make_run
        self.asked: list[Recipe] = []
        self.data: list[Any] = []

    def __call__(
        self, model: str, data: str | None, profile: str, *, runs: Path | None, **settings: Any
    ) -> Run:
        recipe = request(model, data, profile, **settings)[0]
        self.asked.append(recipe)
        self.data.append(data)
        path = Path(runs or runs_root()) / recipe.path
        if path.is_file():
            return Run.load(path)
        run = self.make_run(recipe)
        run.save(runs)
        return run


@pytest.fixture
def trainer(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> _Trainer:
    """What was asked of it: ``trainer.asked``, and the sets by their names: ``trainer.data``."""
    trainer = _Trainer(make_run)
    monkeypatch.setattr(collection, "train_run", trainer)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("SOFTSHARE_BOOK", raising=False)
    return trainer


@pytest.fixture
def gpu(trainer: _Trainer, monkeypatch: pytest.MonkeyPatch) -> _Trainer:
    """The same, where there seems to be a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return trainer


@pytest.fixture
def save(make_run: Callable[..., Run], tmp_path: Path) -> Callable[..., Run]:
    """Keeps a record of a model: ``save("wrn-28-10", "cifar10", "fast", seed=1)``."""

    def save(model: str, data: str | None = None, profile: str = "paper", **settings: Any) -> Run:
        run = make_run(for_profile(model, data, profile, **settings))
        run.save(tmp_path)
        return run

    return save
