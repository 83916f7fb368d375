"""Networks with the recurrence regulariser beside those without, on runs made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import softshare as ss
from softshare.paper import compare, value
from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.reproduction.plan import Plan
from softshare.results.patterns import brightness
from softshare.results.regularised import families, sentences, similarity, table
from softshare.sharing import banks

STAGES = ("stage1", "stage2", "stage3")


@pytest.fixture
def alike(soft_run: Callable[..., Run]) -> Callable[..., Run]:
    """A run of SWRN 28-1-4, whose layers repeat with a period; 6 for hardly."""

    def alike(period: int, error: float, **settings: Any) -> Run:
        run = soft_run("swrn-28-1-4", dict.fromkeys(STAGES, (6, 4, period)))
        recipe = for_profile("swrn-28-1-4", "cifar10", "fast", epochs=10, **settings)
        return replace(run, recipe=recipe, result={"test_error": error})

    return alike


def test_each_stands_beside_networks_trained_alike_without(alike: Callable[..., Run]) -> None:
    pulled, free = alike(1, 14.25, recurrence=0.01), alike(6, 14.0)
    others = [
        alike(6, 14.0, lr=0.05),
        alike(6, 14.0, init="normal"),
        alike(6, 14.0, fold=0.9, tune=1),
    ]
    assert families([pulled, *others, free]) == [[free, pulled]]
    fewer = replace(free, recipe=replace(free.recipe, model="swrn-28-1-2"))
    deeper = replace(free, recipe=replace(free.recipe, model="swrn-40-1-4"))
    assert families([pulled, fewer, deeper]) == [[fewer, pulled]]
    assert families([free, fewer]) == []


def test_demonstrations_are_left_out_where_there_is_anything_else(
    alike: Callable[..., Run],
) -> None:
    real, toy = alike(1, 14.0, recurrence=0.01), alike(1, 3.0, recurrence=0.01)
    toy = replace(toy, recipe=for_profile("swrn-28-1-4", profile="smoke", recurrence=0.01))
    assert families([toy]) == [[toy]]
    assert families([toy, real]) == [[real]]


def test_a_row_is_what_fold_makes_of_the_network(alike: Callable[..., Run]) -> None:
    """Ties counted from the coefficients in the record, against the report of a real folding."""
    t = value("figures/figure6/similarity")
    runs = [alike(6, 14.0), alike(2, 14.25, recurrence=0.01)]
    for line, run in zip(table(runs).to_dict("records"), runs, strict=True):
        net = ss.build("swrn-28-1-4")
        for name, bank in banks(net).items():
            alpha = run.coefficients[list(run.coefficients)[-1]][name]
            bank.coefficients.data = bank.coefficients.new_tensor(alpha)
        report = ss.fold(net, t, inputs=None).report
        ties = sum(len(group.layers) - len(group.ties) for group in report.groups)
        assert line["layers"] == 28 - ties
        assert line["params"].replace("\u202f", "") == str(report.parameters_after)
        assert line["mean"] == pytest.approx(sum(map(brightness, run.lsm().values())) / 3)
        measured = [folded for folded in run.folded if folded["threshold"] >= t][-1]
        assert line["folded (%)"] == measured["test_error"]
        assert line["recal. (%)"] == measured["test_error_recalibrated"]
        within = [x for x in run.folded if x["test_error_recalibrated"] <= 14.25 + 0.3]
        small = ss.fold(net, min(x["threshold"] for x in within), inputs=None).report
        ties = sum(len(group.layers) - len(group.ties) for group in small.groups)
        assert line["cheap"] == 28 - ties


def test_the_sentence_says_what_it_did_and_what_folding_costs(alike: Callable[..., Run]) -> None:
    pulled, free = alike(1, 14.25, recurrence=0.01), alike(6, 14.0)
    (line,) = sentences([pulled, free])
    begin = "SWRN 28-1-4 (recurrence 0.01) (cifar10, 10 epochs, profile fast): similarity "
    assert line.startswith(f"{begin}{similarity(pulled):.2f} where it is {similarity(free):.2f} ")
    assert "; its error lies +0.25 ± " in line and "(not told apart, p = " in line
    small = [folded for folded in pulled.folded if folded["threshold"] >= 0.8][-1]
    assert f", for {small['test_error'] - 14.25:+.2f} points, and for " in line
    assert f"{small['test_error_recalibrated'] - 14.25:+.2f} from 14.25 % with batch" in line
    (alone,) = sentences([pulled])
    assert alone.startswith(f"{begin}{similarity(pulled):.2f}; it has not been trained without ")
    assert line.endswith(
        " Without the regulariser SWRN 28-1-4 is nearest in size, with 272\u202f802 parameters, "
        "and has 14.00 % (n = 1)."
    )
    (both,) = sentences([pulled, replace(pulled, recipe=replace(pulled.recipe, seed=1)), free])
    assert both.count("Folded at similarity 0.8, seed ") == 2
    assert both.count("Without the regulariser") == 1, "what they both compete with, once"
    fewer = replace(
        free,
        recipe=replace(free.recipe, model="swrn-28-1-1"),
        model=free.model | {"parameters": 127_596},
        result={"test_error": 20.0},
    )
    (line,) = sentences([pulled, free, fewer])
    assert " SWRN 28-1-1 is nearest in size, with 127\u202f596 parameters, and has 20.00 %" in line
    (whole,) = sentences([replace(pulled, coefficients=free.coefficients), free])
    assert "nearest in size" not in whole
    (unmeasured,) = sentences([replace(pulled, folded=[])])
    assert unmeasured.endswith("; what that costs is not measured.")
    assert sentences([free]) == ["No network of images has been trained with the regulariser yet."]


def test_it_belongs_in_no_table_and_no_figure(alike: Callable[..., Run]) -> None:
    pulled = alike(1, 14.0, recurrence=0.01)
    for name in ("table1", "table2", "table4"):
        assert not compare([pulled], name)["n"].any()
    for name in ("figure3", "figure4", "folding"):
        assert not Plan(name).concerns(pulled)
    paths = replace(pulled, recipe=Recipe("scnn-r", "shortest-paths", recurrence=0.01))
    assert families([paths]) == [] and families([paths, pulled]) == [[pulled]]
