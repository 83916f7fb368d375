"""Networks of equal size: against numpy's line between plain ones, and what draws and scipy say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.difference import difference, weighted
from softshare.results.equal_size import equal_size, unmatched
from softshare.results.equal_size_claims import conclusion, equal_size_sentences

Make = Callable[..., list[Run]]


@pytest.fixture
def runs(make_run: Callable[..., Run]) -> Make:
    """``runs("wrn-28-2", 1_000_000, 5.0, 5.5)``: two seeds of one with a million parameters."""

    def make(model: str, size: int, *errors: float, **settings: Any) -> list[Run]:
        given = {"data": "cifar10", "profile": "fast"} | settings
        made = [
            make_run(for_profile(model, seed=seed, **given), e) for seed, e in enumerate(errors)
        ]
        return [replace(run, model={"parameters": size, "macs": 2 * size}) for run in made]

    return make


@pytest.mark.parametrize("ratio", [0.9901, 1.0, 1.0099])
@pytest.mark.parametrize("plain", [(5.0,), (5.0, 5.4, 4.9)])
def test_one_of_equal_size_stands_against_that_network_alone(
    runs: Make, ratio: float, plain: Sequence[float]
) -> None:
    others = runs("wrn-28-2", round(1_000_000 / ratio), *plain)
    ours = runs("swrn-28-2-2", 1_000_000, 4.0, 4.2)
    far = [*runs("wrn-28-1", 300_000, 9.0), *runs("wrn-28-4", 5_000_000, 3.0)]
    (row,) = equal_size([*far, *ours, *others]).to_dict("records")
    known = difference(ours, others)
    assert (row["shared"], row["against"]) == ("SWRN 28-2-2", "WRN 28-2")
    assert (row["ours"], row["s.e."], row["p"]) == (known.points, known.error, known.p)
    assert row["here"] == known.seen
    assert row["plain"] == f"{sum(plain) / len(plain):.2f}"
    assert row["n"] == f"2 and {len(plain)}"


@pytest.mark.parametrize("size", [400_000, 1_000_000, 2_900_000])
@pytest.mark.parametrize(
    ("error", "beyond"), [("line + 0.3", "line"), ("line - 1e-3", ""), ("low - 0.2", "low")]
)
def test_between_two_sizes_it_stands_against_the_nearer_end(
    runs: Make, size: int, error: str, beyond: str
) -> None:
    sizes, errors = [300_000, 3_000_000], [30.0, 10.0]
    ends = {"line": float(np.interp(np.log(size), np.log(sizes), errors)), "low": errors[1]}
    ours = runs("swrn-28-2-2", size, eval(error, {}, ends))
    plain = [runs(f"wrn-28-{i}", s, e) for i, s, e in zip((1, 4), sizes, errors, strict=True)]
    outer = [*runs("wrn-16-1", 100_000, 60.0), *runs("wrn-28-6", 9_000_000, 1.0)]
    (row,) = equal_size([*outer, *plain[1], *ours, *plain[0]]).to_dict("records")
    assert row["against"] == "WRN 28-1 to WRN 28-4"
    assert row["plain"] == f"10.00 to {ends['line']:.2f}"
    assert row["MACs"] == pytest.approx(size / sizes[1]), "of the larger one"
    if not beyond:
        assert (row["ours"], row["p"], row["here"]) == (0, 1, "not told apart")
        return
    assert row["ours"] == pytest.approx(ours[0].test_error - ends[beyond])
    share = np.log(size / sizes[0]) / np.log(sizes[1] / sizes[0])
    weights = (1, 1 - share, share) if beyond == "line" else (1, 0, 1)
    spread = [100**2 * (e / 100) * (1 - e / 100) / 400 for e in (ours[0].test_error, *errors)]
    variance = sum(w**2 * s for w, s in zip(weights, spread, strict=True))
    assert row["s.e."] == pytest.approx(math.sqrt(variance))


def test_a_larger_plain_network_that_errs_more_is_an_end_all_the_same(runs: Make) -> None:
    plain = [*runs("wrn-28-1", 300_000, 9.0), *runs("wrn-28-4", 3_000_000, 10.0)]
    row = equal_size([*plain, *runs("swrn-28-2-2", 1_000_000, 9.8)]).iloc[0]
    assert row["ours"] == 0 and row["plain"] == "9.52 to 10.00"


def test_seeds_of_three_networks_decide_like_those_of_two(runs: Make) -> None:
    """Where one has no spread the t-test is Welch's of the others, each with its weight."""
    a, b = [5.0, 5.4, 4.7], [6.0, 6.6]
    networks = runs("swrn-28-2", 1, *a), runs("wrn-28-2", 1, *b), runs("wrn-28-1", 1, 8.0, 8.0)
    found = weighted(list(zip((1, -0.25, -0.75), networks, strict=True)))
    known = ttest_ind(a, [0.25 * e + 0.75 * 8 for e in b], equal_var=False)
    assert found.p == pytest.approx(known.pvalue)
    assert found.points / found.error == pytest.approx(known.statistic)


def test_smaller_and_larger_than_all_plain_networks_is_beside_none(runs: Make) -> None:
    plain = [*runs("wrn-28-1", 300_000, 9.0), *runs("wrn-28-4", 3_000_000, 6.0)]
    small, large = runs("swrn-28-1-1", 100_000, 9.5), runs("swrn-28-6-2", 4_000_000, 5.5)
    assert equal_size([*plain, *small, *large]).empty
    assert unmatched([*plain, *large, *small]) == [small, large]
    assert unmatched(plain) == []
    last = equal_size_sentences([*plain, *small, *runs("swrn-28-4", 3_000_000, 6.0)])[-1]
    assert last == (
        "With no plain network of such a size beside them: SWRN 28-1-1 (cifar10, 30 epochs, n = 1)."
    )


@pytest.mark.parametrize(
    "other", [{"epochs": 10}, {"dropout": 0.3}, {"profile": "paper"}, {"data": "cifar100"}]
)
def test_networks_that_were_trained_otherwise_are_not_set_beside_each_other(
    runs: Make, other: dict[str, Any]
) -> None:
    ours = runs("swrn-28-2-2", 1_000_000, 4.0)
    assert equal_size([*ours, *runs("wrn-28-2", 1_000_000, 5.0, **other)]).empty
    assert len(equal_size([*ours, *runs("wrn-28-2", 1_000_000, 5.0)])) == 1


def test_the_longest_training_up_to_the_papers_concludes(runs: Make) -> None:
    """All networks of it count, and those that are told apart are named."""
    long = [
        *runs("wrn-28-2", 1_000_000, 5.0, 5.01),
        *runs("swrn-28-2-2", 1_000_000, 4.0, 4.01),
        *runs("wrn-28-4", 4_000_000, 3.0, 3.02),
        *runs("swrn-28-4-2", 4_000_000, 3.0, 3.02),
        *runs("swrn-28-4", 4_001_000, 3.5, 3.52),
    ]
    short = [
        *runs("wrn-28-2", 1_000_000, 9.0, 9.01, epochs=10),
        *runs("swrn-28-2-2", 1_000_000, 12.0, 12.01, epochs=10),
    ]
    pairs = equal_size([*short, *long])
    assert pairs["epochs"].tolist() == [30, 30, 30, 10]
    assert pairs["here"].tolist() == ["better", "not told apart", "worse", "worse"]
    text = conclusion(pairs)
    assert (
        ", of 3 networks (cifar10, 30 epochs, profile fast), **1 errs less, 1 more, and 1" in text
    )
    assert (
        "cannot be told apart**: SWRN 28-2-2 with 1,000,000 parameters, 4.00 % errors, ag" in text
    )
    assert (
        "; SWRN 28-4 with 4,001,000 parameters, 3.51 % errors, against WRN 28-4, 3.01 %: " in text
    )
    assert "12.0" not in text and "28-4-2" not in text
    lines = equal_size_sentences([*short, *long])
    assert lines[0] == text and len(lines) == 2 + len(pairs)
    assert "against WRN 28-2, 9.00 %: +3.00 ± 0.01 points, worse (p" in lines[-1]
    assert not any("within these" in line for line in lines), "equal is not between"


def test_the_better_profile_concludes_before_the_longer_training(runs: Make) -> None:
    better, longer = {"profile": "paper", "epochs": 20}, {"epochs": 40}
    pairs = equal_size(
        [
            *runs("wrn-28-2", 1_000_000, 5.0, **better),
            *runs("swrn-28-2", 1_000_000, 5.0, **better),
            *runs("wrn-28-2", 1_000_000, 4.0, **longer),
            *runs("swrn-28-2", 1_000_000, 4.0, **longer),
        ]
    )
    assert "of 1 network (cifar10, 20 epochs, profile paper), **0 err less, 0 more, and 1 " in (
        conclusion(pairs)
    )


def test_demonstrations_count_where_there_is_nothing_else(runs: Make) -> None:
    toys = [
        *runs("wrn-28-1", 300_000, 5.0, data="digits", profile="smoke"),
        *runs("swrn-28-1", 300_000, 9.0, data="digits", profile="smoke"),
    ]
    lines = equal_size_sentences(toys)
    assert ". Here, in demonstrations alone, of 1 network (digits" in lines[0]
    proper = [*runs("wrn-28-2", 1_000_000, 5.0), *runs("swrn-28-2", 1_000_000, 5.0)]
    assert "digits" not in " ".join(equal_size_sentences([*toys, *proper]))


def test_what_a_network_computes_and_what_its_ends_are_is_said(runs: Make) -> None:
    ours = runs("swrn-28-2-2", 1_000_000, 4.0)
    deep = [replace(run, model=run.model | {"macs": 4_200_000}) for run in ours]
    single = equal_size_sentences([*deep, *runs("wrn-16-2", 1_000_000, 5.0)])
    assert " 4.00 % errors for 2.1 times the operations, against WRN 16-2, 5.00 %: " in single[-1]
    between = [*runs("wrn-28-1", 300_000, 9.0), *runs("wrn-28-4", 3_000_000, 3.0)]
    lines = equal_size_sentences([*ours, *between])
    assert lines[2].startswith("Where no plain network is as large")
    assert "against WRN 28-1 to WRN 28-4, 3.00 to 5.86 %: within these (cifar10" in lines[-1]
    assert not any("Where no plain" in line for line in single)
    deep = [replace(run, model=run.model | {"macs": 12_600_000}) for run in ours]
    last = equal_size_sentences([*deep, *between])[-1]
    assert " for 2.1 times the operations of the larger, against" in last
