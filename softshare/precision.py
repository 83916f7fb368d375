"""What numbers a device computes with: its precision, autocast to it, and random streams."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def precision_for(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU that has it, else float32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Autocast to `precision`; float32 switches it off."""
    enabled = precision != torch.float32
    return torch.autocast(device.type, precision if enabled else None, enabled=enabled)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds PyTorch's global generators inside, and leaves them as they were outside."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed % 2**63)
        yield
