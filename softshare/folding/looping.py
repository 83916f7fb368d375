"""A loop in a network: one body, run several times with numbers of its own each time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from softshare.folding.scanning import scanned, scans
from softshare.folding.stacking import Slot, stack

_turns: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()
"""A lock for each loop: its body serves one thread at a time."""


class Loop(nn.Module):
    r"""`count` iterations of one body, each with its own BN and scale.

    .. math:: x_{t+1} = f(x_t;\, W,\, \theta_t), \qquad t = 1..\text{count} \quad
              (\text{Section 3.2})

    W stands for the parameters that are the same object in all iterations: they stay once, and
    gradients of all iterations add up in them. Every other parameter and buffer,
    :math:`\theta`, is stacked along a new first axis, ``(count, ...)``, under the name that it
    has in the body; those of rank 4 or more, which have a memory format, are joined along their
    first axis instead, ``(count · o, i, h, w)``. BN keeps, and updates in training, running
    statistics for each iteration. Iterations may contain loops.

    ``torch.export`` under ``torch.no_grad()`` and in eval mode writes a loop as PyTorch's
    ``scan``, its body once. With gradients, in training mode, and where the body returns another
    shape than it takes, it writes the iterations one after the other. ``torch.fx`` cannot tell
    iterations apart and is refused; trace what `unrolled` returns.

    A body may not call ``torch.utils.checkpoint`` itself. What is recomputed in backward, when the
    loop has ended, finds the numbers of all iterations instead of its own, and raises or computes
    wrong gradients. Checkpoint the loop, or what contains it.

    Args:
        iterations: two or more modules of equal structure, in the order in which they run; each
            takes what the one before returns. The first becomes the body and is changed.

    Raises:
        ValueError: fewer than two, or modules that differ in more than their numbers.

    Example:
        >>> layers = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)) for _ in range(3)]
        >>> for layer in layers[1:]:
        ...     layer[0].weight, layer[0].bias = layers[0][0].weight, layers[0][0].bias
        >>> loop = Loop(layers)
        >>> for name, parameter in loop.named_parameters():
        ...     print(name, tuple(parameter.shape))
        body.0.weight (4, 4)
        body.0.bias (4,)
        body.1.weight (3, 4)
        body.1.bias (3, 4)
        >>> loop(torch.zeros(2, 4)).shape
        torch.Size([2, 4])
    """

    def __init__(self, iterations: Sequence[nn.Module]) -> None:
        super().__init__()
        modules = list(iterations)
        if len(modules) < 2 or not all(isinstance(module, nn.Module) for module in modules):
            raise ValueError(
                "A loop has two or more iterations, each a module; got "
                f"{[type(module).__name__ for module in modules]}."
            )
        if len({id(module) for module in modules}) < len(modules):
            raise ValueError(
                "Each iteration of a loop has numbers of its own; got the same module twice. "
                "Pass copies whose common parameters are the same objects."
            )
        self.count = len(modules)
        self._slots = stack(modules)
        self.body = modules[0]

    def forward(self, x: Any) -> Any:
        with nullcontext() if torch.compiler.is_compiling() else _turns.setdefault(self, RLock()):
            return self._run(x)

    def _run(self, x: Any) -> Any:
        if any(isinstance(leaf, torch.fx.Proxy) for leaf in tree_leaves(x)):
            raise ValueError(
                "torch.fx writes down which layer is called and not with which numbers, so that "
                "all iterations of a loop would run the same; trace "
                "softshare.folding.looping.unrolled(net), or use torch.export."
            )
        places = [(slot.held(self.body), slot.name) for slot in self._slots]
        stacks = [tensors[name] for tensors, name in places]
        if scans(self.body):
            whole = [s.rows(t, self.count) for s, t in zip(self._slots, stacks, strict=True)]
            named = dict(zip(map(str, self._slots), whole, strict=True))
            if (last := scanned(self.body, named, self.count, x)) is not None:
                return last
        rows = [_rows(slot, t, self.count) for slot, t in zip(self._slots, stacks, strict=True)]
        try:
            for t in range(self.count):
                for (tensors, name), own in zip(places, rows, strict=True):
                    tensors[name] = own[t]
                x = self.body(x)
                for (tensors, name), own in zip(places, rows, strict=True):
                    if tensors[name] is not own[t]:  # a buffer that was replaced, not updated
                        own[t].copy_(tensors[name])
        finally:
            for (tensors, name), whole in zip(places, stacks, strict=True):
                tensors[name] = whole
        return x

    def unrolled(self) -> list[nn.Module]:
        """The iterations as modules of their own; common parameters stay the same objects."""
        tensors = [*self.body.parameters(), *self.body.buffers()]
        stacked = {id(slot.held(self.body)[slot.name]) for slot in self._slots}
        common = {id(t): t for t in tensors if id(t) not in stacked}
        modules = [copy.deepcopy(self.body, dict(common)) for _ in range(self.count)]
        for t, module in enumerate(modules):
            own: dict[int, Tensor] = {}
            for slot in self._slots:
                whole = slot.held(self.body)[slot.name]
                tensor = slot.rows(whole.detach(), self.count)[t].clone()
                if slot.kind == "_parameters":
                    tensor = nn.Parameter(tensor, requires_grad=whole.requires_grad)
                slot.held(module)[slot.name] = own.setdefault(id(whole), tensor)
        return modules

    def extra_repr(self) -> str:
        return f"count={self.count}"


def unrolled(net: nn.Module) -> nn.Module:
    """A copy of a model in which the iterations of every loop follow one another.

    Args:
        net: a module that has loops, at any depth; it stays as it is.

    Returns:
        A deep copy, same function, with an nn.Sequential in the place of each loop. What
        iterations have in common is still the same parameter in each.

    Example:
        >>> net = unrolled(nn.Sequential(Loop([nn.BatchNorm1d(4), nn.BatchNorm1d(4)])))
        >>> net
        Sequential(
          (0): Sequential(
            (0): BatchNorm1d(4, ...)
            (1): BatchNorm1d(4, ...)
          )
        )
    """
    if isinstance(net, Loop):
        return nn.Sequential(*map(unrolled, net.unrolled()))
    net = copy.deepcopy(net)
    while loops := [path for path, module in net.named_modules() if isinstance(module, Loop)]:
        loop: Any = net.get_submodule(loops[0])
        net.set_submodule(loops[0], nn.Sequential(*loop.unrolled()))
    return net


def _rows(slot: Slot, whole: Tensor, count: int) -> Sequence[Tensor]:
    rows = slot.rows(whole, count).unbind(0)
    if slot.kind == "_buffers" and torch.is_grad_enabled() and not _followed():
        # updated in place: with a version each, or an iteration spoils the graph of another
        return [row.data for row in rows]
    return rows


def _followed() -> bool:
    """Whether something writes down or transforms what is done to tensors, and misses ``data``."""
    transformed = torch._C._functorch.maybe_current_level() is not None
    return transformed or torch.compiler.is_compiling() or torch.jit.is_tracing()
