"""The fast path trains the same network: its results differ by no more than seeds do."""

from __future__ import annotations

import statistics
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from softshare.records import Run
from softshare.training import train
from softshare.training.precision import precision_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fidelity")]  # trains what it compares once
NARROW: dict[str, Any] = {"profile": "smoke", "epochs": 8, "batch_size": 64}
SEEDS = range(3)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``runs(**how)``: SWRN 16-1-1 on digits, one run a seed."""
    folder = tmp_path_factory.mktemp("fidelity")

    @cache
    def trained(**how: Any) -> list[Run]:
        place = Path(folder, "-".join(map(str, how.values())) or "plain", "runs")
        settings = {"device": "cpu"} | NARROW | how
        return [
            train("swrn-16-1-1", seed=seed, runs=place, progress=False, **settings)
            for seed in SEEDS
        ]

    return trained


def errors(runs: list[Run]) -> list[float]:
    return [run.test_error for run in runs]


def losses(runs: list[Run]) -> list[float]:
    return [run.curves["loss"][-1] for run in runs]


def apart(one: list[float], two: list[float]) -> float:
    """The distance of the means, in spreads over the seeds of either way."""
    spread = max(max(values) - min(values) for values in (one, two))
    return abs(statistics.mean(one) - statistics.mean(two)) / spread


def same(one: list[Run], two: list[Run]) -> bool:
    return max(apart(errors(one), errors(two)), apart(losses(one), losses(two))) <= 1


FAST: list[Any] = [
    *(
        pytest.param(
            {"precision": "bfloat16"} | engine,
            marks=pytest.mark.skipif(
                precision_for(torch.device("cpu"), flops=1e12) != torch.bfloat16,
                reason="the CPU emulates bfloat16, which takes minutes and is not used of itself",
            ),
        )
        for engine in ({}, {"engine": "compiled"})
    ),
    *(
        pytest.param(
            {"device": "cuda", "precision": "bfloat16", "engine": engine},
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
        )
        for engine in ("eager", "compiled", "graphs", "compiled graphs")
    ),
]


@pytest.mark.parametrize("how", FAST, ids=lambda how: " ".join(how.values()))
def test_the_fast_path_ends_where_the_plain_one_does(how: dict[str, str], runs: Any) -> None:
    plain, fast = runs(precision="float32", engine="eager"), runs(**how)
    assert {run.origin["precision"] for run in fast} == {"bfloat16"}
    assert {run.origin["engine"] for run in fast} == {how.get("engine", "eager")}
    assert losses(plain) != losses(fast)
    assert max(errors(plain)) < 10, "else nothing was learned that could be lost"
    assert same(plain, fast), (errors(plain), errors(fast), losses(plain), losses(fast))


def test_a_slightly_other_training_is_told_apart(runs: Any) -> None:
    """What the comparison can see: half the learning rate."""
    plain = runs(precision="float32", engine="eager")
    assert not same(plain, runs(precision="float32", engine="eager", lr=0.05))
