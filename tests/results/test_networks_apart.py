"""A network trained with cutout is another than without: never pooled, and named so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from softshare.plots.folding_plot import folding_curves
from softshare.records import Run
from softshare.results import folding_results, folding_sentences, rates, selection, settling
from softshare.results.foremost import foremost
from softshare.results.patterns import pattern_sentences, patterns

Runs = list[Run]


@pytest.fixture(scope="module")
def plain(soft_run: Callable[..., Run]) -> Runs:
    first = soft_run("swrn-28-1-4", dict.fromkeys(("stage1", "stage2", "stage3"), (6, 4, 2)))
    return [replace(first, recipe=replace(first.recipe, seed=seed)) for seed in (0, 1)]


@pytest.fixture(scope="module")
def cut(plain: Runs) -> Runs:
    return [replace(run, recipe=replace(run.recipe, cutout=16)) for run in plain]


@pytest.mark.parametrize(
    "said",
    [pattern_sentences, settling.sentences, rates.sentences, folding_sentences.sentences],
)
def test_what_is_said_of_one_does_not_change_beside_the_other(
    said: Callable[[Runs], list[str]], plain: Runs, cut: Runs
) -> None:
    one, other, both = (
        {line for line in said(runs) if line.startswith("SWRN")}
        for runs in (plain, cut, [*plain, *cut])
    )
    assert both == one | other and not one & other


@pytest.mark.parametrize(
    "table", [patterns, settling.table, rates.table, selection.table, folding_results.table]
)
def test_tables_name_them_apart(
    table: Callable[[Runs], pd.DataFrame], plain: Runs, cut: Runs
) -> None:
    found = table([*plain, *cut])
    assert list(dict.fromkeys(found["network"])) == ["SWRN 28-1-4", "SWRN 28-1-4, cutout 16"]


def test_each_has_a_best_training_of_its_own(plain: Runs, cut: Runs) -> None:
    longer = [replace(run, recipe=replace(run.recipe, epochs=9)) for run in cut]
    assert foremost([*plain, *longer]) == [*plain, *longer]


def test_each_has_a_colour_of_its_own(plain: Runs, cut: Runs, on_paper: None) -> None:
    above, _ = folding_curves([*plain, *cut])
    (legend,) = above.figure.legends
    assert [text.get_text() for text in legend.texts] == [
        "SWRN 28-1-4, 4 epochs",
        "SWRN 28-1-4, cutout 16, 4 epochs",
    ]
