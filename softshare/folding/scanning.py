"""A loop in an exported program: PyTorch's ``scan``, whose body stands once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def scans(body: nn.Module) -> bool:
    """Whether a loop over `body` that is called now is to be written as a scan.

    It is not where gradients may be asked for, which PyTorch's scan gets wrong in some versions
    (pytorch/pytorch#184528), nor in training, where BN would change buffers inside it (#172568).
    """
    if not torch.compiler.is_exporting() or torch.is_grad_enabled():
        return False
    return not any(module.training for module in body.modules())


def scanned(body: nn.Module, rows: Mapping[str, Tensor], count: int, x: Any) -> Tensor | None:
    """Runs a loop as a scan: carries x, scans over what each iteration has for itself.

    Args:
        body: what is run; its other tensors are captured.
        rows: ``(count, ...)`` by the names of the body's parameters and buffers.
        count: how many iterations.
        x: input of the first.

    Returns:
        The output of the last; None if the body returns something else than a tensor of the
        shape and type of its input, which a scan cannot carry.
    """
    from torch._higher_order_ops.scan import scan

    stacks: list[Tensor] = []
    for row in rows.values():
        if not any(row is stack for stack in stacks):
            stacks.append(row)  # a scan wants each once
    stacks = stacks or [torch.zeros(count)]
    ranks = [stack.dim() for stack in stacks]
    least = ranks.index(min(ranks))
    places = {name: [row is stack for stack in stacks].index(True) for name, row in rows.items()}

    def iterate(x: Tensor, own: Sequence[Tensor]) -> Any:
        tensors = {name: own[place] for name, place in places.items()}
        return torch.func.functional_call(body, tensors, (x.clone(),), tie_weights=False)

    def step(x: Tensor, own: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        # a scan keeps strides, and also stacks something; nobody asks for it
        return iterate(x, own).contiguous(), own[least].clone()

    if not isinstance(x, Tensor):
        return None
    y = iterate(x, [stack[0] for stack in stacks])  # for its shape; export drops unused results
    if not isinstance(y, Tensor) or (x.shape, x.dtype) != (y.shape, y.dtype):
        return None
    return scan(step, x.contiguous(), stacks)[0]
