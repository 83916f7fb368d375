"""Which layers of a group may be one: ties by complete linkage."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-6
"""Layers whose similarity falls short of the threshold by less than this rounding are alike."""


def ties(S: Tensor, threshold: float) -> tuple[tuple[int, ...], ...]:
    r"""Sets of layers that are all alike: every pair within one has a similarity of t or more.

    Complete linkage joins, as long as there are any, the two sets whose least similar pair is
    the most similar. Therefore ties at a lower threshold are unions of those at a higher one.

    Args:
        S: a similarity matrix, ``(L, L)``, such as `softshare.sharing.similarity` returns.
        threshold: t, from 0 to 1.

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
    _check_threshold(threshold)
    tree = _linkage(S)
    if tree is None:
        return tuple((i,) for i in range(len(S)))
    from scipy.cluster.hierarchy import fcluster

    labels = fcluster(tree, 1 - threshold + TOLERANCE, criterion="distance").tolist()
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
    heights = sorted({round(max(0.0, 1 - h), 6) for h in tree[:, 2].tolist()}, reverse=True)
    found: list[float] = []
    fewest = len(S)
    for t in heights:
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


def _check_threshold(threshold: float) -> None:
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)):
        raise ValueError(f"A threshold is a number from 0 to 1; got {threshold!r}.")
    if not 0 <= threshold <= 1:
        raise ValueError(f"A threshold is a similarity, from 0 to 1; got {threshold}.")
