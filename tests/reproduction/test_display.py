"""What a cell shows: the thing, then its line; and a word where there is nothing."""

from __future__ import annotations

import re
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from softshare.reproduction.display import show

pytestmark = pytest.mark.usefixtures("on_paper")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr("IPython.display.display", found.append)
    return found


@pytest.mark.parametrize("nothing", [None, [], pd.DataFrame(columns=["n", "ours"])])
def test_nothing_is_said_to_be_nothing(shown: list[Any], nothing: Any) -> None:
    show(nothing, "the line")
    assert [part.data for part in shown] == ["Nothing to show yet.", "the line"]


def test_a_frame_stands_above_its_line_without_its_index(shown: list[Any]) -> None:
    show(pd.DataFrame({"ours": [4.0625]}, index=["hidden"]), "the line", digits=1)
    page = shown[0].to_html()
    assert "4.1" in page and "hidden" not in page
    assert shown[1].data == "the line"


def test_short_names_are_not_broken_over_lines(shown: list[Any]) -> None:
    show(pd.DataFrame({"epochs": [3], "network": ["SWRN 28-10-2"], "paper": [0.25]}))
    show(pd.DataFrame({"epochs": [3]}))
    long = "SWRN 28-10-2 (cifar10-jpeg, 10 epochs, seed 0)"
    show(pd.DataFrame({"epochs": [3, 3], "network": ["SWRN 28-1", long]}))
    named, plain, wide = (frame.to_html() for frame in shown)
    for column in ("col1", "col2"):
        assert f"td.{column} {{\n  white-space: nowrap;\n}}" in named
    assert "td.col" not in plain and "td.col" not in wide


def test_a_networks_numbers_stay_together_where_its_column_is_narrow(shown: list[Any]) -> None:
    names = ["WRN 28-10*", "SWRN 28-10-2 (cifar10-jpeg)"]
    show(pd.DataFrame({"model": names, "ours": [3.5, 4.0], "mixed": ["28-10", 1.0]}))
    cells = re.findall(r"<td [^>]*>(.*?)</td>", shown[0].to_html())
    kept = '<span style="white-space: nowrap">{}</span>'.format
    assert cells == [
        *(f"WRN {kept('28-10*')}", "3.50", "28-10"),
        *(f"SWRN {kept('28-10-2')} (cifar10-jpeg)", "4.00", "1.00"),
    ]


def test_a_small_p_is_never_shown_as_nothing(shown: list[Any]) -> None:
    show(pd.DataFrame({"p": [0.0016, 0.5, 2e-7, float("nan")], "ours": [1.0] * 4}))
    cells = re.findall(r"<td [^>]*col0[^>]*>([^<]*)</td>", shown[0].to_html())
    assert cells == ["0.0016", "0.5", "&lt; 0.0001", ""]


def test_each_figure_is_shown_once_and_closed(shown: list[Any]) -> None:
    figure, axes = plt.subplots(1, 2)
    other = plt.figure().add_subplot()
    show([*axes, other], "the line")
    assert shown[:2] == [figure, other.figure]
    assert len(shown) == 3 and not plt.get_fignums()
