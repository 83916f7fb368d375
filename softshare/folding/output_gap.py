"""How far what two models return lies apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def arguments_for(net: nn.Module, inputs: Any) -> tuple | None:
    """Positional arguments of a model from what the user gave as `inputs`; None to measure none.

    Raises:
        ValueError: neither a tensor, a tuple, None nor ``"normal"``.
    """
    if inputs is None or isinstance(inputs, tuple):
        return inputs
    if isinstance(inputs, Tensor):
        return (inputs,)
    if inputs != "normal":
        raise ValueError(
            "inputs is a tensor, a tuple of arguments, None, or 'normal' for noise; got "
            f"{type(inputs).__name__} {inputs!r:.60}."
        )
    shape = getattr(net, "input_shape", None)
    if shape is None:
        return None
    first = next(net.parameters())
    noise = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    return (noise.to(first.device, first.dtype),)


def outputs_of(net: nn.Module, arguments: tuple | None) -> list[Tensor]:
    """What a model returns in eval mode: its tensors of floating point, in double precision."""
    if arguments is None:
        return []
    with torch.no_grad(), _evaluating(net):
        leaves = tree_leaves(net(*arguments))
    return [
        x.detach().cpu().double().clone()
        for x in leaves
        if isinstance(x, Tensor) and x.is_floating_point() and x.numel()
    ]


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def gaps(model: list[Tensor], tied: list[Tensor], folded: list[Tensor]) -> dict[str, Any]:
    """Greatest differences, for a `softshare.folding.report.Report`; none if none were measured."""
    if not model:
        return {}

    def greatest(a: list[Tensor], b: list[Tensor]) -> float:
        return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True))

    return {
        "gap": greatest(model, folded),
        "rounding": greatest(tied, folded),
        "largest_output": max(x.abs().max().item() for x in model),
    }
