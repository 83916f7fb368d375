"""Which weights may share templates: found by equal shape, or named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import UninitializedParameter as Lazy

from softshare.sharing.refusals import AGREEING, unknown, unshareable
from softshare.sharing.shared_weights import SharedWeights


@dataclass(frozen=True)
class Member:
    """One weight of a group: the parameter called `name` of `module`."""

    label: str
    module: nn.Module
    name: str

    @property
    def parameter(self) -> nn.Parameter:
        """The weight itself."""
        return self.module._parameters[self.name]  # type: ignore[return-value]


def find_groups(net: nn.Module) -> dict[str, list[Member]]:
    """The model's own groups, else its convolutions and linear layers of equal class and shape.

    Layers stand in the order of ``named_modules``. Frozen layers and trained ones, or layers of
    different dtype or device, do not mix. A weight that the model uses in two places, that is
    shared already, parametrised, lazy or complex, is left out, as are groups of one.
    """
    own = getattr(net, "sharing_groups", None)
    if own is not None and not any(isinstance(m, SharedWeights) for m in net.modules()):
        return resolve_groups(net, own())
    uses = _uses(net)
    found: dict[tuple, list[Member]] = {}
    for path, module in net.named_modules():
        if not isinstance(module, (_ConvNd, nn.Linear)):
            continue
        if (weight := module._parameters.get("weight")) is None:
            continue
        if uses[id(weight)] == 1 and not isinstance(weight, Lazy) and weight.is_floating_point():
            kind = f"{type(module).__name__} {'x'.join(map(str, weight.shape))}"
            key = (kind, *(getattr(weight, what) for what in AGREEING))
            found.setdefault(key, []).append(Member(path, module, "weight"))
    chosen: dict[str, list[Member]] = {}
    for (kind, *_), members in found.items():
        if len(members) > 1:
            label = kind if members[0].parameter.requires_grad else f"{kind} frozen"
            chosen[label if label not in chosen else f"{label} {members[0].label}"] = members
    return chosen


def resolve_groups(
    net: nn.Module, groups: Mapping[str, Sequence[str]] | Sequence[Sequence[str]]
) -> dict[str, list[Member]]:
    """Turns names into members, and refuses what cannot share."""
    chosen = {
        label: [_member(net, name) for name in names] for label, names in _named(groups).items()
    }
    uses = _uses(net)
    seen: dict[int, str] = {}
    for label, members in chosen.items():
        if len(members) < 2:
            raise ValueError(
                f"A group shares between two layers or more; group {label!r} has {len(members)}."
            )
        for member in members:
            weight = member.parameter
            if id(weight) in seen:
                raise ValueError(f"A weight joins one group, once; {member.label!r} stands twice.")
            seen[id(weight)] = member.label
            if uses[id(weight)] > 1:
                raise ValueError(
                    f"{member.label!r} is tied to another parameter of the model; untie it first "
                    "or leave it out."
                )
            _check_alike(label, members[0], member)
    return chosen


def _named(groups: Any) -> dict[str, list[str]]:
    named = groups
    if isinstance(groups, Sequence) and not isinstance(groups, str):
        named = {f"group {i}": names for i, names in enumerate(groups, start=1)}
    if not isinstance(named, Mapping) or not all(map(_are_names, named.values())):
        raise ValueError(
            f"groups is a list of lists of names, or a dict of such lists; got {groups!r}."
        )
    return {str(label): list(names) for label, names in named.items()}


def _are_names(names: Any) -> bool:
    lists = isinstance(names, Collection) and not isinstance(names, str)
    return lists and all(isinstance(name, str) for name in names)


def _check_alike(label: str, first: Member, other: Member) -> None:
    for what in ("shape", *AGREEING):
        a, b = getattr(first.parameter, what), getattr(other.parameter, what)
        if a != b:
            shown = (tuple(a), tuple(b)) if what == "shape" else (a, b)
            raise ValueError(
                f"Layers of a group must agree in {what} (Section 3); in group {label!r}, "
                f"{first.label!r} has {shown[0]} and {other.label!r} has {shown[1]}."
            )


def _member(net: nn.Module, name: str) -> Member:
    modules = dict(net.named_modules())
    owner, _, tensor = name.rpartition(".")
    for path, attribute in ((name, "weight"), (owner, tensor)):
        module = modules.get(path)
        if module is None or attribute not in module._parameters:
            continue
        if isinstance(module, SharedWeights) and attribute in module._mixed:
            raise ValueError(f"{name!r} is shared already; unshare() the model to regroup it.")
        if reason := unshareable(module, attribute):
            raise ValueError(f"{name!r} {reason}")
        if module._parameters[attribute] is not None:
            return Member(name, module, attribute)
    raise ValueError(unknown(net, name))


def _uses(net: nn.Module) -> Counter[int]:
    return Counter(id(p) for m in net.modules() for p in m._parameters.values() if p is not None)
