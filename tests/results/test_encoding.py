"""What an encoding costs, on runs made by hand whose errors are known functions of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from softshare.data.compression import steps
from softshare.paper import compare
from softshare.paper.matching import recoded
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.reproduction.plan import Plan
from softshare.results.difference import difference
from softshare.results.encoding import families, sentences, table

JPEG = "cifar10-jpeg"


@pytest.fixture
def trained(make_run: Callable[..., Run]) -> Callable[..., list[Run]]:
    """Three seeds about an error: ``trained("cifar10-jpeg-q50", 20.0)``."""

    def trained(data: str, error: float, model: str = "wrn-28-1", **settings: Any) -> list[Run]:
        recipes = [for_profile(model, data, "fast", seed=s, **settings) for s in range(3)]
        return [make_run(r, error + off) for r, off in zip(recipes, (-0.1, 0, 0.1), strict=True)]

    return trained


@pytest.fixture
def straight(trained: Callable[..., list[Run]]) -> list[Run]:
    """Errors of 10 and 4 for each of the standard's steps, coarsest encoding first."""
    names = [f"{JPEG}-q25", f"{JPEG}-q50", JPEG]
    return [run for name in names for run in trained(name, 10 + 4 * steps(name))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("cifar10", 0), (JPEG, 0.5), ("cifar10-q75", 0.5), ("cifar10-q99", 0.02)),
        *((f"{JPEG}-q{q}", s) for q, s in {1: 50, 25: 2, 49: 50 / 49, 50: 1, 80: 0.5}.items()),
    ],
)
def test_steps_are_those_of_the_coarsest_encoding(name: str, expected: float) -> None:
    assert steps(name) == pytest.approx(expected)


def test_a_family_is_trained_alike_and_has_the_set_itself(
    trained: Callable[..., list[Run]], straight: list[Run]
) -> None:
    lone = [
        *trained(f"{JPEG}-q50", 20.0, "wrn-28-2"),
        *trained(f"{JPEG}-q50", 20.0, epochs=10),
        *trained("cifar10-q50", 20.0),
        *trained(JPEG, 20.0, "swrn-28-1"),
    ]
    (family,) = families([*lone, *straight])
    assert [seeds[0].recipe.data for seeds in family] == [JPEG, f"{JPEG}-q50", f"{JPEG}-q25"]
    assert family == [straight[6:], straight[3:6], straight[:3]]
    assert families(lone) == [] and "No network" in sentences(lone)[0]


def test_the_table_sets_each_encoding_beside_the_set_itself(straight: list[Run]) -> None:
    rows = table(straight)
    assert rows["steps"].tolist() == [0.5, 1, 2]
    assert rows["error"].tolist() == pytest.approx([12, 14, 18])
    assert rows["spread"].tolist() == pytest.approx([0.1] * 3)
    assert rows["difference"].tolist()[1:] == pytest.approx([2, 6])
    apart = difference(straight[3:6], straight[6:])
    assert rows.loc[1, ["s.e.", "p", "here"]].tolist() == [apart.error, apart.p, "worse"]
    assert rows.loc[0, "here"] == "" and rows.loc[0, ["difference", "s.e.", "p"]].isna().all()


def test_one_run_has_no_spread(straight: list[Run]) -> None:
    rows = table([straight[0], *straight[6:]])
    assert rows["n"].tolist() == [3, 1] and rows["spread"].isna().tolist() == [False, True]


def test_what_is_in_proportion_goes_back_to_the_error_without_any(straight: list[Run]) -> None:
    (text,) = sentences(straight)
    assert "12.00 % on cifar10-jpeg (n = 3)" in text
    assert "+2.00 ± 0.08 points at quality 50 (worse, p " in text
    assert "rounded to 0.5 of the standard's steps, and quality 50 rounds to 1" in text
    assert "2.00 ± 0.08 points of the error would come from that rounding" in text  # 12 - 10
    assert "From quality 50 to 25 they change by +4.00 ± 0.08 points, where" in text
    assert "+4.00 ± 0.16 would be in proportion." in text


@pytest.mark.parametrize(("power", "word"), [(0.5, "more"), (2, "less")])
def test_a_bend_says_to_which_side_proportion_errs(
    trained: Callable[..., list[Run]], power: float, word: str
) -> None:
    names = [JPEG, f"{JPEG}-q50", f"{JPEG}-q25"]
    (text,) = sentences([r for name in names for r in trained(name, 10 + 4 * steps(name) ** power)])
    inferred = 4 * (1 - 0.5**power)  # where 4 * 0.5 ** power is the rounding's true share
    assert f"{inferred:.2f} ± 0.08 points of the error would come" in text
    assert (inferred < 4 * 0.5**power) == (word == "more")
    assert f"{word} than that share comes from the rounding." in text


def test_the_step_away_need_not_be_the_step_back(trained: Callable[..., list[Run]]) -> None:
    (text,) = sentences([*trained(JPEG, 12.0), *trained(f"{JPEG}-q25", 18.0)])  # 0.5 to 2
    assert "2.00 ± 0.03 points of the error would come" in text and "in proportion." not in text


def test_nothing_is_inferred_where_nothing_was_made_coarser(
    trained: Callable[..., list[Run]],
) -> None:
    (text,) = sentences([*trained(JPEG, 12.0), *trained(f"{JPEG}-q90", 12.0)])
    assert "not told apart" in text and "would" not in text
    (text,) = sentences([*trained("cifar10", 10.0), *trained("cifar10-q75", 12.0)])
    assert "+2.00 ± 0.08 points at quality 75" in text and "would" not in text


def test_no_table_or_figure_shows_them_unasked(straight: list[Run]) -> None:
    lossy = [run for run in straight if recoded(run.recipe)]
    for target in ("table1", "figure3"):
        assert [run for run in straight if Plan(target).concerns(run)] == straight[6:]
    asked = Plan("table1", data=f"{JPEG}-q50")
    assert sum(asked.concerns(run) and asked.shows(run) for run in lossy) == 3
    assert set(compare(lossy, "table1")["variant"].dropna()) >= {f"{JPEG}-q50", f"{JPEG}-q25"}
