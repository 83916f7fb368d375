"""Mixing all weights of a group (Eq. 1), forward and backward: layer by layer, against one product.

Two plain ways: the sum over weighted templates as the paper writes it, ``(T * a).sum(0)``, and a
matrix product for each layer. A call makes the weights of a group of L layers of C -> C 3x3
convolutions from k templates, and the gradients of templates and coefficients. On a GPU each way
is replayed as a CUDA graph, as training replays its steps.

The floor counts every tensor once in each pass that needs it: forward reads T and writes W,
backward reads T and dL/dW and writes dL/dT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from benchmark import Benchmark, arguments
from timing import replayed
from torch import Tensor

from softshare.sharing.bank import TemplateBank
from softshare.sharing.mixing import fused_on

SIZES = [(6, 6, 160), (6, 2, 160), (10, 8, 128)]  # L, k, C
WAYS = {"sum": "(T * a).sum(0) a layer", "product": "a @ T a layer"}


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


def compare(bench: Benchmark, L: int, k: int, C: int) -> None:
    C = 16 if bench.quick else C
    T = torch.randn(k, C, C, 3, 3, device=bench.device)
    A = torch.randn(L, k, device=bench.device)
    ends = list(torch.randn(L, C, C, 3, 3, device=bench.device))  # dL/dW of each layer
    bank = TemplateBank(T.clone(), A.clone(), [str(i) for i in range(L)])
    bank.fused = fused_on(bench.device)
    T.requires_grad_(), A.requires_grad_()
    own, leaves = [bank.templates, bank.coefficients], [T, A]
    ways = {
        "sum": lambda: step(lambda: by_sum(T, A), leaves, ends),
        "product": lambda: step(lambda: by_product(T, A), leaves, ends),
        "ours": lambda: step(bank.weights, own, ends),
    }
    seconds = bench.time({name: replayed(work, bench.device) for name, work in ways.items()})
    torch.testing.assert_close(bank.templates.grad.view_as(T), T.grad, atol=1e-3, rtol=1e-3)
    n = T[0].numel()
    ours = "A @ T in one pass over memory" if bank.fused else "one product A @ T"
    how = ", as a graph" if bench.device.type == "cuda" else ""
    for way, meaning in WAYS.items():
        bench.record(
            f"L{L}-k{k}-C{C}-{way}",
            seconds[way],
            seconds["ours"],
            ways=(meaning + how, ours + how),
            settings={"L": L, "k": k, "C": C},
            flops=3 * 2 * L * k * n,
            moved=4 * n * (3 * k + 2 * L),
            per="step",
            expected=3 if k == L and way == "sum" else None,
        )


def main() -> None:
    bench = Benchmark(__file__, arguments(__doc__, repeats=31))
    for size in bench.cases(SIZES):
        compare(bench, *size)


if __name__ == "__main__":
    main()
