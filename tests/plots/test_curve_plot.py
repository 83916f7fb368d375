"""Training curves carry the right numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from softshare.plots.curve_plot import curves
from softshare.recipe import for_profile
from softshare.records import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Make = Callable[..., Run]
pytestmark = pytest.mark.usefixtures("on_paper")


def lines(ax: Axes) -> dict[str, list[float]]:
    """The drawn lines by the names of the legend, which come in the order of the lines."""
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    drawn = [line for line in ax.lines if len(line.get_ydata()) and len(line.get_xdata()) > 2]
    return {name: list(line.get_ydata()) for name, line in zip(names, drawn, strict=False)}


def test_curves_are_the_means_over_seeds_with_their_range(make_run: Make) -> None:
    values = {"wrn-28-1": [[9.0, 7.0, 5.0], [8.0, 8.0, 4.0]], "swrn-28-1": [[9.5, 6.0, 3.0]]}
    runs = [
        make_run(for_profile(model, profile="smoke", epochs=3, seed=seed), curve=curve)
        for model, both in values.items()
        for seed, curve in enumerate(both)
    ]
    ax = curves(runs)
    assert lines(ax) == {"WRN 28-1": [8.5, 7.5, 4.5], "SWRN 28-1": [9.5, 6.0, 3.0]}
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3]
    band = next(drawn for drawn in ax.collections if drawn.get_paths())
    assert band.get_paths()[0].get_extents().extents.tolist() == [1.0, 4.0, 3.0, 9.0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "test error (%)")
    assert ax.get_legend().get_title().get_text() == "mean and range of 1 to 2 seeds"
    assert curves(runs[1:]).get_legend().get_title().get_text() == "", "no band, no word of it"


def test_another_quantity_can_be_drawn(make_run: Make) -> None:
    run = make_run(for_profile("wrn-28-1", profile="smoke", epochs=3))
    ax = curves([run], "loss")
    assert lines(ax) == {"WRN 28-1": run.curves["loss"]} and ax.get_ylabel() == "training loss"


def test_phases_begin_at_grey_lines_and_networks_keep_their_colours(make_run: Make) -> None:
    def colours(models: list[str]) -> dict[str, str]:
        runs = [make_run(for_profile(m, profile="fast", epochs=4)) for m in models]
        ax = curves(runs)
        upright = [line for line in ax.lines if len(set(line.get_xdata())) == 1]
        assert [line.get_xdata()[0] for line in upright] == [4.5, 8.5, 12.5, 16.5]
        names = [text.get_text() for text in ax.get_legend().get_texts()]
        return {n: line.get_color() for n, line in zip(names, ax.lines, strict=False)}

    every = colours(["cnn", "scnn", "scnn-r"])
    assert list(every) == ["CNN", "SCNN", "SCNN-R"] and len(set(every.values())) == 3
    assert colours(["scnn-r", "cnn"]) == {name: every[name] for name in ("SCNN-R", "CNN")}


def test_neither_variants_nor_profiles_share_a_line(make_run: Make) -> None:
    runs = [
        make_run(for_profile("wrn-28-1", data, profile, epochs=3), result)
        for data, profile, result in (
            ("cifar10", "paper", 4.0),
            ("cifar10-jpeg", "paper", 8.0),
            ("cifar10", "fast", 6.0),
        )
    ]
    assert lines(curves(runs)) == {
        "WRN 28-1 (cifar10, paper)": [4.0] * 3,
        "WRN 28-1 (cifar10-jpeg, paper)": [8.0] * 3,
        "WRN 28-1 (cifar10, fast)": [6.0] * 3,
    }


def test_curves_that_cannot_be_drawn_are_refused(make_run: Make) -> None:
    image = make_run(for_profile("wrn-28-1", profile="smoke"))
    path = make_run(for_profile("cnn", profile="smoke"))
    with pytest.raises(ValueError, match="at least one run; got none"):
        curves([])
    with pytest.raises(ValueError, match="Not every run has a curve 'f1'"):
        curves([path, image])
    with pytest.raises(ValueError, match=r"curve 'accuracy'; these have .*'test_error'"):
        curves([image], "accuracy")
