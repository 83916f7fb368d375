"""How freely the coefficients are trained: the control for the learning rate that sharing adds."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from softshare.sharing import banks

CONSTRAINTS = ("free", "unit", "fixed")


def constrain(net: nn.Module, coefficients: str = "free") -> list[nn.Parameter]:
    r"""Starts a network as a recipe's `coefficients` has it, in place.

    One step of SGD at rate :math:`\eta` moves the templates, and through its own coefficients
    every weight, besides what they move themselves:

    .. math:: \Delta W_i = -\eta \sum_m \langle \alpha_i, \alpha_m \rangle \,
              \frac{\partial L}{\partial W_m} + O(\Delta \alpha)

    The coefficients are not decayed and may grow (Section 4.1), and with
    :math:`\|\alpha_i\|^2` grows the rate at which a weight follows its own gradient. ``unit``
    keeps that factor at 1. ``fixed`` trains templates alone: where A starts as orthogonal and
    k = L, SGD on the templates, its momentum and its weight decay are those on the weights,
    rotated by A, and what is trained is the network without sharing.

    Args:
        net: the network; another network than a shared one takes ``free`` alone.
        coefficients: ``free``, as in the paper; ``unit``, rows of length 1; or ``fixed``.

    Returns:
        The coefficients that `rescale` must be given after every step; none but for ``unit``.

    Raises:
        ValueError: an unknown word, or nothing is shared.

    Example:
        >>> import softshare as ss
        >>> net = ss.share(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), templates=1)
        >>> [A.detach().abs().tolist() for A in constrain(net, "unit")]
        [[[1.0], [1.0]]]
    """
    if coefficients not in CONSTRAINTS:
        raise ValueError(f"coefficients is one of {', '.join(CONSTRAINTS)}; got {coefficients!r}.")
    shared = [bank.coefficients for bank in banks(net).values()]
    if coefficients == "free":
        return []
    if not shared:
        raise ValueError(
            f"coefficients={coefficients!r} needs shared layers, and this model has none. Leave it "
            "at 'free' or choose a soft-shared model."
        )
    if coefficients == "fixed":
        for A in shared:
            A.requires_grad_(False)
        return []
    rescale(shared)
    return shared


@torch.no_grad()
def rescale(coefficients: Iterable[Tensor]) -> None:
    """Brings each row of each ``(L, k)`` to length 1, in place and without waiting for the device.

    Example:
        >>> A = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
        >>> rescale([A])
        >>> A
        tensor([[ 0.6000,  0.8000],
                [ 0.0000, -1.0000]])
    """
    for A in coefficients:
        A.copy_(normalize(A, dim=1))
