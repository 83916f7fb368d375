"""A network whose layers nearly repeat, and its explorer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from softshare.explorer import Explorer
from softshare.records import Run

_GROUPS = {"stage1": (6, 4, 2), "stage2": (6, 4, 3), "stage3": (6, 4, 1)}


@pytest.fixture(scope="module")
def run(soft_run: Callable[..., Run]) -> Run:
    return soft_run("swrn-28-1-4", _GROUPS)


@pytest.fixture(scope="module")
def explorer(run: Run) -> Explorer:
    return Explorer(run)
