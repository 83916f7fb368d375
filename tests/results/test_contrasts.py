"""Differences of shared networks from their twins, and their noise, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import ttest_ind

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.contrasts import contrasts

Make = Callable[..., Run]


def test_differences_and_their_uncertainty_by_hand(make_run: Make) -> None:
    errors = {"wrn-28-1": [10.0, 12.0, 11.0], "swrn-28-1": [9.0, 8.0], "swrn-28-1-1": [20.0]}
    runs = [
        make_run(for_profile(model, "cifar100", "fast", seed=seed), error)
        for model, values in errors.items()
        for seed, error in enumerate(values)
    ]
    table = contrasts(runs, "table1").to_dict("records")
    assert [(line["shared"], line["against"]) for line in table] == [
        ("SWRN 28-1", "WRN 28-1"),
        ("SWRN 28-1-1", "WRN 28-1"),
        ("SWRN 28-1-1", "SWRN 28-1"),
    ]
    assert [line["n"] for line in table] == ["2 and 3", "1 and 3", "1 and 2"]
    assert [line["ours"] for line in table] == [pytest.approx(d) for d in (-2.5, 9.0, 11.5)]
    both, *single = table
    assert both["s.e."] == pytest.approx(math.sqrt(1 / 3 + 0.5 / 2))  # of their seeds
    assert both["p"] == pytest.approx(
        ttest_ind(errors["swrn-28-1"], errors["wrn-28-1"], equal_var=False).pvalue
    )
    for line, pair, seeds in zip(
        single,
        ((0.2, 0.11), (0.2, 0.085)),
        (1 / 3, 0.5 / 2),  # a network that was trained once adds nothing
        strict=True,
    ):
        images = torch.distributions.Binomial(400, torch.tensor(pair)).variance / 4**2
        assert line["s.e."] == pytest.approx(math.sqrt(images.sum() + seeds), rel=1e-5)
    assert [line["here"] for line in table] == ["better", "worse", "worse"]
    assert [line["paper"] for line in table] == [
        pytest.approx(18.78 - 19.25),
        pytest.approx(19.73 - 19.25),
        pytest.approx(19.73 - 18.78),
    ]
    assert {(line["trained on"], line["profile"], line["epochs"]) for line in table} == {
        ("cifar100", "fast", 30)
    }


def test_the_widest_and_longest_trained_pairs_stand_first(make_run: Make) -> None:
    runs = [
        make_run(for_profile(f"{kind}-28-{width}", "cifar10", profile, epochs=epochs))
        for profile in ("smoke", "fast")
        for width, epochs in ((1, 3), (10, 3), (1, 5))
        for kind in ("swrn", "wrn")
    ]
    table = contrasts(runs, "table1").to_dict("records")
    assert [(line["profile"], line["shared"], line["epochs"]) for line in table] == [
        (profile, name, epochs)
        for profile in ("fast", "smoke")
        for name, epochs in (("SWRN 28-10", 3), ("SWRN 28-1", 5), ("SWRN 28-1", 3))
    ]


@pytest.mark.parametrize(
    ("table", "shared", "plain", "settings", "pair", "paper"),
    [
        (
            "table1",
            "swrn-28-10",
            "wrn-28-10",
            {},
            "SWRN 28-10 against WRN 28-10 (quoted)",
            3.74 - 4.0,
        ),
        (
            "table1",
            "swrn-28-1",
            "wrn-28-1",
            {},
            "SWRN 28-10 against WRN 28-10 (quoted)",
            3.74 - 4.0,
        ),
        (
            "table1",
            "swrn-28-1",
            "wrn-28-1",
            {"dropout": 0.3},
            r"SWRN 28-10* against WRN 28-10* (quoted)",
            3.88 - 3.89,
        ),
        ("table1", "swrn-28-10-2", "wrn-28-10", {}, "", math.nan),
        (
            "table2",
            "swrn-28-14-2",
            "swrn-28-14",
            {"dropout": 0.3},
            "SWRN 28-14-2* against SWRN 28-14*",
            3.69 - 3.67,
        ),
        (
            "table4",
            "swrn-28-10-2",
            "wrn-28-10",
            {"cutout": 16},
            "SWRN 28-10-2 against WRN 28-10 (quoted)",
            2.69 - 3.08,
        ),
        (
            "table4",
            "swrn-28-1-2",
            "wrn-28-1",
            {"cutout": 16},
            "SWRN 28-10-2 against WRN 28-10 (quoted)",
            2.69 - 3.08,
        ),
        ("table4", "swrn-28-4-2", "wrn-28-4", {"cutout": 16}, "", math.nan),  # of widths 4 and 10
    ],
)
def test_the_papers_difference_is_that_of_rows_of_one_width(
    make_run: Make,
    table: str,
    shared: str,
    plain: str,
    settings: dict[str, Any],
    pair: str,
    paper: float,
) -> None:
    runs = [make_run(for_profile(m, "cifar10", "fast", **settings)) for m in (shared, plain)]
    (line,) = contrasts(runs, table).to_dict("records")
    assert line["pair in the paper"] == (f"{pair} on cifar10" if pair else "")
    assert line["paper"] == pytest.approx(paper, nan_ok=True)
