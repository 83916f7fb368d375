"""The device on which a network is trained or measured, and the cores beside it."""

from __future__ import annotations

import os

import torch

from softshare.training.processes import local_gpu


def cores() -> int:
    """Processor cores that this process may use, 1 or more.

    Example:
        >>> cores() >= 1
        True
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def device_for(wanted: str | torch.device | None = None) -> torch.device:
    """The device of a name; CUDA where there is one, else the CPU, if none is named.

    Raises:
        ValueError: no device of that name, or it is not here.

    Example:
        >>> device_for("cpu")
        device(type='cpu')
    """
    try:
        place = torch.device(wanted or (local_gpu() if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise ValueError(f"A device is cpu, cuda or cuda:N; got {wanted!r}.") from None
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"There is no {place} here, but {torch.cuda.device_count()} CUDA devices; pass another "
            "device, such as cpu."
        )
    if place.type == "cuda":
        torch.cuda.init()  # PyTorch's memory counters want a device that is in use
    return place
