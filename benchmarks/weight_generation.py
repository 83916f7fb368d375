"""Mixing all weights of a group (Eq. 1), forward and backward: layer by layer, against one product.

Two plain ways: the sum over weighted templates as the paper writes it, ``(T * a).sum(0)``, and a
matrix product for each layer. Medians are seconds for a group of L layers of C -> C 3x3
convolutions with k templates. With --record, each size and way has a file of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import torch
from timing import arguments, median, report
from torch import Tensor

from softshare.bank import TemplateBank

SIZES = [(6, 6, 160), (6, 2, 160), (10, 8, 128)]  # L, k, C


def by_sum(T: Tensor, A: Tensor) -> list[Tensor]:
    """Each weight a sum over its templates."""
    return [(T * a.view(-1, 1, 1, 1, 1)).sum(0) for a in A]


def by_product(T: Tensor, A: Tensor) -> list[Tensor]:
    """Each weight a product of its own."""
    return [(a @ T.flatten(1)).view(T.shape[1:]) for a in A]


def step(
    mix: Callable[[], Sequence[Tensor]], leaves: Sequence[Tensor], ends: Sequence[Tensor]
) -> None:
    """All weights, and the gradients of templates and coefficients."""
    for leaf in leaves:
        leaf.grad = None
    torch.autograd.backward(mix(), ends)


def compare(L: int, k: int, C: int, options: argparse.Namespace) -> None:
    T = torch.randn(k, C, C, 3, 3, device=options.device)
    A = torch.randn(L, k, device=options.device)
    ends = list(torch.randn(L, C, C, 3, 3, device=options.device))  # dL/dW of each layer
    bank = TemplateBank(T.clone(), A.clone(), [str(i) for i in range(L)])
    T.requires_grad_(), A.requires_grad_()
    own, leaves = [bank.templates, bank.coefficients], [T, A]
    ours = median(lambda: step(bank.weights, own, ends), options.repeats)
    for way, mix in (("sum", by_sum), ("product", by_product)):
        plain = median(lambda mix=mix: step(lambda: mix(T, A), leaves, ends), options.repeats)
        torch.testing.assert_close(bank.templates.grad.view_as(T), T.grad, atol=1e-3, rtol=1e-3)
        record = options.record and options.record.with_stem(
            f"{options.record.stem}-L{L}-k{k}-C{C}-{way}"
        )
        report(
            f"weight-generation L={L} k={k} C={C} by {way}",
            plain,
            ours,
            argparse.Namespace(**{**vars(options), "record": record}),
            least=3 if (L, k, way) == (6, 6, "sum") else None,
        )


def main() -> None:
    options = arguments(__doc__, repeats=31).parse_args()
    for L, k, C in SIZES:
        compare(L, k, C, options)


if __name__ == "__main__":
    main()
