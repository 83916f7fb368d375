"""Runs of seconds, one for each way to train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softshare.training import path_task

_TINY = {"profile": "smoke", "examples": 96, "batch_size": 32, "epochs": 3, "progress": False}
_FEW = {"examples": 12, "batch_size": 4, "epochs": 1, "phases": 3}


@pytest.fixture(scope="session")
def cases() -> dict[str, dict[str, Any]]:
    """Settings of runs of three epochs of three steps each."""
    return {
        "dropout": {"model": "wrn-10-1", "dropout": 0.3, **_TINY},
        "recurrence": {"model": "swrn-16-1-2", "recurrence": 0.05, **_TINY},
        "unit": {"model": "swrn-16-1-2", "init": "uniform", "coefficients": "unit", **_TINY},
        "curriculum": {"model": "scnn", **_TINY, **_FEW},
    }


@pytest.fixture
def few_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortest paths are scored on eight examples."""
    monkeypatch.setattr(path_task, "HELD_OUT", 8)


@pytest.fixture
def data_below(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The data folder, and so the default place of records, is the test's own."""
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path / "data"))
