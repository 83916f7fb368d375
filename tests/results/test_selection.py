"""What choosing the best epoch would have gained."""

from __future__ import annotations

import pytest

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.selection import table


def run_of(model: str, metric: str, scores: list[float], phases: list[int]) -> Run:
    epochs = list(range(1, len(scores) + 1))
    curves = {"epoch": epochs, "phase": phases, metric: scores}
    recipe = for_profile(model, profile="smoke")
    return Run(recipe, data={"name": "x"}, curves=curves, result={metric: scores[-1]})


def test_the_gain_is_what_lies_between_last_and_best() -> None:
    paths = run_of("scnn", "f1", [0.99, 0.5, 0.9, 0.8], [1, 2, 2, 2])
    worst_first = run_of("wrn-28-1", "test_error", [9.0, 8.0, 7.0], [1, 1, 1])
    found = table([paths, worst_first])
    assert list(found["best"]) == [0.9, 7.0]  # the first phase had easier examples
    assert list(found["gain"]) == pytest.approx([10, 0])
    assert list(found["metric"]) == ["f1", "test_error"]


def test_no_runs_make_an_empty_table() -> None:
    assert table([]).empty and "gain" in table([]).columns
