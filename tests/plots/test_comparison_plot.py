"""The picture of a table shows the paper's numbers and ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from softshare import compare
from softshare.plots.comparison_plot import comparison
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.reproduction import Reproduction

Make = Callable[..., Run]
pytestmark = pytest.mark.usefixtures("on_paper")


def test_a_comparison_shows_both_numbers_and_the_spread_line_by_line(make_run: Make) -> None:
    runs = [make_run(for_profile("swrn-28-10", seed=i), e) for i, e in enumerate((3.6, 3.8))]
    runs += [make_run(for_profile("wrn-28-1", "digits", "smoke", dropout=0.3), 2.0)]
    table = compare(runs, "table1")
    ax = comparison(table)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert len(labels) == len(table) == 11
    assert labels[4] == "SWRN 28-10 (cifar10, paper, 200 epochs, n=2)"
    assert labels[5] == "SWRN 28-10 (cifar100)"
    assert labels[10] == "WRN 28-1* (digits, smoke, 10 epochs, n=1)"
    paper = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_array_equal(paper[:10], np.c_[table["paper"][:10], range(10)])
    (ours,) = ax.containers
    x, y = (np.ma.filled(values, np.nan) for values in ours.lines[0].get_data())
    shown = ~np.isnan(x.astype(float))
    assert dict(zip(y[shown], x[shown], strict=True)) == {4: pytest.approx(3.7), 10: 2.0}
    bars = {s[0][1]: np.ptp(s[:, 0]) / 2 for s in ours.lines[2][0].get_segments() if len(s)}
    assert bars[4] == pytest.approx(np.std([3.6, 3.8], ddof=1))
    assert ax.yaxis_inverted()


@pytest.mark.parametrize(
    ("table", "model", "settings"),
    [
        ("table1", "wrn-28-1", [{}, {"epochs": 3}, {"lr": 0.05}, {"lr": 0.05, "batch_size": 64}]),
        ("table4", "swrn-28-1-2", [{"cutout": 4}, {"cutout": 8}, {"cutout": 4, "epochs": 3}]),
    ],
)
def test_rows_that_were_trained_otherwise_have_other_labels(
    make_run: Make, table: str, model: str, settings: list[dict[str, Any]]
) -> None:
    runs = [make_run(for_profile(model, "digits", "smoke", **own)) for own in settings]
    ax = comparison(compare(runs, table))
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert len(set(labels)) == len(labels)
    lines = Reproduction(table, runs).summary().drop(columns="ours (%)")
    assert not lines.duplicated().any()


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="the table has no rows"):
        comparison(compare([], "table1").iloc[:0])
