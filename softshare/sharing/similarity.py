"""Layer similarity: the LSM, its chance level, and the regulariser that raises it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softshare.sharing import banks
from softshare.sharing.bank import TemplateBank
from softshare.sharing.initialisation import initial_coefficients
from softshare.sharing.refusals import first_step

ZERO = 1e-12
"""Coefficients of a smaller norm than this have hardly a direction."""


def similarity(coefficients: Tensor) -> Tensor:
    r"""The layer similarity matrix of one group, or of each of many (Section 3.2).

    .. math:: S_{ij} = \frac{|\langle \alpha_i, \alpha_j \rangle|}
                            {\lVert \alpha_i \rVert \, \lVert \alpha_j \rVert}

    Args:
        coefficients: A, ``(..., L, k)``.

    Returns:
        S, ``(..., L, L)``, float32 in [0, 1]; a layer whose coefficients are zero is like no other,
        not even itself, and below a norm of `ZERO` similarity falls to that in proportion.

    Example:
        >>> similarity(torch.tensor([[1.0, 0.0], [-2.0, 0.0], [1.0, 1.0]]))
        tensor([[1.0000, 1.0000, 0.7071],
                [1.0000, 1.0000, 0.7071],
                [0.7071, 0.7071, 1.0000]])
    """
    with torch.autocast(coefficients.device.type, enabled=False):
        unit = F.normalize(coefficients.float(), dim=-1, eps=ZERO)  # (..., L, k)
        return (unit @ unit.mT).abs().clamp(max=1.0)


def lsm(net: nn.Module) -> dict[str, Tensor]:
    """The layer similarity matrix of every group of a shared model (Section 3.2).

    Differentiable in the coefficients. For how much of it is chance, see `chance_level`.

    Args:
        net: a model with shared layers.

    Returns:
        ``{group: S}`` with S as in `similarity`, rows in the order of ``groups(net)[group]``.

    Raises:
        ValueError: nothing in `net` is shared.

    Example:
        >>> import softshare as ss
        >>> net = ss.share(nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)]), templates=1)
        >>> {group: tuple(S.shape) for group, S in lsm(net).items()}
        {'Linear 4x4': (3, 3)}
    """
    return {label: similarity(bank.coefficients) for label, bank in _shared(net).items()}


def recurrence_penalty(net: nn.Module) -> Tensor:
    r"""The sum of all entries of all LSMs, to be subtracted from the loss (Section 3.2).

    .. math:: L_R = L - \lambda_R \sum_{i,j} S_{ij}

    Args:
        net: a model with shared layers. With several groups their sums add up.

    Returns:
        A scalar, between the number of shared layers (the diagonals) and the sum of L^2.

    Raises:
        ValueError: nothing in `net` is shared.

    Example:
        >>> import softshare as ss
        >>> net = ss.share(nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)]), templates=1)
        >>> recurrence_penalty(net).item()
        9.0
    """
    return penalty([bank.coefficients for bank in _shared(net).values()])


def penalty(coefficients: Sequence[Tensor]) -> Tensor:
    """The sum of all entries of the LSMs of these groups, each given by its A, ``(L, k)``."""
    return torch.stack([similarity(A).sum() for A in coefficients]).sum()


@cache
def chance_level(
    layers: int, templates: int, init: str = "orthogonal", draws: int = 2000, seed: int = 0
) -> float:
    r"""Mean off-diagonal similarity before any training: the null against which to read an LSM.

    :math:`A^T A = I` makes the LSM the identity only when k = L; with fewer templates than
    layers, L vectors in k dimensions cannot all be orthogonal, and part of what is bright in the
    LSM is chance.

    Args:
        layers: L, 2 or more.
        templates: k, from 1 to L.
        init: as in `share`.
        draws: how many coefficient matrices are averaged over, 1 or more.
        seed: of these draws; PyTorch's global state is left alone.

    Returns:
        A number in [0, 1], as exact as the draws allow.

    Raises:
        ValueError: nothing to average (L < 2, no draws), or k or init out of range.

    Example:
        >>> [round(chance_level(6, k), 2) for k in (1, 2, 4, 6)]
        [1.0, 0.58, 0.27, 0.0]
    """
    if layers < 2:
        raise ValueError(f"A similarity needs two layers or more; got {layers}.")
    if draws < 1:
        raise ValueError(f"A mean needs 1 or more draws; got {draws}.")
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(layers, layers)
    for _ in range(draws):
        total += similarity(initial_coefficients(layers, templates, init, generator))
    mean = total / draws
    return ((mean.sum() - mean.trace()) / (layers * (layers - 1))).item()


def _shared(net: nn.Module) -> dict[str, TemplateBank]:
    found = banks(net)
    if not found:
        raise ValueError(f"The LSM needs shared layers; this model has none. {first_step(net)}")
    return found
