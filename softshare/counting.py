"""How large and how costly a model is: parameters and multiply-accumulates."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from softshare.folding.folded_model import FoldedModel
from softshare.folding.folded_weights import settle
from softshare.folding.outputs import input_shape_of
from softshare.sharing import banks, unshare


@dataclass(frozen=True)
class Count:
    """Size and cost of a model.

    Attributes:
        parameters: trainable and frozen numbers, each counted once.
        macs: multiply-accumulates of one forward pass of one example through convolutions,
            linear layers and attention; None where the shape of an input is not known.
        mixing_macs: multiply-accumulates of Eq. 1, once a step whatever the batch.
    """

    parameters: int
    macs: int | None
    mixing_macs: int


def count(
    net: nn.Module,
    input_shape: Sequence[int] | None = None,
    example: Tensor | tuple[Tensor, ...] | None = None,
) -> Count:
    r"""Parameters and multiply-accumulates (MACs) of a model.

    A convolution with weight (o, i, h, w) and an output of H x W pixels costs
    :math:`o \, i \, h \, w \, H \, W` MACs; mixing costs :math:`L \, k \, n` for weights of n
    numbers. PyTorch's FlopCounterMode does the counting, on shapes alone.

    Args:
        net: any model.
        input_shape: shape of one example without the batch axis, such as ``(3, 32, 32)``.
            Default: the model's own ``input_shape``, which the models of the paper have.
        example: instead of a shape, for a model that takes something else than numbers of its
            own type: an input, or a tuple of inputs, with the batch as their first axis, of which
            the first example counts.

    Returns:
        A `Count`.

    Raises:
        ValueError: an input shape with numbers below 1, or an input that the model cannot take.

    Example:
        >>> import softshare as ss
        >>> count(ss.build("swrn-28-10-1")).parameters
        12287212
        >>> words = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 3))
        >>> count(words, example=torch.zeros(1, 5, dtype=torch.long)).macs   # 5 x 4 x 3
        60
    """
    parameters = sum(p.numel() for p in net.parameters())
    mixing = sum(
        bank.coefficients.numel() * bank.templates.numel() // bank.coefficients.shape[1]
        for bank in banks(net).values()
    )
    for module in net.modules():
        if isinstance(module, FoldedModel):
            mixed = [group for group in module.report.groups if group.mixes]
            mixing += sum(len(group.layers) * group.templates * group.size for group in mixed)
    inputs = _inputs(net, input_shape, example)
    if not inputs:
        return Count(parameters, None, mixing)
    twin = copy.deepcopy(net).to("meta")
    twin = unshare(twin) if banks(twin) else twin
    settle(twin)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        try:
            twin.eval()(*inputs)
        except Exception as error:
            given = ", ".join(f"{x.dtype} of shape {tuple(x.shape)}" for x in inputs)
            raise ValueError(
                f"{type(net).__name__} cannot be run, on shapes alone, for {given}; pass "
                "example=, an input with the batch as its first axis, or input_shape=() for its "
                f"parameters only. It says: {error}"
            ) from error
    return Count(parameters, counter.get_total_flops() // 2, mixing)


def _inputs(
    net: nn.Module, input_shape: Sequence[int] | None, example: Tensor | tuple[Tensor, ...] | None
) -> tuple[Tensor, ...]:
    """A batch of one, without its numbers; none where the shape of an input is not known."""
    if example is not None:
        examples = example if isinstance(example, tuple) else (example,)
        if not all(isinstance(x, Tensor) and x.dim() for x in examples):
            raise ValueError(
                "example is a tensor or a tuple of tensors, with the batch as their first axis; "
                f"got {type(example).__name__} {example!r:.60}."
            )
        return tuple(x[:1].to("meta") for x in examples)
    shape: Any = (input_shape_of(net) or ()) if input_shape is None else input_shape
    if not isinstance(shape, Sequence) or not all(hasattr(n, "__index__") and n > 0 for n in shape):
        raise ValueError(
            f"input_shape holds numbers from 1 up; got {shape!r:.60}. Pass the shape of one "
            "example, such as (3, 32, 32)."
        )
    if not shape:
        return ()
    dtype = next((p.dtype for p in net.parameters() if p.is_floating_point()), None)
    return (torch.empty(1, *shape, dtype=dtype, device="meta"),)
