"""Patterns in similarity matrices, against counting by hand and against all orders there are."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.patterns import (
    brightness,
    chessboard,
    chessboard_chance,
    pattern_sentences,
    patterns,
)
from softshare.sharing.similarity import chance_level, similarity


def drawn(L: int, k: int, seed: int) -> Tensor:
    return similarity(torch.randn(L, k, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("L", [3, 4, 7, 10])
@pytest.mark.parametrize("seed", range(3))
def test_they_are_means_over_pairs(L: int, seed: int) -> None:
    S = drawn(L, 3, seed)
    pairs = list(itertools.permutations(range(L), 2))
    even = [S[i, j].item() for i, j in pairs if (i - j) % 2 == 0]
    odd = [S[i, j].item() for i, j in pairs if (i - j) % 2]
    assert brightness(S) == pytest.approx(sum(even + odd) / len(pairs), abs=1e-6)
    assert chessboard(S) == pytest.approx(sum(even) / len(even) - sum(odd) / len(odd), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_chance_is_the_share_of_all_orders(seed: int) -> None:
    S = drawn(6, 2, seed)
    orders = [S[list(o)][:, list(o)] for o in itertools.permutations(range(6))]
    share = sum(chessboard(o) >= chessboard(S) - 1e-6 for o in orders) / len(orders)
    assert chessboard_chance(S) == pytest.approx(share, abs=0.03)


def test_what_is_drawn_at_random_is_seldom_a_chessboard() -> None:
    chances = torch.tensor([chessboard_chance(drawn(10, 4, s), draws=200) for s in range(200)])
    assert 0.01 <= (chances < 0.05).float().mean() <= 0.10  # five per cent, but for the sample
    assert (chances < 0.5).float().mean() == pytest.approx(0.5, abs=0.12)


def test_groups_say_more_together() -> None:
    i = torch.arange(6)
    S = 0.3 + 0.1 * ((i[:, None] - i) % 2 == 0).float()
    assert chessboard_chance(S) == pytest.approx(0.1, abs=0.02)
    assert chessboard_chance(S, S, S) == pytest.approx(0.001, abs=0.001)
    assert chessboard_chance(S, torch.eye(10)) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("L", [0, 1, 2])
def test_small_matrices_are_refused(L: int) -> None:
    with pytest.raises(ValueError, match="three layers or more; got"):
        chessboard(torch.ones(L, L))
    with pytest.raises(ValueError, match="three layers or more; got"):
        chessboard_chance(torch.ones(L, L))
    if L < 2:
        with pytest.raises(ValueError, match="Two layers or more"):
            brightness(torch.ones(L, L))


def test_no_draws_and_no_matrix_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more draws; got 1 and 0"):
        chessboard_chance(torch.eye(4), draws=0)
    with pytest.raises(ValueError, match="got 0 and 10000"):
        chessboard_chance()


def test_the_table_has_a_row_for_each_kept_epoch_and_group(make_run: Callable[..., Run]) -> None:
    torch.manual_seed(0)
    alpha = {stage: torch.randn(10, 8).tolist() for stage in ("stage1", "stage2")}
    shared = make_run(for_profile("swrn-40-1-8", "digits", "smoke"), alpha=alpha)
    shared.coefficients["1"] = {"stage1": torch.randn(10, 8).tolist(), "pair": [[1.0], [1.0]]}
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
    shared.coefficients.pop("1")
    last = patterns([shared])
    assert list(last["epoch"]) == [10, 10]
    (sentence,) = pattern_sentences([plain, shared])
    assert sentence.startswith("SWRN 40-1-8, seed 0: ")
    assert f"two layers {last['mean'].mean():.2f}" in sentence
    assert f"{last['chessboard'].mean():+.2f} (p = " in sentence
    assert "recorded yet" in pattern_sentences([plain])[0]
