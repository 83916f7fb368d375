"""Patterns in similarity matrices: tables and sentences against the matrices themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results import drift
from softshare.results.chessboard import chessboard, chessboard_chance
from softshare.results.patterns import (
    brightness,
    chessboard_claim,
    pattern_sentences,
    patterns,
)
from softshare.sharing.similarity import chance_level, similarity

ODD = (torch.arange(6)[:, None] + torch.arange(6)).remainder(2).float()
"""1 for two layers an odd number of steps apart."""


@pytest.mark.parametrize("L", [2, 3, 10])
def test_brightness_is_the_mean_over_pairs(L: int) -> None:
    S = similarity(torch.randn(L, 3, generator=torch.Generator().manual_seed(L)))
    pairs = [S[i, j].item() for i in range(L) for j in range(L) if i != j]
    assert brightness(S) == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)


@pytest.mark.parametrize("L", [0, 1])
def test_one_layer_is_refused(L: int) -> None:
    with pytest.raises(ValueError, match="Two layers or more"):
        brightness(torch.ones(L, L))


def test_the_table_has_a_row_for_each_kept_epoch_and_group(make_run: Callable[..., Run]) -> None:
    torch.manual_seed(0)
    alpha = {stage: torch.randn(10, 8).tolist() for stage in ("stage1", "stage2")}
    shared = make_run(for_profile("swrn-40-1-8", "digits", "smoke"), alpha=alpha)
    groups = {"stage1": torch.randn(10, 8).tolist(), "pair": [[1.0, 0.0], [0.0, 1.0]]}
    shared.coefficients["1"] = groups | {"of one template": [[1.0], [2.0], [3.0]]}
    plain = make_run(for_profile("wrn-28-1", "digits", "smoke"))
    table = patterns([plain, shared], [1, 10, 999])
    assert list(zip(table["epoch"], table["group"], strict=True)) == [
        (1, "stage1"),
        (10, "stage1"),
        (10, "stage2"),
    ]
    for _, row in table.iterrows():
        S = shared.lsm(row["epoch"])[row["group"]]
        assert (row["mean"], row["chessboard"]) == (brightness(S), chessboard(S))
        assert row["chance"] == pytest.approx(chance_level(10, 8), abs=0.01)
        assert row["drift"] != row["drift"], "nan: the start was not kept"
    shared.coefficients.pop("1")
    last = patterns([shared])
    assert list(last["epoch"]) == [10, 10]
    sentence, _ = pattern_sentences([plain, shared])
    assert sentence.startswith("SWRN 40-1-8 (digits, seed 0): ")
    assert "by drift" not in sentence
    assert f"similarity {last['mean'].mean():.2f} in the mean" in sentence
    assert f"({last['chessboard'].mean():+.2f}, p = " in sentence
    assert "recorded yet" in pattern_sentences([plain])[0]


def test_beside_the_mean_stands_that_of_random_drift(soft_run: Callable[..., Run]) -> None:
    run = soft_run("swrn-28-1", dict.fromkeys(("stage1", "stage2", "stage3"), (6, 6, 2)))
    table = patterns([run])
    means = {g: brightness(S.mean(0)) for g, S in drift.matrices(run).items()}
    assert table["drift"].tolist() == list(means.values())
    sentence, meaning = pattern_sentences([run])
    assert f"and {sum(means.values()) / 3:.2f} by drift (p = 0.001); " in sentence
    assert (table["mean"] > table["drift"]).all()
    assert meaning.startswith("*By drift*: ")


def test_all_seeds_together_answer_the_question(soft_run: Callable[..., Run]) -> None:
    groups = dict.fromkeys(("stage1", "stage2", "stage3"), (6, 6, 2))
    first = soft_run("swrn-28-1", groups)
    seeds = [replace(first, recipe=replace(first.recipe, seed=seed)) for seed in range(2)]
    together, _ = pattern_sentences(seeds)
    assert chessboard_chance(*(S for run in seeds for S in run.lsm().values())) < 1e-4
    assert together.startswith("SWRN 28-1 (cifar10, 2 seeds): ")
    assert "; a chessboard beyond chance (" in together
    assert "p < 0.0001)." in together


def test_seeds_are_set_beside_drift_together(soft_run: Callable[..., Run]) -> None:
    """The mean over all matrices, against the mean of as many drawn ones."""
    first = soft_run("swrn-28-1", dict.fromkeys(("stage1", "stage2", "stage3"), (6, 6, 2)))
    last = list(first.coefficients)[-1]
    alpha = {g: (torch.eye(6) + 0.3 * ODD).tolist() for g in first.coefficients[last]}
    other = replace(
        first,
        recipe=replace(first.recipe, seed=1),
        coefficients=first.coefficients | {last: alpha},
    )
    seeds = [first, other]
    means = [brightness(S) for run in seeds for S in run.lsm().values()]
    drawn = [
        [brightness(S[draw]) for run in seeds for S in drift.matrices(run).values()]
        for draw in range(drift.DRAWS)
    ]
    as_large = sum(sum(each) >= sum(means) - 1e-6 for each in drawn)
    sentence, _ = pattern_sentences(seeds)
    assert f"similarity {sum(means) / 6:.2f} in the mean, 0.00 before training" in sentence
    assert f"{sum(map(sum, drawn)) / 6 / drift.DRAWS:.2f} by drift" in sentence
    assert f"by drift (p = {(1 + as_large) / (1 + drift.DRAWS):.2g})" in sentence
    unkept = replace(other, coefficients={last: alpha})
    assert "by drift" not in pattern_sentences([first, unkept])[0]


@pytest.mark.parametrize(
    ("A", "verdict"),
    [
        (torch.eye(6)[[0, 1, 0, 1, 0, 1]], "a chessboard beyond chance (+1.00, p = 0.002)"),
        (
            torch.linalg.cholesky(torch.eye(6) + 0.3 * ODD),
            "the opposite of a chessboard beyond chance (-0.30, p = 0.002)",
        ),
        (torch.eye(6)[[0, 0, 0, 1, 1, 1]], "no chessboard to see ("),
        (torch.eye(6)[[0, 0, 0, 0, 0, 0]], "no chessboard to see (+0.00, p = 1)"),
    ],
    ids=["two in turn", "across", "halves", "one"],
)
def test_a_pattern_and_its_opposite_are_told_from_none(
    soft_run: Callable[..., Run], A: Tensor, verdict: str
) -> None:
    """Where all layers are one, every order shows as much and as little: that is no pattern."""
    first = soft_run("swrn-28-1", dict.fromkeys(("stage1", "stage2", "stage3"), (6, 6, 2)))
    last = list(first.coefficients)[-1]
    alpha = {g: A.tolist() for g in first.coefficients[last]}
    run = replace(first, coefficients=first.coefficients | {last: alpha})
    assert f"; {verdict}" in pattern_sentences([run])[0]


def test_the_claim_of_figure_7_names_each_network_that_could_show_it(
    soft_run: Callable[..., Run], make_run: Callable[..., Run]
) -> None:
    groups = dict.fromkeys(("stage1", "stage2", "stage3"), (6, 6, 2))
    narrow, wide = soft_run("swrn-28-1", groups), soft_run("swrn-28-10", groups)
    seeds = [replace(narrow, recipe=replace(narrow.recipe, seed=seed)) for seed in range(2)]
    others = [
        make_run(for_profile("wrn-28-1")),
        soft_run("swrn-28-1-1", dict.fromkeys(groups, (6, 1, 1))),
        soft_run("scnn", {"body": (20, 20, 2)}),
        replace(narrow, recipe=replace(narrow.recipe, init="normal")),
    ]
    assert chessboard_claim(others) == chessboard_claim([]) == ""
    claim = chessboard_claim([*others, *seeds, wide])
    assert "layers i and i + 2 tend to agree, a chessboard, in each of 5 seeds" in claim
    first, second = (
        claim.partition(" in networks of images: ")[2].partition(". The number")[0].split("; ")
    )
    assert first.startswith("a chessboard beyond chance (+")
    assert first.endswith(" in SWRN 28-10 (cifar10, 4 epochs, n = 1)")
    assert second.endswith(", p < 0.0001) in SWRN 28-1 (cifar10, 4 epochs, n = 2)")
