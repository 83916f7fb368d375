"""How large and how costly a model is: parameters and multiply-accumulates."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from softshare.folding.folded_model import FoldedModel
from softshare.folding.folded_weights import settle
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


def count(net: nn.Module, input_shape: Sequence[int] | None = None) -> Count:
    r"""Parameters and multiply-accumulates (MACs) of a model.

    A convolution with weight (o, i, h, w) and an output of H x W pixels costs
    :math:`o \, i \, h \, w \, H \, W` MACs; mixing costs :math:`L \, k \, n` for weights of n
    numbers. PyTorch's FlopCounterMode does the counting, on shapes alone.

    Args:
        net: any model.
        input_shape: shape of one example without the batch axis, such as ``(3, 32, 32)``.
            Default: the model's own ``input_shape``, which the models of the paper have.

    Returns:
        A `Count`.

    Raises:
        ValueError: an input shape with numbers below 1.

    Example:
        >>> import softshare as ss
        >>> count(ss.build("swrn-28-10-1")).parameters
        12287212
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
    shape = tuple(getattr(net, "input_shape", ()) if input_shape is None else input_shape)
    if not shape:
        return Count(parameters, None, mixing)
    if min(shape) < 1:
        raise ValueError(f"input_shape holds numbers from 1 up; got {shape}.")
    twin = copy.deepcopy(net).to("meta")
    twin = unshare(twin) if banks(twin) else twin
    settle(twin)
    dtype = next((p.dtype for p in net.parameters()), None)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        twin.eval()(torch.empty(1, *shape, dtype=dtype, device="meta"))
    return Count(parameters, counter.get_total_flops() // 2, mixing)
