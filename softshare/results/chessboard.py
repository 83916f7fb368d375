"""The chessboard of Appendix A: layers two steps apart alike, as a number and against chance."""

from __future__ import annotations

import itertools
import math
from functools import cache

import torch
from torch import Tensor

_EXACT = 4_000_000
"""So many splits of all groups together are gone through one by one."""


def chessboard(S: Tensor) -> float:
    r"""How much more alike layers are that lie an even number of steps apart (Appendix A).

    .. math:: \overline{S_{ij}}_{|i-j| = 2, 4, \ldots} - \overline{S_{ij}}_{|i-j| = 1, 3, \ldots}

    With two convolutions a residual block, layers an even number of steps apart have the same
    place in their blocks; folded, they make a loop over whole blocks.

    Args:
        S: a similarity matrix, ``(L, L)``, L 3 or more.

    Returns:
        A number between -1 and 1; 0 where there is no such pattern.

    Raises:
        ValueError: fewer than three layers.

    Example:
        >>> i = torch.arange(6)
        >>> chessboard(((i[:, None] - i) % 2 == 0).float())
        1.0
    """
    return _contrasts(S, _sides(len(S))).item()


def chessboard_chance(*matrices: Tensor, draws: int = 10_000) -> float:
    """How often layers in random order show a chessboard at least as strong: a permutation test.

    An order matters only by which layers it puts on either colour. A group of six layers has ten
    such splits, so that alone it never comes below a tenth; several groups, each split by itself,
    say more together. Where there are few enough, all are gone through and the answer is exact;
    else it is drawn.

    Args:
        *matrices: similarity matrices of the groups, as in `chessboard`, whose mean is tested.
        draws: random orders where they are drawn, 1 or more.

    Returns:
        A p-value in (0, 1]; the order found counts as one of the draws. Near 1 layers an odd
        number of steps apart are the alike ones, or all orders show as much.

    Raises:
        ValueError: no draws, no matrix, or one of fewer than three layers.

    Example:
        >>> i = torch.arange(6)
        >>> S = ((i[:, None] - i) % 2 == 0).float()
        >>> round(chessboard_chance(S), 4), round(chessboard_chance(S, S, S), 4)
        (0.1, 0.001)
        >>> chessboard_chance(torch.eye(10))
        1.0
    """
    if draws < 1 or not matrices:
        raise ValueError(
            f"A permutation test needs a matrix and 1 or more draws; got {len(matrices)} and "
            f"{draws}."
        )
    groups = [S.detach().double().cpu() for S in matrices]
    found = sum(chessboard(S) for S in groups)
    if math.prod(_number(len(S)) for S in groups) <= _EXACT:
        sums = torch.zeros(1).double()
        for S in groups:
            sums = (sums[:, None] + _contrasts(S, _splits(len(S)))).flatten()
        return (sums >= found - 1e-9).double().mean().item()
    generator = torch.Generator().manual_seed(0)
    sums = torch.zeros(draws).double()
    for S in groups:
        orders = torch.rand(draws, len(S), generator=generator).argsort(1)
        sums += _contrasts(S, _sides(len(S))[orders])
    return (1 + int((sums >= found - 1e-9).sum())) / (1 + draws)


def _contrasts(S: Tensor, sides: Tensor) -> Tensor:
    """Mean similarity of a pair on one side less that of a pair across, for each split.

    Args:
        S: ``(L, L)``.
        sides: 1 or -1 for each layer, ``(..., L)``.
    """
    sides = sides.to(S)
    one, L = int((sides.reshape(-1, len(S))[0] > 0).sum()), len(S)
    balance = ((sides @ S) * sides).sum(-1)  # pairs on one side, with the diagonal, less the others
    total = S.sum()
    across = one * (L - one)
    same = (L * (L - 1)) // 2 - across
    return ((total + balance) / 2 - S.trace()) / (2 * same) - (total - balance) / (4 * across)


def _sides(L: int) -> Tensor:
    """1 for layers 0, 2, 4, ..., -1 for the others, ``(L,)``."""
    if L < 3:
        raise ValueError(f"A chessboard needs three layers or more; got {L}.")
    return 1.0 - 2.0 * (torch.arange(L) % 2)


def _number(L: int) -> int:
    """In how many ways L layers split into two sides as large as those of a chessboard."""
    return math.comb(L - 1, L // 2) if L % 2 == 0 else math.comb(L, L // 2)


@cache
def _splits(L: int) -> Tensor:
    """All of them, as in `_sides`, ``(number, L)``; where sides are equal, layer 0 is on one."""
    fixed = 1 - L % 2
    others = itertools.combinations(range(fixed, L), L // 2)
    chosen = torch.tensor(list(others))  # (number, L // 2)
    return torch.ones(len(chosen), L).scatter(1, chosen, -1.0)
