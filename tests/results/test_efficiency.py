"""Error against parameters: the paper's points once each, ours as means over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest
from matplotlib.colors import to_hex

import softshare as ss
from softshare import paper
from softshare.plots.efficiency_plot import efficiency
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.efficiency import points, shows
from softshare.results.foremost import proper

Make = Callable[..., Run]


@pytest.fixture
def runs(make_run: Make) -> list[Run]:
    made = []
    for model, error in {"wrn-28-2": 6.0, "swrn-28-2": 5.0, "swrn-28-2-1": 8.0}.items():
        for seed in (0, 1, 2):
            run = make_run(for_profile(model, "cifar10", "fast", seed=seed), error + seed)
            made.append(replace(run, model={"parameters": ss.count(ss.build(model)).parameters}))
    return made


def test_the_papers_points_stand_once_with_exact_sizes() -> None:
    table = points([])
    assert set(table["who"]) == {"paper"}
    assert not table.duplicated(["model", "data"]).any()
    for name in ("table1", "table2"):
        for row in paper.rows(name):
            for data, error in row["values"].items():
                (found,) = table[(table["model"] == row["row"]) & (table["data"] == data)].to_dict(
                    "records"
                )
                assert found["error"] == error
                millions = float(row["printed_parameters"].removesuffix("M"))
                assert math.floor(found["parameters"] / 1e6) == millions


def test_ours_are_means_over_seeds(runs: list[Run]) -> None:
    table = points(runs)
    ours = table[table["who"] == "ours"].set_index("model")
    assert list(ours["n"]) == [3, 3, 3]
    for model in ("WRN 28-2", "SWRN 28-2", "SWRN 28-2-1"):
        errors = [
            run.test_error for run in runs if run.recipe.model == model.lower().replace(" ", "-")
        ]
        assert ours["error"][model] == statistics.mean(errors)
        assert ours["spread"][model] == statistics.stdev(errors)
    assert ours["parameters"]["WRN 28-2"] == paper.value("counts/wrn-28-2/cifar10")
    assert sorted(ours["family"]) == ["SWRN, k = 1", "SWRN, k = L", "WRN"]


@pytest.mark.parametrize(
    ("model", "data", "settings", "shown"),
    [
        ("wrn-28-2", "cifar10", {}, True),
        ("swrn-40-4", "cifar100", {"dropout": 0.3}, True),
        ("wrn-28-2", "cifar10-jpeg", {}, True),
        ("wrn-28-2", "digits", {}, True),
        ("wrn-28-2", "flowers", {}, False),
        ("wrn-28-2", "cifar10", {"cutout": 16}, False),
        ("scnn", None, {}, False),
    ],
)
def test_only_networks_trained_like_the_figures_are_shown(
    make_run: Make, model: str, data: str | None, settings: dict, shown: bool
) -> None:
    run = make_run(for_profile(model, data, "fast", **settings))
    assert shows(run) is shown
    run.model["parameters"] = 1
    assert len(points([run])) == len(points([])) + shown


def test_every_point_is_drawn_where_it_belongs(runs: list[Run]) -> None:
    table = points(runs)
    panels = efficiency(table)
    assert [panel.get_title() for panel in panels] == ["cifar10", "cifar100"]
    for panel in panels:
        drawn = {
            (x, y)
            for container in panel.containers
            for x, y in zip(container[0].get_xdata(), container[0].get_ydata(), strict=True)
        }
        rows = table[table["data"] == panel.get_title()]
        assert drawn == set(zip(rows["parameters"], rows["error"], strict=True))
    ours = next(
        c for c in panels[0].containers if c.get_label() == "WRN (cifar10, fast, 30 epochs)"
    )
    theirs = next(c for c in panels[0].containers if c.get_label() == "WRN (paper)")
    assert to_hex(ours[0].get_color()) == to_hex(theirs[0].get_color())
    panels[0].figure.clear()


def test_schedules_have_markers_and_digits_a_panel_of_their_own(
    runs: list[Run], make_run: Make
) -> None:
    longer = [replace(run, recipe=replace(run.recipe, epochs=90)) for run in runs[:3]]
    digits = replace(
        make_run(for_profile("wrn-28-2", "digits", "smoke"), 30.0), model=runs[0].model
    )
    panels = efficiency(points([*runs, *longer, digits]))
    titles = [panel.get_title() for panel in panels]
    assert titles == ["cifar10", "cifar100", "digits, a demonstration"]
    marker = {c.get_label(): c[0].get_marker() for panel in panels for c in panel.containers}
    short, long, shown = (
        marker[f"WRN ({of} epochs)"]
        for of in ("cifar10, fast, 30", "cifar10, fast, 90", "digits, smoke, 10")
    )
    assert len({short, long, shown}) == 3
    assert marker["SWRN, k = 1 (cifar10, fast, 30 epochs)"] == short
    assert [c[0].get_ydata().tolist() for c in panels[2].containers] == [[30.0]]
    panels[0].figure.clear()


def test_demonstrations_are_drawn_where_there_is_nothing_else(
    runs: list[Run], make_run: Make
) -> None:
    digits = make_run(for_profile("wrn-28-1", "digits", "smoke"))
    assert proper([*runs, digits]) == runs
    assert proper([digits]) == [digits]


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="0 data sets"):
        efficiency(points([]).head(0))
    with pytest.raises(ValueError, match="got 2 data sets and 1 axes"):
        efficiency(points([]), [None])  # type: ignore[list-item]
