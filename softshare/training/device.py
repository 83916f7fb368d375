"""The device on which a network is trained or measured."""

from __future__ import annotations

import torch

from softshare.training.processes import local_gpu


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
