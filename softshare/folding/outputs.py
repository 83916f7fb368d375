"""What a model returns in eval mode, for what the user gave as inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only


def input_shape_of(net: nn.Module) -> tuple[int, ...] | None:
    """The shape of one example that a model says it takes; None if it says nothing.

    Raises:
        ValueError: its ``input_shape`` is no sequence of numbers from 1 up.
    """
    shape = getattr(net, "input_shape", None)
    if shape is None:
        return None
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ValueError(
            "input_shape is the shape of one example, such as (3, 32, 32); "
            f"{type(net).__name__} has {shape!r:.60}."
        )
    return sizes


def arguments_for(net: nn.Module, inputs: Any) -> tuple | None:
    """Positional arguments of a model from what the user gave as `inputs`; None to measure none.

    Raises:
        ValueError: neither a tensor, a tuple, None nor ``"normal"``; or as `input_shape_of`.
    """
    if inputs is None or isinstance(inputs, tuple):
        return inputs
    if isinstance(inputs, Tensor):
        return (inputs,)
    if not is_noise(inputs):
        raise ValueError(
            "inputs is a tensor, a tuple of arguments, None, or 'normal' for noise; got "
            f"{type(inputs).__name__} {inputs!r:.60}."
        )
    shape = input_shape_of(net)
    if shape is None:
        return None
    first = next(p for p in net.parameters() if p.is_floating_point())
    noise = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    return (noise.to(first.device, first.dtype),)


def measured(net: nn.Module, inputs: Any) -> tuple[tuple | None, list[Tensor], str]:
    """Arguments, what the model returns for them, and why nothing could be measured.

    A model that cannot be run on noise, which nobody asked for, is not measured; one that cannot
    be run on what the user gave raises what it raises.
    """
    try:
        arguments = arguments_for(net, inputs)
        outputs = outputs_of(net, arguments)
    except Exception as error:
        if not is_noise(inputs):
            raise
        first = str(error).partition("\n")[0].rstrip(".")
        return None, [], f"the model cannot be run on noise of its input_shape: {first}"
    if arguments is not None and not any(x.isfinite().any() for x in outputs):
        return None, [], "the model returns no finite number in a tensor of floating point"
    return arguments, outputs, ""


def outputs_of(net: nn.Module, arguments: tuple | None) -> list[Tensor]:
    """What a model returns in eval mode: its tensors of floating point.

    What it writes into its arguments and buffers is written into copies.
    """
    if arguments is None:
        return []
    with torch.no_grad(), _evaluating(net):
        leaves = tree_leaves(net(*tree_map_only(Tensor, torch.clone, arguments)))
    return [
        x.detach().cpu().clone()
        for x in leaves
        if isinstance(x, Tensor) and x.is_floating_point() and x.numel()
    ]


def is_noise(inputs: Any) -> bool:
    """Whether nobody gave inputs, and noise stands in for them."""
    return isinstance(inputs, str) and inputs == "normal"


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in net.modules()}
    kept = {  # TorchScript keeps its buffers to itself
        module: dict(module._buffers)
        for module in modes
        if not isinstance(module, torch.jit.ScriptModule)
    }
    copies = {id(buffer): buffer.clone() for buffer in net.buffers()}
    for module, buffers in kept.items():
        module._buffers.update({name: copies.get(id(b)) for name, b in buffers.items()})
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for module, buffers in kept.items():
            module._buffers.update(buffers)
