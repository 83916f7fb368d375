"""What folding cost: tables, curves and sentences of runs with chosen results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import matplotlib.pyplot
import pytest

import softshare as ss
from softshare.paper import value
from softshare.plots.folding_plot import folding_curves
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.records.naming import length
from softshare.results import drift
from softshare.results.folding_results import (
    chance_of,
    cost,
    furthest,
    saves,
    summary,
    table,
    threshold,
    unfolded,
)
from softshare.results.folding_sentences import price, sentences

matplotlib.use("agg")
GROUPS = {f"stage{i}": (6, 4, 2) for i in (1, 2, 3)}


@pytest.fixture(scope="module")
def run(soft_run: Callable[..., Run]) -> Run:
    """Unfolded 14.25 %; folding number i costs 3 i points, and i points recalibrated."""
    return soft_run("swrn-28-1-4", GROUPS)


def scored(run: Run, costs: list[tuple[float, float]]) -> Run:
    lines = [
        line | {"test_error": 14.25 + a, "test_error_recalibrated": 14.25 + b}
        for line, (a, b) in zip(run.folded, costs, strict=False)
    ]
    return replace(run, folded=lines)


def test_the_table_has_a_row_for_each_measured_folding(run: Run) -> None:
    found = table([run, replace(run, folded=[])])
    assert len(found) == len(run.folded) > 5
    assert found["cost"].tolist() == pytest.approx([3 * i for i in range(len(found))])
    assert found["cost recalibrated"].tolist() == pytest.approx(list(range(len(found))))
    assert (found["share"] * run.model["parameters"]).tolist() == pytest.approx(
        found["parameters"].tolist()
    )
    assert set(found["chance"]) == {chance_of(run)} == {ss.chance_level(6, 4)}


def test_each_score_is_set_beside_one_estimated_alike(run: Run) -> None:
    better = [line | {"test_error_recalibrated": 4.25 + 2 * i} for i, line in enumerate(run.folded)]
    better = replace(run, folded=better)
    assert (unfolded(better), unfolded(better, "_recalibrated")) == (14.25, 4.25)
    found = table([better])
    assert found["cost recalibrated"].tolist() == pytest.approx([2 * i for i in range(len(found))])
    assert found["cost"].tolist() == table([run])["cost"].tolist()
    assert set(found["unfolded"]) == {14.25} and set(found["unfolded recalibrated"]) == {4.25}
    assert furthest(better, 1, "_recalibrated") == better.folded[0], "not one that was worse before"


def test_a_lower_f1_costs_and_a_higher_error_costs(run: Run, make_run: Callable[..., Run]) -> None:
    paths = make_run(for_profile("scnn", profile="smoke"), 0.8)
    assert cost(paths, 0.79) == pytest.approx(1.0)
    assert cost(run, 15.25) == pytest.approx(1.0)


def test_the_furthest_folding_is_the_smallest_within_the_bound(run: Run) -> None:
    mixed = scored(run, [(0, 0), (0.1, 0), (5, 0.1), (0.2, 0.2), (5, 0.5)])
    assert furthest(mixed, 0.3) == mixed.folded[3]
    assert furthest(mixed, 0.3, "_recalibrated") == mixed.folded[3]
    assert furthest(mixed, 0.15) == mixed.folded[1]
    assert furthest(scored(run, [(1, 0)]), 0.3) is None


def test_sentences_say_how_far_and_beside_it_what_chance_does(
    soft_run: Callable[..., Run],
) -> None:
    run = soft_run("swrn-28-1-5", {f"stage{i}": (6, 5, i) for i in (1, 2, 3)})
    size = run.model["parameters"]
    smaller = [line for line in run.folded if line["parameters"] < 0.99 * size]
    run = replace(run, folded=[run.folded[0], *smaller])
    bound, level = value("figures/figure6/error_increase"), chance_of(run)
    low = scored(run, [(0, 0), (0.1, 0.1), (5, 0.2), (5, 5)])
    text, count = sentences([low])
    assert count.startswith("1 trained network was set beside random drift; ")
    for line, how in ((low.folded[1], "as it is"), (low.folded[2], "statistics estimated anew")):
        size = f"{int(line['parameters']):,}".replace(",", "\u202f")
        how += " (14.25 % unfolded)"
        assert f"{how}, it folds to {size} of" in text
        assert f"for at most {bound:g} points, at threshold {threshold(low, line)}, " in text
    moved = drift.greatest(run)
    assert text.endswith(f"Chance level {level:.2f}, random drift up to {moved:.2f}.")
    beyond = [line["threshold"] > moved for line in low.folded[1:3]]
    odds = f"one draw in {round(1 / (1 - drift.SHARE))}"
    assert text.count(f"which random drift reaches in fewer than {odds}") == sum(beyond)
    assert text.count("which random drift reaches too") == 2 - sum(beyond)
    below = replace(low, folded=[x | {"threshold": level / 2} for x in low.folded])
    assert "not above the chance level" in sentences([below])[0]
    dear, _ = sentences([scored(run, [(0, 0), (4, 2)])])
    assert "the first folding that saves more than 0.05 %" in dear
    assert "costs 4.00 points" in dear and "costs 2.00 points" in dear
    (none,) = sentences([replace(run, folded=[])])
    assert f"is not measured. Chance level {level:.2f}, random" in none
    whole, _ = sentences([replace(run, folded=run.folded[:1])])
    assert f"no folding saves more than 0.05 %. Chance level {level:.2f}, random" in whole
    assert sentences([]) == ["No soft-shared network is recorded yet."]


def test_as_many_networks_as_were_set_beside_drift_are_counted(run: Run) -> None:
    seeds = [replace(run, recipe=replace(run.recipe, seed=seed)) for seed in range(3)]
    unmeasured = replace(run, folded=[], recipe=replace(run.recipe, seed=3))
    unkept = {epoch: A for epoch, A in run.coefficients.items() if epoch != "0"}
    no_start = replace(run, coefficients=unkept, recipe=replace(run.recipe, seed=4))
    count = sentences([*seeds, unmeasured, no_start])[-1]
    assert count.startswith("3 trained networks were set beside random drift; ")
    assert not any("set beside" in line for line in sentences([unmeasured, no_start]))


def test_the_price_of_a_threshold_is_that_of_the_folding_there(run: Run) -> None:
    t = (run.folded[2]["threshold"] + run.folded[3]["threshold"]) / 2
    assert price(run, t) == (
        "what it costs: 14.25 % before and 20.25 % after; with batch statistics estimated anew "
        "14.25 % before and 16.25 % after"
    )
    assert price(run, run.folded[3]["threshold"]).count("23.25 %") == 1
    assert price(replace(run, folded=[]), t).endswith("not measured")


def test_a_tuned_network_stands_beside_the_one_it_came_from(run: Run) -> None:
    t = (run.folded[2]["threshold"] + run.folded[3]["threshold"]) / 2
    tuned = replace(
        run,
        recipe=replace(run.recipe, fold=t, tune=2),
        model=run.model | {"parameters": 1234},
        coefficients={},
        folded=[],
        result={"test_error": 14.5},
        origin=run.origin | {"precision": "bfloat16"},
    )
    *_, text = sentences([run, tuned])
    assert "tuned 2 (cifar10, seed 0): 14.50 % with 1\u202f234 parameters, in bfloat16;" in text
    assert "; unfolded, after 4 epochs in float32, 14.25 % with" in text
    again = "16.25 % where batch statistics are estimated anew, which tuning does as well."
    assert f"; folded and not tuned 20.25 %, {again} " in text
    moved = drift.greatest(run)
    assert text.endswith(f"Chance level {chance_of(run):.2f}, random drift up to {moved:.2f}.")
    assert "is not among these runs" in sentences([tuned])[0]
    assert len(summary([run, tuned])) == 1


def test_the_summary_has_a_row_for_each_shared_run(run: Run, make_run: Callable[..., Run]) -> None:
    found = summary([run, replace(run, folded=[]), make_run(for_profile("wrn-28-1", epochs=1))])
    assert found["network"].tolist() == ["SWRN 28-1-4"] * 2
    assert found["threshold"].tolist() == ["none", "not measured"]
    assert found["greatest drift"].tolist() == [drift.greatest(run)] * 2
    smaller = next(i for i, x in enumerate(run.folded) if saves(run, x))
    cheap = summary([scored(run, [(0, 0)] * (smaller + 1) + [(1, 1)])])
    assert cheap["threshold"].tolist() == [threshold(run, run.folded[smaller])]
    share = run.folded[smaller]["parameters"] / run.model["parameters"]
    assert cheap["left"].tolist() == cheap["recal. left"].tolist() == [f"{100 * share:.1f}%"]
    assert found["left"].tolist() == ["", ""]


def test_what_a_recipe_sets_of_its_own_tells_rows_apart(run: Run) -> None:
    cut = replace(run, recipe=replace(run.recipe, cutout=4))
    found = summary([run, cut])
    how = f"{run.data['name']}, {run.profile}, {length(run.recipe)}"
    told = found["training"].str.replace("\N{NO-BREAK SPACE}", " ").tolist()
    assert told == [how, f"{how}, cutout 4"]
    assert found["score"].tolist() == ["14.25\N{NO-BREAK SPACE}%"] * 2


def test_folding_at_a_printed_threshold_makes_the_folding_beside_it(run: Run) -> None:
    """It lies at or below that of the folding, and above that of the next."""
    ends = [line["threshold"] for line in run.folded]
    printed = [float(threshold(run, line)) for line in run.folded]
    for t, own, further in zip(printed, ends, [*ends[1:], -1.0], strict=True):
        assert further < t <= own


def test_curves_hold_the_measured_values_and_the_chance_level(run: Run) -> None:
    above, below = folding_curves([run, replace(run, folded=[])])
    thresholds = [line["threshold"] for line in run.folded]
    costs = [line for line in above.lines if len(line.get_xdata()) == len(thresholds)]
    assert [list(line.get_xdata()) for line in costs] == [thresholds] * 2
    assert costs[0].get_ydata().tolist() == pytest.approx([3 * i for i in range(len(thresholds))])
    level = [line.get_xdata()[0] for line in below.lines if line.get_linestyle() == ":"]
    assert level == [chance_of(run)]
    moved = [line.get_xdata()[0] for line in above.lines if line.get_linestyle() == "-."]
    assert moved == [drift.greatest(run)]
    assert below.get_xlim()[0] > below.get_xlim()[1], "folding proceeds to the right"
    above.figure.clear()
    assert folding_curves([]) == []


def test_curves_of_a_data_set_share_a_figure_and_seeds_a_colour(run: Run) -> None:
    def another(model: str, data: str, seed: int) -> Run:
        recipe = replace(run.recipe, model=model, data=data, seed=seed)
        return replace(run, recipe=recipe, data=run.data | {"name": data})

    runs = [another("swrn-28-1-4", "cifar10", seed) for seed in (0, 1)]
    runs += [another("swrn-28-1-3", "cifar10", 0), another("swrn-28-1-4", "cifar100", 0)]
    first, _, second, _ = folding_curves(runs)
    assert first.figure is not second.figure
    (legend,) = first.figure.legends
    assert [text.get_text().split(",")[0] for text in legend.texts] == [
        "SWRN 28-1-4",
        "SWRN 28-1-3",
    ]
    full = [
        line for line in first.lines if line.get_linestyle() == "-" and line.get_marker() == "."
    ]
    assert full[0].get_color() == full[1].get_color() != full[2].get_color()
    matplotlib.pyplot.close("all")


def test_sentences_leave_out_what_tells_less_and_say_so(run: Run) -> None:
    short = replace(run, recipe=replace(run.recipe, epochs=run.recipe.epochs - 1))
    told = sentences([run, short])
    assert told[:-1] == sentences([run])
    assert told[-1].startswith("Left out here: 1 run, ")


def test_reproduce_shows_any_shared_network_and_misses_the_papers(
    run: Run, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run.save(tmp_path)
    make_run(for_profile("wrn-28-1", epochs=1)).save(tmp_path)
    found = ss.reproduce("folding", runs=tmp_path)
    assert [r.recipe for r in found.runs] == [run.recipe], "and nothing was trained"
    assert [r.model for r in found.missing] == ["swrn-28-10-4", "swrn-40-8-8"]
    assert len(found.folding_curves()) == 2 and len(found.foldings()) == 1
    assert str(found.findings()) == "\n".join(f"- {line}" for line in sentences([run]))
