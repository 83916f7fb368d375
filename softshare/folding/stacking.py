"""Modules of equal structure as one: what they have in common once, what differs stacked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_PARTS = ("_parameters", "_buffers", "_modules")
_HOOKS = tuple(name for name in vars(nn.Identity()) if "hooks" in name)


class Slot(NamedTuple):
    """A tensor of a module tree: ``(("stage1", "0"), "_parameters", "weight", rank)``.

    Tensors of rank 4 or more, which have a memory format, are joined end to end along their
    first axis and keep their rank: ``net.to(memory_format=torch.channels_last)`` reaches them
    like any other. All others are stacked along a new first axis.
    """

    path: tuple[str, ...]
    kind: str
    name: str
    rank: int

    def held(self, root: nn.Module) -> dict[str, Any]:
        """The dictionary of `root`'s tree that holds the tensor."""
        for step in self.path:
            root = root._modules[step]  # type: ignore[assignment]
        return getattr(root, self.kind)

    def stacked(self, tensors: Sequence[Tensor]) -> Tensor:
        """The tensors of all iterations as one."""
        return torch.cat(list(tensors)) if self.rank > 3 else torch.stack(list(tensors))

    def rows(self, whole: Tensor, count: int) -> Tensor:
        """Undoes `stacked`: ``(count, *shape)``, a view."""
        return whole.unflatten(0, (count, -1)) if self.rank > 3 else whole

    def __str__(self) -> str:
        return ".".join((*self.path, self.name))


def stack(modules: Sequence[nn.Module]) -> tuple[Slot, ...]:
    """Makes the first module stand for all, in place.

    Args:
        modules: two or more of equal structure; the others stay as they are.

    Returns:
        The slots that now hold the numbers of all: every parameter and buffer that is not the
        same object in all modules.

    Raises:
        ValueError: the modules differ in more than their numbers.
    """
    for number, other in enumerate(modules[1:], start=2):
        _check_alike(modules[0], other, number)
    wholes: dict[tuple[int, ...], Tensor] = {}  # by the identities of what they stack
    places: list[tuple[Slot, tuple[int, ...]]] = []
    users: dict[int, tuple[int, ...]] = {}
    for slot in _tensors(modules[0]):
        tensors = [slot.held(module)[slot.name] for module in modules]
        key = tuple(map(id, tensors))
        distinct = len(set(key))
        if any(users.setdefault(t, key) != key for t in key) or 1 < distinct < len(key):
            raise ValueError(
                "A tensor is the same object in all iterations of a loop or belongs to one; "
                f"{slot} is used in more than one iteration and not alike. Copy it or tie it."
            )
        if distinct > 1:
            if key not in wholes:
                wholes[key] = _stacked(slot, tensors)
            places.append((slot, key))
    for slot, key in places:
        slot.held(modules[0])[slot.name] = wholes[key]
    return tuple(slot for slot, _ in places)


def alike(first: nn.Module, other: nn.Module) -> bool:
    """Whether two modules have one structure, so that numbers alone differ."""
    try:
        _check_alike(first, other, 2)
    except ValueError:
        return False
    return True


def _stacked(slot: Slot, tensors: Sequence[Tensor]) -> Tensor:
    whole = slot.stacked([t.detach() for t in tensors])
    if slot.kind == "_buffers":
        return whole
    return nn.Parameter(whole, requires_grad=tensors[0].requires_grad)


def _tensors(module: nn.Module) -> Iterator[Slot]:
    for path, part in module.named_modules():
        steps = tuple(path.split(".")) if path else ()
        for kind in ("_parameters", "_buffers"):
            for name, tensor in getattr(part, kind).items():
                if tensor is not None:
                    yield Slot(steps, kind, name, tensor.dim())


def _check_alike(first: nn.Module, other: nn.Module, number: int, at: str = "") -> None:
    """One tree, the same classes, settings and shapes: numbers alone may differ."""

    def refuse(what: str, a: Any, b: Any) -> None:
        raise ValueError(
            f"Iterations of a loop run the same code (equal classes, settings and shapes); the "
            f"first and iteration {number} differ in {at}{what}: {a} and {b}."
        )

    if type(first) is not type(other):
        refuse("class", type(first).__name__, type(other).__name__)
    for part in _PARTS:
        a, b = getattr(first, part), getattr(other, part)
        if list(a) != list(b):
            refuse(f"the names of {part[1:]}", list(a), list(b))
    for name, a in (first._parameters | first._buffers).items():
        b = (other._parameters | other._buffers)[name]
        if _kind(a) != _kind(b):
            refuse(name, _kind(a), _kind(b))
    mine, others = vars(first), vars(other)
    for name in sorted((mine.keys() | others.keys()) - set(_PARTS)):
        a, b = mine.get(name), others.get(name)
        if name in _HOOKS and isinstance(a, dict) and isinstance(b, dict):
            a, b = list(a.values()), list(b.values())  # their keys are numbers of handles
        if not _equal(a, b):
            refuse(name, a, b)
    for name, module in first._modules.items():
        twin = other._modules[name]
        if module is None or twin is None:
            if module is not twin:
                refuse(name, module, twin)
        elif module is not twin:
            _check_alike(module, twin, number, f"{at}{name}.")


def _kind(tensor: Tensor | None) -> str:
    if tensor is None:
        return "none"
    trains = "trained" if tensor.requires_grad else "not trained"
    return f"{tuple(tensor.shape)}, {tensor.dtype}, {tensor.device}, {trains}"


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return a is b
    try:
        return a is b or bool(a == b)
    except (RuntimeError, ValueError):  # containers of tensors or arrays
        return False
