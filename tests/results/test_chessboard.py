"""The chessboard and its chance, against counting by hand and against all orders there are."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from softshare.results.chessboard import chessboard, chessboard_chance
from softshare.sharing.similarity import similarity


def drawn(L: int, k: int, seed: int) -> Tensor:
    return similarity(torch.randn(L, k, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("L", [3, 4, 7, 10, 20])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_a_difference_of_means_over_pairs(L: int, seed: int) -> None:
    S = drawn(L, 3, seed)
    pairs = list(itertools.permutations(range(L), 2))
    even = [S[i, j].item() for i, j in pairs if (i - j) % 2 == 0]
    odd = [S[i, j].item() for i, j in pairs if (i - j) % 2]
    assert chessboard(S) == pytest.approx(sum(even) / len(even) - sum(odd) / len(odd), abs=1e-6)


@pytest.mark.parametrize("L", [5, 6])
@pytest.mark.parametrize("seed", range(4))
def test_the_chance_is_the_share_of_all_orders(L: int, seed: int) -> None:
    S = drawn(L, 2, seed).double()
    orders = [S[list(o)][:, list(o)] for o in itertools.permutations(range(L))]
    share = sum(chessboard(o) >= chessboard(S) - 1e-9 for o in orders) / len(orders)
    assert chessboard_chance(S) == pytest.approx(share, abs=1e-12)


def test_drawn_and_counted_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [drawn(6, 2, seed) for seed in range(3)]
    exact = chessboard_chance(*groups)
    monkeypatch.setattr("softshare.results.chessboard._EXACT", 1)
    assert chessboard_chance(*groups) == pytest.approx(exact, abs=0.02)
    assert chessboard_chance(*groups) != exact


def test_what_is_drawn_at_random_is_seldom_a_chessboard() -> None:
    chances = torch.tensor([chessboard_chance(drawn(10, 4, s)) for s in range(200)])
    assert 0.01 <= (chances < 0.05).float().mean() <= 0.10  # five per cent, but for the sample
    assert (chances < 0.5).float().mean() == pytest.approx(0.5, abs=0.12)


def test_groups_say_more_together() -> None:
    i = torch.arange(6)
    S = 0.3 + 0.1 * ((i[:, None] - i) % 2 == 0).float()
    assert chessboard_chance(S) == pytest.approx(0.1)
    assert chessboard_chance(S, S, S) == pytest.approx(0.001)
    assert chessboard_chance(S, torch.eye(10)) == pytest.approx(0.1)
    many = [S] * 8  # too many splits to go through
    assert chessboard_chance(*many) == pytest.approx(1 / 10_001)


@pytest.mark.parametrize("L", [0, 1, 2])
def test_small_matrices_are_refused(L: int) -> None:
    with pytest.raises(ValueError, match="three layers or more; got"):
        chessboard(torch.ones(L, L))
    with pytest.raises(ValueError, match="three layers or more; got"):
        chessboard_chance(torch.ones(L, L))


def test_no_draws_and_no_matrix_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more draws; got 1 and 0"):
        chessboard_chance(torch.eye(4), draws=0)
    with pytest.raises(ValueError, match="got 0 and 10000"):
        chessboard_chance()
