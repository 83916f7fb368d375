"""Layers that run the weight of their tie: subclasses of their own class."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from softshare.folding import Folding
from softshare.sharing.grouping import Member
from softshare.sharing.mixing import mix

Slots = tuple[tuple[str, tuple[str, ...]], ...]
"""Which weights of a module are computed, and from what: ``(("weight", ("scale", "tie")),)``."""


class FoldedWeights:
    r"""Marks the classes of modules that compute weights as :math:`s_i R_{\tau(i)}`.

    What a weight called ``weight`` is computed from are ordinary parameters of the layer:
    ``weight_tie``, R, one object in all layers of the tie, or, in a group with more ties than
    templates, ``weight_mix``, its row of coefficients, and ``weight_templates``, one object in
    all layers of the group; and ``weight_scale``, s, where a tie has two layers or more. In a
    loop the scales of all iterations are one tensor, and a weight is there while the loop runs.
    """

    _plain: type
    _computed: Slots
    _root: type | None


def fold_group(members: Sequence[Member], folded: Folding, templates: Tensor) -> None:
    """Gives the layers of a group the weights of their ties, in place.

    Args:
        members: the L ordinary weights of the group.
        folded: which of them are one.
        templates: ``(k·o, ...)``, end to end as in a `TemplateBank`.
    """
    trains = members[0].parameter.requires_grad
    rows = folded.representatives  # (ties, k)

    def parameter(tensor: Tensor) -> nn.Parameter:
        return nn.Parameter(tensor.detach().clone(), requires_grad=trains)

    common = parameter(templates) if folded.mixes else None
    weights = () if folded.mixes else mix(templates.detach(), rows)
    for number, tie in enumerate(folded.ties):
        parts: dict[str, nn.Parameter] = {}
        if common is not None:
            parts = {"mix": parameter(rows[number]), "templates": common}
        elif len(tie) > 1:
            parts = {"tie": parameter(weights[number])}
        for layer in tie:
            own = {}
            if len(tie) > 1:
                own["scale"] = parameter(rows.new_tensor(folded.scales[layer]))
            if parts:
                _compute_weight(members[layer], {**own, **parts})


def coefficients(net: nn.Module) -> Iterator[nn.Parameter]:
    """Scales and rows of coefficients of all folded layers: what is not decayed."""
    for module in net.modules():
        if isinstance(module, FoldedWeights):
            for name, parts in module._computed:
                yield from (
                    module._parameters[f"{name}_{part}"]  # type: ignore[misc]
                    for part in parts
                    if part in ("scale", "mix")
                )


def settle(net: nn.Module) -> None:
    """Mixes what folded layers still mix from templates once and for all, in place."""
    for module in net.modules():
        if not isinstance(module, FoldedWeights):
            continue
        for name, parts in module._computed:
            if "mix" in parts:
                row, templates = (module._parameters.pop(f"{name}_{p}") for p in parts[-2:])
                (weight,) = mix(templates.detach(), row.detach()[None])  # type: ignore[union-attr]
                module.register_parameter(f"{name}_tie", nn.Parameter(weight))
        slots = tuple((n, (*p[:-2], "tie") if "mix" in p else p) for n, p in module._computed)
        module.__class__ = _folded_class(module._plain, slots, module._root)


def mark(net: nn.Module, root: type) -> None:
    """Makes the class of a module one that is derived from `root` too, before its own."""
    net.__class__ = _folded_class(*_origin(net), root)


def _compute_weight(member: Member, parts: dict[str, nn.Parameter]) -> None:
    module, name = member.module, member.name
    plain, slots = _origin(module)
    module._parameters[name] = None  # its name stays taken, its place among the parameters empty
    for part, parameter in parts.items():
        module.register_parameter(f"{name}_{part}", parameter)
    slots = tuple(sorted((*slots, (name, tuple(parts)))))
    module.__class__ = _folded_class(plain, slots, None)


def _origin(module: nn.Module) -> tuple[type, Slots]:
    if isinstance(module, FoldedWeights):
        return module._plain, module._computed
    return type(module), ()


@functools.cache
def _folded_class(plain: type, slots: Slots, root: type | None) -> type:
    """A subclass of `plain` that computes the weights of `slots`."""
    names = [name for name, _ in slots]

    def reduce_ex(self: Any, protocol: Any) -> tuple:
        return _blank, (plain, slots, root), self.__getstate__()

    def setattr_(self: Any, key: str, value: Any) -> None:
        if key in names:
            raise AttributeError(
                f"{plain.__name__}.{key} is computed from what its tie has in common and cannot "
                f"be assigned; change {key}_tie (or {key}_mix and {key}_templates), or {key}_scale."
            )
        plain.__setattr__(self, key, value)  # type: ignore[call-arg]

    weights = {name: _computed(name, parts) for name, parts in slots}

    def getattr_(self: Any, key: str) -> Any:
        if key in weights:  # the property has refused; PyTorch's own would say that it is None
            return weights[key].__get__(self)
        return plain.__getattr__(self, key)  # type: ignore[attr-defined]

    body: dict[str, Any] = {**weights, "__getattr__": getattr_} if slots else {}
    body |= {"_plain": plain, "_computed": slots, "_root": root}
    body |= {"__reduce_ex__": reduce_ex, "__setattr__": setattr_}
    body |= {"__module__": plain.__module__, "__doc__": plain.__doc__}
    bases = (*([root] if root else []), plain, *([FoldedWeights] if slots else []))
    return type(f"Folded{plain.__name__}", bases, body)


def _computed(name: str, parts: tuple[str, ...]) -> property:
    def weight(self: Any) -> Tensor:
        if "scale" in parts and getattr(self, f"{name}_scale").dim():
            raise AttributeError(
                f"This layer runs in a loop and has a {name} in each iteration, none outside it; "
                "softshare.folding.looping.unrolled(net) is a copy with a layer for each. Blocks "
                "that checkpoint themselves ask for it in backward: fold them with loops=False."
            )
        if "tie" in parts:
            whole = getattr(self, f"{name}_tie")
        else:
            row = getattr(self, f"{name}_mix")
            (whole,) = mix(getattr(self, f"{name}_templates"), row[None])  # (1, k) @ (k, n)
        return getattr(self, f"{name}_scale") * whole if "scale" in parts else whole

    return property(weight)


def _blank(plain: type, slots: Slots, root: type | None) -> Any:
    cls: Any = _folded_class(plain, slots, root)
    return cls.__new__(cls)
