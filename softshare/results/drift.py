"""How alike layers come out when their coefficients move at random: the null of a trained LSM."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from softshare.records import Run
from softshare.sharing.similarity import similarity

DRAWS = 1000
SHARE = 0.95
"""The greatest similarity of a pair under drift stays below `greatest` so often."""


def drifted(start: Tensor, end: Tensor, draws: int = DRAWS, seed: int = 0) -> Tensor:
    r"""Similarity matrices of layers that moved as far as they did, in directions of chance.

    .. math:: \alpha_i = c_i \, a_i + \lVert \alpha_i^{end} - c_i \, a_i \rVert \, u_i, \qquad
        c_i = \langle \alpha_i^{end}, a_i \rangle / \langle a_i, a_i \rangle

    with :math:`a_i` the coefficients before training and :math:`u_i` a unit vector drawn at right
    angles to them. What two layers have in common at the start, and how far each of them turned
    and grew, is kept; where each turned to is not. `softshare.chance_level` says what layers have
    in common before any of that.

    Args:
        start: coefficients of a group before training, ``(L, k)``, no row zero.
        end: after it, ``(L, k)``.
        draws: 1 or more.
        seed: of these draws; PyTorch's global state is left alone.

    Returns:
        ``(draws, L, L)``. With one template there is nowhere to turn, and all are 1.

    Raises:
        ValueError: two shapes, or no draws.

    Example:
        >>> A = torch.eye(3)
        >>> bool((drifted(A, 2 * A, draws=1) == A).all())  # they grew and did not turn
        True
        >>> S = drifted(A, A.roll(1, 0), draws=50)  # they turned by a right angle
        >>> 0.1 < S[:, 0, 1].mean() < 0.9
        tensor(True)
    """
    if start.shape != end.shape or draws < 1:
        raise ValueError(
            f"Drift needs coefficients of one shape before and after, and 1 or more draws; got "
            f"{tuple(start.shape)}, {tuple(end.shape)} and {draws}."
        )
    unit = F.normalize(start.double(), dim=1)  # (L, k)
    along = (end.double() * unit).sum(1, keepdim=True) * unit
    sideways = (end.double() - along).norm(dim=1, keepdim=True)  # (L, 1)
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(draws, *start.shape, generator=generator, dtype=torch.double)
    u = u - (u * unit).sum(2, keepdim=True) * unit
    moved = along + sideways * F.normalize(u, dim=2)  # (draws, L, k)
    return similarity(moved)


def matrices(run: Run, epoch: int | None = None) -> dict[str, Tensor]:
    """`drifted` for each group of two or more layers of a run, from its start to a kept epoch.

    Args:
        run: of a soft-shared network; empty where its start was not kept.
        epoch: that was kept. Default: the last.
    """
    kept = list(run.coefficients)
    start, end = run.coefficients.get("0", {}), kept[-1] if epoch is None else str(epoch)
    groups = {g: rows for g, rows in run.coefficients[end].items() if len(rows) > 1 and g in start}
    return {g: _drifted(_frozen(start[g]), _frozen(rows)) for g, rows in groups.items()}


def greatest(run: Run) -> float:
    """What no pair of layers of any group exceeds under drift, in 95 of 100 draws.

    nan where the start of the run was not kept.
    """
    found = [S.triu(1).flatten(1).amax(1) for S in matrices(run).values()]
    return torch.stack(found).amax(0).quantile(SHARE).item() if found else math.nan


Rows = tuple[tuple[float, ...], ...]


def _frozen(rows: Sequence[Sequence[float]]) -> Rows:
    return tuple(map(tuple, rows))


@lru_cache(maxsize=256)
def _drifted(start: Rows, end: Rows) -> Tensor:
    return drifted(torch.tensor(start), torch.tensor(end))


__all__ = ["DRAWS", "SHARE", "drifted", "greatest", "matrices"]
