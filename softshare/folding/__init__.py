"""One group of layers, folded at a threshold: ties, what stands for them, schedule and loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from softshare.folding.program import Program, Repeat, smallest
from softshare.folding.ties import similarities, thresholds, ties
from softshare.sharing.similarity import ZERO


@dataclass(frozen=True, eq=False)
class Folding:
    r"""A group at a threshold: layer i runs :math:`s_i R_{\tau(i)}` instead of :math:`W_i`.

    Attributes:
        group: its label.
        threshold: t, in [0, 1].
        layers: the L names of the weights, in layer order.
        schedule: :math:`\tau`: the number of each layer's tie, from 1, in order of appearance.
        scales: s, signed; 1 for the layer of each tie that is nearest to what stands for it.
        representatives: R in coefficient space, a row a tie, ``(ties, k)``.
        program: the smallest program of nested repeats that prints the schedule.
    """

    group: str
    threshold: float
    layers: tuple[str, ...]
    schedule: tuple[int, ...]
    scales: tuple[float, ...]
    representatives: Tensor
    program: Program

    @property
    def ties(self) -> tuple[tuple[int, ...], ...]:
        """The layers of each tie, counted from 0."""
        members: dict[int, list[int]] = {}
        for layer, tie in enumerate(self.schedule):
            members.setdefault(tie, []).append(layer)
        return tuple(map(tuple, members.values()))

    @property
    def loops(self) -> tuple[Repeat, ...]:
        """The repeats of the program."""
        return self.program.loops

    @property
    def mixes(self) -> bool:
        """Whether ties outnumber templates, so that each still mixes its weight from them."""
        ties, k = self.representatives.shape
        return ties > k

    def parameters(self, size: int) -> int:
        """Numbers that the folded group holds, for weights of `size` numbers each.

        With no more ties than templates each tie has a weight of its own, else a row of
        coefficients for the group's k templates; each layer of a tie of two or more has a scale.
        """
        ties, k = self.representatives.shape
        scales = sum(len(tie) for tie in self.ties if len(tie) > 1)
        return scales + (k * size + ties * k if self.mixes else ties * size)

    @property
    def coefficients(self) -> Tensor:
        """The folded group's coefficients, ``(L, k)``: ``s_i`` times the row of layer i's tie."""
        rows = self.representatives[[tie - 1 for tie in self.schedule]]
        return rows * torch.tensor(self.scales, dtype=rows.dtype, device=rows.device)[:, None]


def folding(
    coefficients: Tensor,
    threshold: float,
    layers: Sequence[str] | None = None,
    group: str = "",
    gram: Tensor | None = None,
    S: Tensor | None = None,
) -> Folding:
    r"""Folds one group at a threshold (Section 3.2).

    The representative r of a tie minimises the relative error of its weights,

    .. math:: \sum_i \min_s \frac{\lVert W_i - s R \rVert^2}{\lVert W_i \rVert^2}, \qquad
              s_i = \frac{\langle W_i, R \rangle}{\langle R, R \rangle},

    and so is the leading direction of the tie's unit weights. Sign and size of a layer's
    coefficients change neither ties nor schedule; the signed scale keeps them, because the
    output of a block's second convolution enters a sum, where its size matters.

    Args:
        coefficients: A, ``(L, k)``.
        threshold: t, from 0 to 1.
        layers: L names. Default: the numbers from 1.
        group: a label.
        gram: :math:`T T^\top`, ``(k, k)``: inner products of the templates, for errors in weight
            space. Default: the identity, which takes templates as orthogonal and equally large.
        S: which layers are alike, ``(L, L)``. Default: the LSM of the coefficients, in
            which 1 is kept for layers that are tied exactly (`ties.similarities`).

    Returns:
        A `Folding`.

    Raises:
        ValueError: a threshold out of range, or shapes that do not fit together.

    Example:
        >>> A = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [0.0, 3.0]])
        >>> folded = folding(A, 0.95)
        >>> folded.schedule, folded.scales, str(folded.program)
        ((1, 2, 1, 2), (1.0, 1.0, -2.0, 3.0), '2×(1 2)')
    """
    A = coefficients.detach()
    if A.dim() != 2 or 0 in A.shape or not A.isfinite().all():
        raise ValueError(
            "Coefficients are finite numbers of shape (L, k), both 1 or more; got shape "
            f"{tuple(A.shape)}."
        )
    names = tuple(layers or map(str, range(1, len(A) + 1)))
    if len(names) != len(A) or (gram is not None and gram.shape != (A.shape[1],) * 2):
        raise ValueError(
            f"{len(A)} layers of {A.shape[1]} coefficients have as many names and a gram matrix of "
            f"shape {(A.shape[1],) * 2}; got {len(names)} names and "
            f"{None if gram is None else tuple(gram.shape)}."
        )
    exact = A.cpu().double()  # not every device has double precision
    G = torch.eye(A.shape[1]) if gram is None else gram.detach().cpu()
    G = G.double()
    schedule, scales, rows = [0] * len(A), [1.0] * len(A), []
    alike = similarities(A) if S is None else S
    if len(alike) != len(A):
        raise ValueError(f"{len(A)} layers have {len(A)}² similarities; got {tuple(alike.shape)}.")
    for number, tie in enumerate(ties(alike, threshold), start=1):
        r, s = _representative(exact[list(tie)], G)
        rows.append(r)
        for layer, scale in zip(tie, s.tolist(), strict=True):
            schedule[layer], scales[layer] = number, scale
    return Folding(
        group,
        threshold,
        names,
        tuple(schedule),
        tuple(scales),
        torch.stack(rows).to(A),
        smallest(schedule),
    )


def foldings(
    coefficients: Tensor,
    layers: Sequence[str] | None = None,
    group: str = "",
    gram: Tensor | None = None,
) -> list[Folding]:
    """All foldings that a group has: at t = 1 and wherever ties grow, threshold falling.

    Example:
        >>> A = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [1.0, 3.0]])
        >>> for found in foldings(A):
        ...     print(found.threshold, found.program)
        1.0 1 2 1 3
        0.948683 2×(1 2)
        0.0 4×1
    """
    S = similarities(coefficients)
    grows = dict.fromkeys([1.0, *thresholds(S)])
    return [folding(coefficients, t, layers, group, gram, S) for t in grows]


def _representative(a: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
    """Row ``(k,)`` and scales ``(n,)`` of a tie of n layers; its nearest layer has scale 1.

    A layer that is next to nothing beside the others has no say: scales against it would overflow.
    """
    norms = (a @ G * a).sum(1).clamp(min=0).sqrt()  # (n,), of the weights
    if len(a) == 1 or not norms.any():
        return a[0], torch.ones(len(a))
    counts = norms > ZERO * norms.max()
    unit = (a / norms.clamp(min=torch.finfo(a.dtype).tiny)[:, None]).where(counts[:, None], 0.0)
    between = unit @ G @ unit.T  # (n, n), signed similarities of weights
    leading = torch.linalg.eigh(between).eigenvectors[:, -1]
    r = leading @ unit  # (k,), the leading direction lies in the span of the unit weights
    cosines = (unit @ G @ r).abs().round(decimals=6)
    nearest = int(cosines.where(counts, -1.0).argmax())
    s = (a @ G @ r) / (r @ G @ r)
    return r * s[nearest], s / s[nearest]
