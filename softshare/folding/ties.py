"""Which layers of a group may be one: ties by complete linkage."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from softshare.sharing.similarity import ZERO, similarity

TOLERANCE = 1e-6
"""Layers whose similarity falls short of the threshold by less than this rounding are alike."""

EXACT = 1e-12
"""The same at a threshold of 1, for `similarities`.

Of layers that are tied exactly, rounding of their weights to single precision leaves 1e-14; by
`TOLERANCE`, weights that lie 1.4 thousandths of their size apart would be one.
"""


def similarities(coefficients: Tensor) -> Tensor:
    """The LSM of a group in which 1 is kept for layers that are tied exactly.

    All other numbers are those of `softshare.sharing.similarity.similarity`, which records and
    pages show too: single precision, and at most 1 - 1e-9.

    Args:
        coefficients: A, ``(L, k)``.

    Returns:
        S, ``(L, L)``, float64, on the CPU.

    Example:
        >>> S = similarities(torch.tensor([[1.0, 0.0], [1.0, 1e-4], [3.0, 3e-4]]))
        >>> ties(S, 1), ties(S.float(), 1)
        (((0,), (1, 2)), ((0, 1, 2),))
    """
    A = coefficients.detach().cpu()
    unit = F.normalize(A.double(), dim=1, eps=ZERO)  # (L, k)
    exact = (unit @ unit.T).abs() >= 1 - EXACT
    return similarity(A).double().clamp(max=1 - 1e-9).masked_fill(exact, 1.0)


def ties(S: Tensor, threshold: float) -> tuple[tuple[int, ...], ...]:
    r"""Sets of layers that are all alike: every pair within one has a similarity of t or more.

    Complete linkage joins, as long as there are any, the two sets whose least similar pair is
    the most similar. Therefore ties at a lower threshold are unions of those at a higher one.

    Args:
        S: a similarity matrix, ``(L, L)``, such as `similarities` returns.
        threshold: t, from 0 to 1. Similarities may fall short of it by `TOLERANCE`; of 1, where S
            is in double precision, by no more than `EXACT`.

    Returns:
        The layers of each tie, counted from 0, in the order of their first layers; a layer like
        no other is a tie of its own.

    Raises:
        ValueError: a threshold out of range, or a matrix that is not square, not symmetric or
            has entries out of [0, 1].

    Example:
        >>> S = torch.tensor([[1.0, 0.2, 0.9], [0.2, 1.0, 0.3], [0.9, 0.3, 1.0]])
        >>> ties(S, 0.9), ties(S, 0.95)
        (((0, 2), (1,)), ((0,), (1,), (2,)))
    """
    check_threshold(threshold)
    tree = _linkage(S)
    if tree is None:
        return tuple((i,) for i in range(len(S)))
    from scipy.cluster.hierarchy import fcluster

    labels = fcluster(tree, 1 - threshold + _tolerance(S, threshold), criterion="distance").tolist()
    members: dict[int, list[int]] = {}
    for layer, tie in enumerate(labels):
        members.setdefault(tie, []).append(layer)
    return tuple(tuple(layers) for layers in members.values())


def thresholds(S: Tensor) -> tuple[float, ...]:
    """The thresholds at which ties grow, falling: there are finitely many foldings.

    Args:
        S: as in `ties`.

    Returns:
        At most L - 1 numbers from 0 to 1 with six decimals. Ties at each are fewer than at the
        one before it, and stay the same down to the next.

    Raises:
        ValueError: as `ties`.

    Example:
        >>> thresholds(torch.tensor([[1.0, 0.2, 0.9], [0.2, 1.0, 0.3], [0.9, 0.3, 1.0]]))
        (0.9, 0.2)
    """
    tree = _linkage(S)
    if tree is None:
        return ()
    joins = [(round(max(0.0, 1 - h), 6), h) for h in tree[:, 2].tolist()]
    below = 1 - TOLERANCE  # for what rounds to 1 and is no exact tie
    levels = {t if t < 1 or h <= _tolerance(S, t) else below for t, h in joins}
    found: list[float] = []
    fewest = len(S)
    for t in sorted(levels, reverse=True):
        if (left := len(ties(S, t))) < fewest:
            found.append(t)
            fewest = left
    return tuple(found)


def _linkage(S: Tensor) -> Any:
    """The tree in which complete linkage joins the layers; None for a single layer."""
    S = S.detach().double().cpu()
    if S.dim() != 2 or len(S) != S.shape[1] or not len(S):
        raise ValueError(
            f"A similarity matrix has shape (L, L), L 1 or more; got {tuple(S.shape)}."
        )
    if not (S.isfinite().all() and torch.allclose(S, S.T, atol=1e-5)):
        raise ValueError("A similarity matrix is symmetric and finite; this one is not.")
    if S.min() < -TOLERANCE or S.max() > 1 + TOLERANCE:
        raise ValueError(
            f"Similarities lie between 0 and 1; got {S.min().item():g} to {S.max().item():g}."
        )
    if len(S) == 1:
        return None
    from scipy.cluster.hierarchy import linkage

    i, j = torch.triu_indices(len(S), len(S), offset=1)
    distances = (1 - (S + S.T) / 2)[i, j].clamp(min=0)  # (L (L - 1) / 2,), scipy's order
    return linkage(distances.numpy(), method="complete")


def _tolerance(S: Tensor, threshold: float) -> float:
    return EXACT if threshold == 1 and S.dtype == torch.float64 else TOLERANCE


def check_threshold(threshold: float) -> None:
    """Refuses what is no similarity."""
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)):
        raise ValueError(f"A threshold is a number from 0 to 1; got {threshold!r}.")
    if not 0 <= threshold <= 1:
        raise ValueError(f"A threshold is a similarity, from 0 to 1; got {threshold}.")
