"""How sure a difference of errors is, against draws of what it is drawn from, and scipy."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy.stats import norm, ttest_ind, ttest_rel

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.difference import (
    BY_CHANCE,
    LEVEL,
    Difference,
    difference,
    holm,
    interval,
    paired,
    welch,
)

Make = Callable[..., Run]


def runs(make_run: Make, model: str, errors: list[float]) -> list[Run]:
    recipes = [for_profile(model, "digits", "smoke", seed=seed) for seed in range(len(errors))]
    return [make_run(recipe, error) for recipe, error in zip(recipes, errors, strict=True)]


def test_of_single_runs_it_is_what_drawing_test_images_gives(make_run: Make) -> None:
    ours, others = runs(make_run, "swrn-28-1", [10.0]), runs(make_run, "wrn-28-1", [20.0])
    torch.manual_seed(0)
    drawn = [
        100 * torch.rand(20_000, 400).lt(error).float().mean(1)  # 400 images, many times
        for error in (0.1, 0.2)
    ]
    found = difference(ours, others)
    assert found.points == pytest.approx(-10)
    assert found.error == pytest.approx((drawn[0] - drawn[1]).std().item(), rel=0.03)
    assert found.p == pytest.approx(2 * norm.sf(10 / found.error))


def test_what_is_known_of_one_networks_seeds_is_added_to_that(make_run: Make) -> None:
    ours, others = runs(make_run, "swrn-28-1", [9.0, 11.0]), runs(make_run, "wrn-28-1", [10.0])
    seeds = difference(ours, others).error ** 2 - difference(ours[:1], others).error ** 2
    images = (10 * 90 - 9 * 91) / 400  # the mean error is another one
    assert seeds == pytest.approx(2 / 2 + images)  # two points apart: variance 2, over two seeds


def test_with_seeds_of_both_they_alone_decide(make_run: Make) -> None:
    """As in the paper: five seeds that hardly differ tell networks apart by 0.3 points."""
    errors = [4.03, 3.97, 4.0, 4.05, 3.95], [3.77, 3.71, 3.74, 3.70, 3.78]
    plain, shared = runs(make_run, "wrn-28-1", errors[0]), runs(make_run, "swrn-28-1", errors[1])
    found = difference(shared, plain)
    assert found.seen == "better" and found.points == pytest.approx(-0.26)
    assert found.p == pytest.approx(ttest_ind(*errors, equal_var=False).pvalue)
    one = difference(shared[:1], plain)
    assert one.seen == "not told apart", "400 images tell no such networks apart"


@pytest.mark.parametrize("sizes", [(2, 2), (2, 5), (3, 3), (7, 4)])
@pytest.mark.parametrize("apart", [0.0, 0.5, 3.0])
def test_welch_is_scipys(sizes: tuple[int, int], apart: float) -> None:
    torch.manual_seed(sum(sizes))
    one, other = (torch.randn(n, dtype=torch.float64).tolist() for n in sizes)
    other = [value + apart for value in other]
    assert welch(one, other) == pytest.approx(ttest_ind(one, other, equal_var=False).pvalue)
    assert welch(one, other) == pytest.approx(welch(other, one))
    low, high = interval(one, other)
    wanted = ttest_ind(one, other, equal_var=False).confidence_interval(1 - LEVEL)
    assert (low, high) == pytest.approx((wanted.low, wanted.high))
    assert (low <= 0 <= high) == (welch(one, other) >= LEVEL)


@pytest.mark.parametrize("pairs", [2, 3, 7])
@pytest.mark.parametrize("apart", [0.0, 0.5, 3.0])
def test_paired_is_scipys(pairs: int, apart: float) -> None:
    torch.manual_seed(pairs)
    one, other = torch.randn(2, pairs, dtype=torch.float64).tolist()
    other = [value + apart for value in other]
    assert paired(one, other) == pytest.approx(ttest_rel(one, other).pvalue)
    assert paired(one, other) == pytest.approx(paired(other, one))
    assert paired(one, one) == 1 and paired([1.0, 3.0], [2.0, 4.0]) == 0


def test_seeds_without_any_spread_are_told_apart_by_any_difference() -> None:
    assert welch([0.1] * 3, [0.1] * 2) == 1 and welch([0.1] * 3, [0.2] * 2) == 0
    assert interval([0.5] * 3, [0.25] * 2) == (0.25, 0.25)


def test_networks_that_are_alike_are_told_apart_as_rarely_as_said() -> None:
    torch.manual_seed(0)
    draws = torch.randn(4000, 2, 5).tolist()
    told = [Difference(1.0, 1.0, welch(*draw)).seen != "not told apart" for draw in draws]
    assert sum(told) / len(told) == pytest.approx(1 / BY_CHANCE, rel=0.15)


def test_nothing_known_tells_nothing_apart() -> None:
    assert Difference(1.0, math.nan, math.nan).seen == "not told apart"


def test_holms_rule_keeps_the_chance_of_any_false_difference() -> None:
    """Of six comparisons of networks that are alike, at most one family in 20 has one."""
    torch.manual_seed(0)
    families = torch.rand(4000, 6).tolist()
    assert sum(holm(family) > 0 for family in families) / 4000 <= 1.2 / BY_CHANCE
    assert holm([0.0156, 0.0187, 0.16, 0.46, 0.47, 0.75]) == 0, "0.0156 times 6 is too much"
    assert holm([0.008, 0.0099, 0.16, 0.46, 0.47, 0.75]) == 2, "the second has to be below 0.01"
