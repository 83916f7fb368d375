"""How a step is driven: eagerly, compiled, or replayed as a CUDA graph; never what it computes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

ENGINES = ("eager", "compiled", "graphs", "compiled graphs")
VARIABLE = "SOFTSHARE_ENGINE"

_LAUNCHES = 1e13  # FLOPs of a step from which no GPU waits for launches; measured up to 4e12
_RATE = 4e14  # FLOP/s of replayed steps in bfloat16 on a large GPU
_LEAST = 2.5e-3  # seconds that a replayed step of some thirty layers takes besides
_SAVED = 0.15  # share of their time that compiling saves, of WRN 28-4 and 28-10
COMPILE = 45.0
"""Seconds that compiling a step takes."""


def engine_for(
    device: torch.device, flops: float, steps: int, asked: str | None = None, alone: bool = True
) -> str:
    """The engine of a run.

    On a GPU, whole steps are replayed as a CUDA graph unless they are so large that the launches
    of their kernels never keep it waiting, and compiled where what is left of the run repays the
    compiler's time. On a CPU steps are eager. What decides was read off `images_per_second` and
    `price_of_sharing` of ``data/benchmarks``, of WRN 28-2 to 28-10 on an H200.

    Args:
        device: where.
        flops: floating-point operations of a step, forward and backward.
        steps: that are left.
        asked: one of `ENGINES`, or ``auto``. Default: the environment's ``SOFTSHARE_ENGINE``, else
            ``auto``.
        alone: whether this process has the network for itself; where gradients travel between
            processes, steps are eager.

    Raises:
        ValueError: an unknown engine, or one that cannot be had here.

    Example:
        >>> gpu = torch.device("cuda")
        >>> engine_for(gpu, flops=4e12, steps=391 * 200), engine_for(gpu, flops=5e10, steps=25_000)
        ('compiled graphs', 'graphs')
        >>> engine_for(torch.device("cpu"), flops=4e12, steps=391 * 200)
        'eager'
    """
    asked = asked or os.environ.get(VARIABLE) or "auto"
    if asked not in (*ENGINES, "auto"):
        raise ValueError(f"engine is auto, {', '.join(ENGINES)}; got {asked!r}.")
    cuda = device.type == "cuda"
    if "graphs" in asked and not (cuda and alone):
        raise ValueError(f"CUDA graphs need a GPU and one process; got engine={asked!r}.")
    if not alone and asked not in ("auto", "eager"):
        raise ValueError(f"Several processes train eagerly; got engine={asked!r}.")
    if asked != "auto":
        return asked
    compiled = cuda and alone and _SAVED * steps * (_LEAST + flops / _RATE) > COMPILE
    graphs = cuda and alone and flops < _LAUNCHES
    return " ".join(["compiled"] * compiled + ["graphs"] * graphs) or "eager"


@contextlib.contextmanager
def tuned(device: torch.device) -> Iterator[None]:
    """Lets cuDNN time its algorithms inside, and leaves PyTorch's settings as they were outside.

    float32 is float32 inside: PyTorch lets a GPU's convolutions round it to the ten bits of TF32,
    and a record that says float32 would not tell.
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32
    cudnn.benchmark, cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = before
