"""What a device can do at most, measured: matrix products and copies. A floor is work over these.

The best of several timings counts: a ceiling is not lowered by whatever else the machine does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from timing import LEAST, once

_REPEATS = 15
_LARGEST = 2**30  # bytes that are moved at most to measure a rate


def matrix_product(
    device: torch.device, dtype: torch.dtype, quick: bool = False
) -> tuple[Callable[[], object], int]:
    """A large square matrix product of random numbers, and its FLOPs."""
    size = 256 if quick else 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out), 2 * size**3


def copy_rate(device: torch.device, moved: int) -> float:
    """Bytes/s of a copy that moves as many bytes, read and written: caches help small ones."""
    half = min(max(moved, 64), _LARGEST) // 2
    source, target = torch.empty(2, half, dtype=torch.uint8, device=device).fill_(1)

    def copy() -> None:
        target.copy_(source)

    copy()
    calls = max(1, round(LEAST / max(once(copy, device), 1e-9)))
    return 2 * half / min(once(copy, device, calls) for _ in range(_REPEATS))
