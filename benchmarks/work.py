"""What a training step cannot avoid: operations, and bytes to and from memory."""

from __future__ import annotations

from typing import Any

import torch
from epochs import Epochs
from torch import nn

import softshare as ss


def step_work(epochs: Epochs, batch: int) -> dict[str, Any]:
    """FLOPs, bytes and dtype of an image's share of a step, as `Benchmark.record` takes them.

    Operations: forward once, backward twice, two a multiply-accumulate, and the mixing of shared
    weights likewise, once a step. Bytes: each convolution's input and output once forward and
    twice backward, in the precision of the step, if all between convolutions is done on the way;
    and for each parameter gradient, momentum and value, read and written, in float32.
    """
    net, dtype = epochs.net, epochs.precision
    size = ss.count(net, epochs.task.input_shape)
    parameters = sum(p.numel() for p in net.parameters())
    passed = _activations(net, epochs.task.input_shape)
    return {
        "flops": 6 * (size.macs + size.mixing_macs / batch),
        "moved": 3 * passed * dtype.itemsize + 6 * 4 * parameters / batch,
        "dtype": dtype,
    }


def _activations(net: nn.Module, shape: tuple[int, ...]) -> int:
    """Numbers that go into and come out of the convolutions of one example's forward pass."""
    total = 0

    def add(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        total += inputs[0].numel() + output.numel()

    hooks = [m.register_forward_hook(add) for m in net.modules() if isinstance(m, nn.Conv2d)]
    try:
        with torch.no_grad():
            device = next(net.parameters()).device
            net.eval()(torch.zeros(1, *shape, device=device))
    finally:
        net.train()
        for hook in hooks:
            hook.remove()
    return total
