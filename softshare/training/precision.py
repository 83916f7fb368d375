"""What numbers a device computes with: its precision, and autocast to it."""

from __future__ import annotations

import torch

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

_WORTH = 2e10  # FLOPs of a step below which a CPU spends on casts what it saves on products


def precision_for(
    device: torch.device, flops: float = 0.0, asked: str | None = None
) -> torch.dtype:
    """What a network computes in: bfloat16 where the device is made for it, else float32.

    Args:
        device: a GPU with instructions for bfloat16 uses it, as all do since compute capability 8;
            older ones only emulate it. A CPU uses it if it has them and the step is large enough
            to gain.
        flops: floating-point operations of a step, forward and backward.
        asked: ``float32`` or ``bfloat16`` decide, ``auto`` and None do not.

    Raises:
        ValueError: another word.

    Example:
        >>> precision_for(torch.device("cpu"), flops=1e6)
        torch.float32
    """
    if asked not in (None, "auto", *PRECISIONS):
        raise ValueError(f"precision is auto, {' or '.join(PRECISIONS)}; got {asked!r}.")
    if asked in PRECISIONS:
        return PRECISIONS[asked]
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device)[0] >= 8
    else:
        fast = flops >= _WORTH and _has_bf16_products()
    return torch.bfloat16 if fast else torch.float32


def name_of(precision: torch.dtype) -> str:
    """``float32`` or ``bfloat16``."""
    return str(precision).removeprefix("torch.")


def _has_bf16_products() -> bool:
    """oneDNN runs bfloat16 on any CPU with AVX-512, but gains only where there are instructions."""
    found = (getattr(torch.cpu, name, None) for name in _INSTRUCTIONS)
    return any(check() for check in found if check is not None)


_INSTRUCTIONS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Autocast to `precision`; float32 switches it off."""
    enabled = precision != torch.float32
    return torch.autocast(device.type, precision if enabled else None, enabled=enabled)
