"""How far what two models return lies apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from softshare.folding.outputs import is_noise, outputs_of


def refuse_unchecked(net: nn.Module, inputs: Any, why: str) -> None:
    """Refuses loops that were to be checked on `inputs`, where nothing can be compared.

    Raises:
        ValueError: the user gave inputs, and `why` says why they measure nothing.
    """
    if why and not is_noise(inputs):
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
