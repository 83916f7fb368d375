"""Appendix B: each variant has its row, its difference an error, and its verdict a reason."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

import softshare as ss
from softshare import paper
from softshare.paper import matching
from softshare.paper.file import read
from softshare.plots.variant_plot import variant_errors
from softshare.queue.campaign import campaign, chosen
from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.results import efficiency
from softshare.results.difference import difference
from softshare.results.variant_claims import variant_sentences
from softshare.results.variant_results import judged, results
from softshare.results.variants import PLAIN, REFERENCE, nulls, rows, variant
from softshare.sharing.initialisation import INITS

Make = Callable[..., Run]
ERRORS = {  # of three seeds each
    PLAIN: (5.0, 5.2, 5.4),
    REFERENCE: (4.0, 4.2, 4.4),
    "identity": (4.1, 4.2, 4.3),
    "uniform": (9.0, 9.1, 9.2),
    "normal": (4.0, 4.1, 4.5),
    "sparse-uniform": (7.0, 7.1, 7.2),
    "unit": (4.9, 5.1, 5.3),
    "fixed": (5.1, 5.3, 5.5),
}


def recorded(make_run: Make, profile: str = "paper", **more: Any) -> list[Run]:
    found = []
    for row in rows():
        for seed, error in enumerate(ERRORS.get(row["row"], ())):
            recipe = for_profile(row["model"], "cifar10", profile, seed=seed, **row["options"])
            run = make_run(replace(recipe, **more), error)
            if row["row"] != PLAIN:
                grown = 1.0 if row["row"] in ("unit", "fixed") else 1.2
                kept = {"0": [[0.6, 0.8]], "1": [[grown, 0.0]]}
                alpha = {epoch: {"stage1": A} for epoch, A in kept.items()}
                run = replace(run, coefficients=alpha)
            found.append(replace(run, data=run.data | {"test": 10_000}))
    return found


def line(runs: list[Run], name: str) -> dict[str, Any]:
    table = results(runs)
    (only,) = table[table["variant"] == name].to_dict("records")
    return only


def test_every_start_of_the_library_and_every_control_has_one_row() -> None:
    assert [row["row"] for row in rows()] == [PLAIN, *INITS, "unit", "fixed"]
    recipes = [for_profile(row["model"], **row["options"]) for row in rows()]
    assert len(set(recipes)) == len(recipes)
    assert [variant(recipe) for recipe in recipes] == [row["row"] for row in rows()]
    said = {*paper.value("text/inits_alike"), *paper.value("text/inits_worse")}
    assert said | {REFERENCE} == set(INITS), "the paper speaks of all of them"


@pytest.mark.parametrize(
    "other",
    [
        {"dropout": 0.3},
        {"cutout": 16},
        {"recurrence": 0.1},
        {"fold": 0.5, "tune": 1},
        {"model": "swrn-28-4-2"},
        {"model": "swrn-40-4"},
        {"init": "normal", "coefficients": "unit"},
    ],
)
def test_what_is_trained_otherwise_is_no_variant(other: dict[str, Any]) -> None:
    assert variant(Recipe("swrn-28-4")) == REFERENCE
    assert variant(Recipe("swrn-28-1", epochs=3)) == REFERENCE, "any width or length will do"
    assert variant(replace(Recipe("swrn-28-4"), **other)) is None


@pytest.mark.parametrize("own", [{"init": "normal"}, {"coefficients": "unit"}])
def test_variants_stand_in_no_table_and_no_figure(
    make_run: Make, tmp_path: Path, own: dict[str, Any]
) -> None:
    for model, names in {"swrn-28-10": ("table1",), "swrn-40-8-8": ("figure7", "folding")}.items():
        base = make_run(for_profile(model), alpha={"stage1": [[1.0, 0.0], [0.0, 1.0]]})
        other = replace(base, recipe=replace(base.recipe, **own))
        assert not efficiency.shows(other)
        for run in (base, other):
            run.save(tmp_path / model)
        for name in names:
            assert ss.reproduce(name, train=False, runs=tmp_path / model).runs == [base]
    tables = read()[0]["tables"]
    assert matching.place(make_run(for_profile("swrn-28-10", **own)), "table1", tables) is None


def test_errors_differences_and_their_uncertainty_by_hand(make_run: Make) -> None:
    runs = recorded(make_run)
    found = line(runs, "uniform")
    assert found["error"] == pytest.approx(9.1)
    assert found["spread"] == pytest.approx(statistics.stdev(ERRORS["uniform"]))
    assert found["difference"] == pytest.approx(4.9)
    seeds = (0.1**2 + 0.2**2) / 3
    assert found["s.e."] == pytest.approx(math.sqrt(seeds))
    assert math.isnan(line(runs, REFERENCE)["difference"])
    single = [run for run in runs if run.seed == 0]
    assert difference(single[:1], single[1:2]).error == pytest.approx(
        math.sqrt((5.0 * 95.0 + 4.0 * 96.0) / 10_000)
    )


def test_settings_are_never_mixed(make_run: Make) -> None:
    runs = recorded(make_run) + recorded(make_run, "fast") + recorded(make_run, epochs=100)
    table = results(runs)
    assert len(table) == 3 * len(ERRORS)
    assert set(table["n"]) == {3}
    assert not table.duplicated(["variant", "profile", "epochs"]).any()
    narrow = [
        replace(r, recipe=replace(r.recipe, model="swrn-28-1")) for r in runs if r.coefficients
    ]
    assert set(results(runs + narrow)["width"]) == {1, 4}


def test_a_verdict_needs_the_papers_schedule_and_data(make_run: Make) -> None:
    expected = {
        PLAIN: ("worse", ""),
        REFERENCE: ("", ""),
        "identity": ("not told apart", "no difference seen"),
        "uniform": ("worse", "agrees"),
        "normal": ("not told apart", "undecided"),
        "sparse-uniform": ("worse", "disagrees"),
        "unit": ("worse", ""),
        "fixed": ("worse", ""),
    }
    for name, (here, verdict) in expected.items():
        found = line(recorded(make_run), name)
        assert (found["here"], found["verdict"]) == (here, verdict)
    for elsewhere in (recorded(make_run, "fast"), recorded(make_run, epochs=100)):
        assert set(results(elsewhere)["verdict"]) == {"", "not comparable"}
    assert judged("similar", "better") == "disagrees", "better than the best start is not alike"


def test_the_rate_is_the_mean_squared_length_of_the_rows(make_run: Make) -> None:
    runs = recorded(make_run)
    assert line(runs, REFERENCE)["start"] == pytest.approx(1.0)
    assert line(runs, REFERENCE)["end"] == pytest.approx(1.44)
    assert math.isnan(line(runs, PLAIN)["end"])


def test_sentences_tell_the_papers_words_and_the_control(make_run: Make) -> None:
    text = "\n".join(variant_sentences(recorded(make_run)))
    assert "SWRN 28-4 started orthogonally: 4.20 ± 0.20 % (n = 3)" in text
    assert "work worse: uniform +4.90 ± 0.13 points (worse); normal" in text
    assert "5.30 ± 0.20 % (n = 3) where that has 5.20 ± 0.20 % (n = 3)" in text
    assert "from 1.00 to 1.44" in text
    assert "Matched against free: +0.90 ± 0.16 points (worse)." in text
    assert "not the paper's setting" not in text
    assert "not the paper's setting" in variant_sentences(recorded(make_run, "fast"))[-1]
    assert variant_sentences([]) == [
        "No network of Appendix B with the orthogonal start is recorded yet."
    ]
    few = [run for run in recorded(make_run) if variant(run) in (REFERENCE, "uniform")]
    assert len(variant_sentences(few)) == 4, "the start, the paper's word, the rate, the count"
    assert "Told apart from the orthogonal start: 5 of 7 variants" in text


def test_rounding_is_the_measure_of_differences(make_run: Make) -> None:
    runs = recorded(make_run)
    for run, error in zip((r for r in runs if variant(r) == "fixed"), (5.3, 5.2, 5.0), strict=True):
        run.result["test_error"] = error  # +0.30, 0.00 and -0.40 from the plain network
    text = "\n".join(variant_sentences(runs))
    size = math.sqrt((0.3**2 + 0.4**2) / 3)
    assert f"seed by seed by +0.30, +0.00, -0.40 points, {size:.2f} in the root" in text
    assert f"or means of 3 less than {size / math.sqrt(3):.2f} apart, say nothing" in text
    single = "\n".join(variant_sentences([run for run in runs if run.seed == 0]))
    assert "to step: by +0.30 points. That is the measure of every other difference" in single
    assert "among these: single runs less apart say nothing." in single


def test_a_real_setting_with_most_variants_is_spoken_of_and_others_come_after(
    make_run: Make,
) -> None:
    toys = recorded(make_run, "smoke")
    pair = [r for r in recorded(make_run, "fast") if variant(r) in (PLAIN, REFERENCE)]
    short = [r for r in recorded(make_run, "fast", epochs=5) if variant(r) in (PLAIN, REFERENCE)]
    lines = variant_sentences(short + pair + toys)
    assert "(cifar10, 10 epochs, profile smoke). That is a demonstration, not a result." in lines[0]
    assert [line for line in lines if line.startswith("Elsewhere")] == lines[-3:-1]
    assert lines[-3].startswith(
        "Elsewhere (SWRN 28-4, cifar10, 30 epochs, profile fast), against the orthogonal start at "
        "4.20 ± 0.20 % (n = 3): without sharing +1.00 ± 0.16 points (worse). "
    )
    assert lines[-2].startswith("Elsewhere (SWRN 28-4, cifar10, 5 epochs, ")
    assert "Fixed orthogonal" not in "".join(lines[-3:]), "no such runs there"
    some = [r for r in recorded(make_run, "fast") if variant(r) in (PLAIN, REFERENCE, "unit")]
    for real in (some, recorded(make_run, "fast")):
        lines = variant_sentences(toys + real)
        assert "(cifar10, 30 epochs, profile fast)." in lines[0]
        assert "demonstration" not in lines[0]
        assert lines[-2].startswith("Elsewhere (SWRN 28-4, cifar10, 10 epochs, profile smoke)")
        assert "Fixed orthogonal coefficients train the network without sharing" in lines[-2]


def test_the_page_trains_and_finds_its_runs(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOFTSHARE_BOOK", raising=False)
    asked = []

    def trainer(model: str, data: str, profile: str, *, runs: Path, **settings: Any) -> Run:
        asked.append(for_profile(model, data, profile, **settings))
        run = make_run(asked[-1])
        run.save(runs)
        return run

    monkeypatch.setattr("softshare.reproduction.collection.train_run", trainer)
    found = ss.reproduce("appendix_b", profile="smoke", runs=tmp_path)
    wanted = [
        for_profile(row["model"].replace("-4", "-1"), "digits", "smoke", **row["options"])
        for row in rows()
    ]
    assert asked == wanted
    assert {run.recipe for run in found.runs} == set(wanted)
    assert len(found.missing) == len(rows())
    assert "-p profile smoke -p data digits" in found.source()
    assert ss.reproduce("appendix_b", runs=tmp_path).trained == [], "each variant has a run"
    served = {job.recipe for job in chosen(campaign("cpu"), "smoke", ["appendix_b"])}
    assert set(wanted) <= served


def test_nulls_are_those_of_random_coefficients() -> None:
    table = nulls(6, [6, 1]).set_index("init")
    assert set(table.index) == set(INITS)
    assert table["k = 6"][["orthogonal", "identity"]].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert (table["k = 6"][["uniform", "normal"]] > 0.25).all()
    assert table["k = 1"].dropna().tolist() == pytest.approx([1.0] * 5)


def test_drawings_show_what_is_there(make_run: Make) -> None:
    runs = recorded(make_run) + recorded(make_run, "fast")
    axes = variant_errors(results(runs))
    assert len(axes) == 2, "a panel a setting"
    for ax in axes:
        assert [tick.get_text() for tick in axes[0].get_yticklabels()] == list(ERRORS)
        (bars,) = ax.containers
        means = [statistics.mean(errors) for errors in ERRORS.values()]
        assert bars[0].get_xdata().tolist() == pytest.approx(means)
    narrow = [make_run(replace(run.recipe, model="wrn-28-1")) for run in runs[:1]]
    assert len(variant_errors(results([*runs, *narrow]))) == 2, "nothing to compare at this width"
    assert [ax.get_title() for ax in variant_errors(results(narrow))] == [
        "cifar10, width 1\npaper, 200 epochs"
    ]
    assert variant_errors(results([])) == []
    plt.close("all")
