"""How far what two models return lies apart."""

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
    if not _is_noise(inputs):
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
        if not _is_noise(inputs):
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


def refuse_unchecked(net: nn.Module, inputs: Any, why: str) -> None:
    """Refuses loops that were to be checked on `inputs`, where nothing can be compared.

    Raises:
        ValueError: the user gave inputs, and `why` says why they measure nothing.
    """
    if why and not _is_noise(inputs):
        raise ValueError(
            "Loops are compared on inputs with the same model without them, and here nothing can "
            f"be compared: {why}. Pass loops=False, or inputs=None where {type(net).__name__} "
            "neither takes blocks that repeat by number nor steps through them."
        )


def outputs_of_loops(net: nn.Module, arguments: tuple | None, flat: list[Tensor]) -> list[Tensor]:
    """What a model with loops returns, which is what the same model returned before it had them.

    Raises:
        ValueError: it is something else; then the model itself goes through blocks that are one.
    """
    try:
        outputs = outputs_of(net, arguments)
        moved = _shapes(outputs) != _shapes(flat)
        if not moved and (apart := _apart(outputs, flat, _on_cpu(net, arguments))):
            again = outputs_of(net, arguments)  # a model that draws numbers differs from itself
            moved = any(_difference(x, y) > 10 * _difference(x, again[i]) for i, x, y in apart)
        if moved:
            raise ValueError("With loops it returns something else than without.")
    except Exception as error:
        raise ValueError(
            f"{type(net).__name__} cannot be folded into loops: its own code takes blocks that "
            "repeat by number, or steps through them. Pass loops=False, which leaves them where "
            f"they are, tied. What went wrong: {error}"
        ) from error
    return outputs


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


def gaps(model: list[Tensor], tied: list[Tensor], folded: list[Tensor]) -> dict[str, Any]:
    """Greatest differences, for a `softshare.folding.report.Report`; none if none were measured."""
    if not model:
        return {}
    if not _shapes(model) == _shapes(tied) == _shapes(folded):
        return {"not_measured": "the shapes that the model returns depend on its weights"}
    return {
        "gap": _greatest(model, folded),
        "rounding": _greatest(tied, folded),
        "largest_output": _largest(model),
    }


def _is_noise(inputs: Any) -> bool:
    return isinstance(inputs, str) and inputs == "normal"


def _shapes(outputs: list[Tensor]) -> list[torch.Size]:
    return [x.shape for x in outputs]


def _greatest(a: list[Tensor], b: list[Tensor]) -> float:
    """Greatest difference of two numbers; none between equal ones, also infinite or undefined."""
    return max(_difference(x, y) for x, y in zip(a, b, strict=True))


def _difference(x: Tensor, y: Tensor) -> float:
    x, y = x.double(), y.double()
    same = (x == y) | (x.isnan() & y.isnan())
    return (x - y).abs().nan_to_num(torch.inf, torch.inf).masked_fill(same, 0.0).max().item()


def _largest(outputs: list[Tensor]) -> float:
    """Of the finite numbers."""
    return max(x.double().abs().masked_fill(~x.isfinite(), 0.0).max().item() for x in outputs)


def _on_cpu(net: nn.Module, arguments: Any) -> bool:
    tensors = [x for x in tree_leaves(arguments) if isinstance(x, Tensor)]
    return all(x.device.type == "cpu" for x in (*tensors, *net.parameters()))


def _apart(a: list[Tensor], b: list[Tensor], on_cpu: bool) -> list[tuple[int, Tensor, Tensor]]:
    """Which tensors differ by more than a loop makes of them, and their places.

    It runs the same operations on copies of the same numbers: a CPU gives the same, a GPU may
    choose other kernels.
    """

    def rounding(x: Tensor) -> float:
        share = 1e-5 if on_cpu else max(1e-3, 4 * torch.finfo(x.dtype).eps)
        return share * _largest([x])

    pairs = enumerate(zip(a, b, strict=True))
    return [(i, x, y) for i, (x, y) in pairs if _difference(x, y) > rounding(y)]
