"""Triton kernels of mixing: each reads its rows once and writes its result once.

A product with six rows leaves a GPU's matrix routines far from the rate of its memory, which is
all that bounds it. Imported where there is a GPU alone; ``TRITON_INTERPRET=1`` runs them on a CPU.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import next_power_of_2

MOST = 32
"""Rows on either side; beyond, a matrix product has enough to do."""

_EACH = 16  # programs of a reduction for each multiprocessor
_ONE_WARP: dict[str, Any] = {"num_warps": 1, "enable_fp_fusion": True}  # no waiting for others
_DTYPES = (torch.float32, torch.bfloat16)


def suits(rows: Tensor, others: int) -> bool:
    """Whether the kernels take rows ``(k, n)`` and so many on the other side.

    Example:
        >>> suits(torch.zeros(6, 9), 6), suits(torch.zeros(6, 9), 33)
        (True, False)
    """
    small = max(len(rows), others) <= MOST
    return small and rows.dtype in _DTYPES and MOST * rows.shape[1] < 2**31


def mixture(rows: Tensor, A: Tensor, dtype: torch.dtype) -> Tensor:
    """``A @ rows`` in float32, rounded to `dtype`: ``(L, k) @ (k, n)``."""
    rows, A = rows.contiguous(), A.contiguous()
    (L, k), n = A.shape, rows.shape[1]
    mixed = rows.new_empty(L, n, dtype=dtype)
    columns = 32 * 16 // rows.itemsize  # each thread of a warp reads 16 bytes at once
    with torch.cuda.device_of(rows):
        mixture_kernel[triton.cdiv(n, columns),](
            rows, A, mixed, n, L, k, next_power_of_2(k), columns, **_ONE_WARP
        )
    return mixed


def inner_products(one: Tensor, two: Tensor) -> Tensor:
    """``one @ two.T`` in float32: ``(L, n) @ (n, k)``."""
    one, two = one.contiguous(), two.contiguous()
    (L, n), k = one.shape, len(two)
    sides = [max(16, next_power_of_2(rows)) for rows in (L, k)]  # a matrix unit's, or more
    columns = 1024 // max(sides)  # as many numbers at a time as registers hold
    programs = min(triton.cdiv(n, columns), _EACH * _multiprocessors(one.device))
    parts = one.new_empty(programs, L, k, dtype=torch.float32)
    with torch.cuda.device_of(one):
        inner_products_kernel[programs,](one, two, parts, n, L, k, *sides, columns, **_ONE_WARP)
    return parts.sum(0)  # always in the same order


@triton.jit
def mixture_kernel(  # type: ignore[no-untyped-def]
    rows,
    A,
    mixed,
    n,
    L: tl.constexpr,
    K: tl.constexpr,
    SIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = columns < n
    j = tl.arange(0, SIDE)
    at = j[:, None] * n + columns[None, :]
    t = tl.load(rows + at, (j[:, None] < K) & live[None, :], 0.0).to(tl.float32)
    for i in tl.static_range(L):
        a = tl.load(A + i * K + j, j < K, 0.0)
        tl.store(mixed + i * n + columns, tl.sum(a[:, None] * t, 0), live)


@triton.jit
def inner_products_kernel(  # type: ignore[no-untyped-def]
    one,
    two,
    parts,
    n,
    L: tl.constexpr,
    K: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    i, j = tl.arange(0, HEIGHT), tl.arange(0, WIDTH)
    found = tl.zeros((HEIGHT, WIDTH), tl.float32)
    for start in range(tl.program_id(0) * BLOCK, n, tl.num_programs(0) * BLOCK):
        columns = start + tl.arange(0, BLOCK)[None, :]
        live = columns < n
        g = tl.load(one + i[:, None] * n + columns, (i[:, None] < L) & live, 0.0)
        t = tl.load(two + j[:, None] * n + columns, (j[:, None] < K) & live, 0.0)
        g, t = g.to(tl.float32), tl.trans(t.to(tl.float32))
        found = tl.dot(g, t, found, input_precision="tf32x3")  # as exact as float32
    at = (tl.program_id(0) * L + i[:, None]) * K + j[None, :]
    tl.store(parts + at, found, (i[:, None] < L) & (j[None, :] < K))


@cache
def _multiprocessors(device: torch.device) -> int:
    if device.type == "cpu":  # interpreted
        return 1
    return torch.cuda.get_device_properties(device).multi_processor_count
