"""The seeds that a t-test takes, against repetitions of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, ttest_ind

from softshare.results.power import SURE, seeds_needed


def told_apart(n: int, points: float, spread: float) -> float:
    """Part of drawn repetitions in which n seeds of each tell two networks apart."""
    chance = np.random.default_rng(0)
    one, other = chance.normal(0, spread, (2, 20_000, n))
    return float((ttest_ind(one + points, other, axis=1).pvalue < 0.05).mean())


@pytest.mark.parametrize(("points", "spread"), [(0.26, 0.18), (-0.3, 0.4), (1.5, 0.5)])
def test_so_many_seeds_do_and_one_less_does_not(points: float, spread: float) -> None:
    n = seeds_needed(points, spread)
    assert told_apart(n, points, spread) > SURE - 0.01
    assert told_apart(n - 1, points, spread) < SURE + 0.01


def test_the_smaller_the_difference_the_more_seeds() -> None:
    needed = [seeds_needed(points, 0.2) for points in (100, 2, 1, 0.5, 0.2, 0.1, 0.01)]
    assert needed == sorted(needed) and needed[0] == 2
    assert seeds_needed(0.3, 0.2) == seeds_needed(-3, 2)


@pytest.mark.parametrize("points", [0.02, 0.005, 0.0004])
def test_of_many_it_is_what_the_normal_distribution_takes(points: float) -> None:
    quantiles = norm.ppf(0.975) + norm.ppf(SURE)
    normal = 2 * (quantiles * 0.2 / points) ** 2
    assert seeds_needed(points, 0.2) == pytest.approx(normal, rel=1e-3, abs=2)


def test_without_a_spread_two_will_do() -> None:
    assert seeds_needed(0.1, 0.0) == 2


def test_no_difference_is_refused() -> None:
    with pytest.raises(ValueError, match="told apart by no seeds; got points=0"):
        seeds_needed(0.0, 0.2)
