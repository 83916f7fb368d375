"""What is drawn carries the right numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from softshare import compare, lsm, plots
from softshare.models import build
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.shortest_paths import phase

plt = pytest.importorskip("matplotlib.pyplot")
Make = Callable[..., Run]


@pytest.fixture(autouse=True)
def on_paper() -> Iterator[None]:
    backend = plt.get_backend()
    plt.switch_backend("svg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


def lines(ax: plt.Axes) -> dict[str, list[float]]:
    """The drawn lines by the names of the legend, which come in the order of the lines."""
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    drawn = [line for line in ax.lines if len(line.get_ydata()) and len(line.get_xdata()) > 2]
    return {name: list(line.get_ydata()) for name, line in zip(names, drawn, strict=False)}


# --- Curves ------------------------------------------------------------------------------------


def test_curves_are_the_means_over_seeds_with_their_range(make_run: Make) -> None:
    curves = {"wrn-28-1": [[9.0, 7.0, 5.0], [8.0, 8.0, 4.0]], "swrn-28-1": [[9.5, 6.0, 3.0]]}
    runs = [
        make_run(for_profile(model, profile="smoke", epochs=3, seed=seed), curve=curve)
        for model, both in curves.items()
        for seed, curve in enumerate(both)
    ]
    ax = plots.curves(runs)
    assert lines(ax) == {"WRN 28-1": [8.5, 7.5, 4.5], "SWRN 28-1": [9.5, 6.0, 3.0]}
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3]
    band = next(drawn for drawn in ax.collections if drawn.get_paths())
    assert band.get_paths()[0].get_extents().extents.tolist() == [1.0, 4.0, 3.0, 9.0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "test error (%)")


def test_another_quantity_can_be_drawn(make_run: Make) -> None:
    run = make_run(for_profile("wrn-28-1", profile="smoke", epochs=3))
    ax = plots.curves([run], "loss")
    assert lines(ax) == {"WRN 28-1": run.curves["loss"]} and ax.get_ylabel() == "training loss"


def test_phases_begin_at_grey_lines_and_networks_keep_their_colours(make_run: Make) -> None:
    def colours(models: list[str]) -> dict[str, str]:
        runs = [make_run(for_profile(m, profile="fast", epochs=4)) for m in models]
        ax = plots.curves(runs)
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
    assert lines(plots.curves(runs)) == {
        "WRN 28-1 (cifar10, paper)": [4.0] * 3,
        "WRN 28-1 (cifar10-jpeg, paper)": [8.0] * 3,
        "WRN 28-1 (cifar10, fast)": [6.0] * 3,
    }


def test_curves_that_cannot_be_drawn_are_refused(make_run: Make) -> None:
    image = make_run(for_profile("wrn-28-1", profile="smoke"))
    path = make_run(for_profile("cnn", profile="smoke"))
    with pytest.raises(ValueError, match="at least one run; got none"):
        plots.curves([])
    with pytest.raises(ValueError, match="Not every run has a curve 'f1'"):
        plots.curves([path, image])
    with pytest.raises(ValueError, match=r"curve 'accuracy'; these have .*'test_error'"):
        plots.curves([image], "accuracy")


# --- A table as a picture ----------------------------------------------------------------------


def test_a_comparison_shows_both_numbers_and_the_spread_line_by_line(make_run: Make) -> None:
    runs = [make_run(for_profile("swrn-28-10", seed=i), e) for i, e in enumerate((3.6, 3.8))]
    runs += [make_run(for_profile("wrn-28-1", "digits", "smoke", dropout=0.3), 2.0)]
    table = compare(runs, "table1")
    ax = plots.comparison(table)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert len(labels) == len(table) == 11
    assert labels[4] == "SWRN 28-10 (cifar10, paper, n=2)"
    assert labels[5] == "SWRN 28-10 (cifar100)"
    assert labels[10] == "WRN 28-1* (digits, smoke, n=1)"
    paper = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_array_equal(paper[:10], np.c_[table["paper"][:10], range(10)])
    (ours,) = ax.containers
    x, y = (np.ma.filled(values, np.nan) for values in ours.lines[0].get_data())
    shown = ~np.isnan(x.astype(float))
    assert dict(zip(y[shown], x[shown], strict=True)) == {4: pytest.approx(3.7), 10: 2.0}
    bars = {s[0][1]: np.ptp(s[:, 0]) / 2 for s in ours.lines[2][0].get_segments() if len(s)}
    assert bars[4] == pytest.approx(np.std([3.6, 3.8], ddof=1))
    assert ax.yaxis_inverted()


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="the table has no rows"):
        plots.comparison(compare([], "table1").iloc[:0])


# --- Similarities ------------------------------------------------------------------------------


def test_matrices_are_drawn_as_they_are_white_for_one(make_run: Make) -> None:
    net = build("swrn-16-1-2")  # an LSM with its graph
    found = lsm(net)
    ax = plots.similarities(found, "a title")
    assert [place.get_title() for place in ax] == list(found)
    for place, matrix in zip(ax, found.values(), strict=True):
        (image,) = place.images
        np.testing.assert_allclose(image.get_array(), matrix.detach())
        assert image.get_clim() == (0, 1)
        assert image.cmap(1.0)[:3] == (1, 1, 1) and image.cmap(0.0)[:3] == (0, 0, 0)
        assert place.get_xticklabels()[0].get_text() == "1"
    assert ax[0].figure.get_suptitle() == "a title"


def test_lists_and_given_axes_do_too() -> None:
    _, given = plt.subplots(1, 2)
    drawn = plots.similarities({"a": [[1.0, 0.5], [0.5, 1.0]], "b": [[1.0]]}, ax=given)
    assert drawn is given
    assert given[0].images[0].get_array().tolist() == [[1.0, 0.5], [0.5, 1.0]]


def test_similarities_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(ValueError, match="got 0 groups"):
        plots.similarities({})
    _, given = plt.subplots(1, 3)
    with pytest.raises(ValueError, match="got 1 groups and 3 axes"):
        plots.similarities({"a": [[1.0]]}, ax=given)


# --- An example of the path task ---------------------------------------------------------------


def test_each_cell_has_the_colour_of_what_it_is() -> None:
    inputs, targets = phase(2, n=1, seed=3)
    (picture,) = plots.path_example(inputs[0], targets[0]).images
    colours = np.asarray(picture.get_array())
    queries, obstacles = inputs[0].bool().numpy()
    path = targets[0, 0].bool().numpy() & ~queries
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    assert queries.sum() == 2 and path.any() and obstacles.any()
    assert (blue[queries] > red[queries]).all() and (blue[queries] > green[queries]).all()
    assert (red[obstacles] > 2 * blue[obstacles]).all()
    assert (colours[path] == 1).all()
    assert (colours[~(queries | obstacles | path)] == 0).all()


def test_logits_are_drawn_as_path_above_zero() -> None:
    logits = torch.tensor([[[-3.0, 0.0], [0.1, 5.0]]], requires_grad=True)
    (picture,) = plots.path_example(torch.zeros(2, 2, 2), logits).images
    assert np.asarray(picture.get_array())[..., 0].tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("inputs", "cells"), [((4, 2, 8, 8), (4, 1, 8, 8)), ((3, 8, 8), (1, 8, 8)), ((2, 8, 8), (8, 8))]
)
def test_one_grid_at_a_time(inputs: tuple[int, ...], cells: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="One grid has inputs"):
        plots.path_example(torch.zeros(inputs), torch.zeros(cells))


def test_drawing_outside_a_notebook_starts_no_shell(make_run: Make) -> None:
    plots.axes()
    shell = sys.modules.get("IPython.core.interactiveshell")
    assert shell is None or not shell.InteractiveShell.initialized()
