"""Soft parameter sharing for any model: share, look at the groups, train, unshare."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from softshare.bank import TemplateBank
from softshare.grouping import Member, find_groups, resolve_groups
from softshare.initialisation import initial_coefficients


def share(
    net: nn.Module,
    templates: int | Mapping[str, int] | None = None,
    groups: Mapping[str, Sequence[str]] | Sequence[Sequence[str]] | None = None,
    init: str = "orthogonal",
    generator: torch.Generator | None = None,
) -> nn.Module:
    r"""Lets the layers of each group mix their weights from common templates, in place.

    .. math:: W_i = \sum_{j=1}^{k} \alpha_{ij} T_j \quad (\text{Eq. 1})

    The class of `net`, its forward signature and its call sites stay as they are. A shared layer
    keeps its class as a base class and finds its weight in a `TemplateBank`, which is a submodule
    of the group's first layer. One matrix product per group and forward pass of `net` makes all
    weights; a layer called by itself mixes its own. With ``init="orthogonal"`` or ``"identity"``
    the templates start at :math:`T = A^T W`, which keeps the function of `net` when k = L, is
    its least-squares approximation when k < L, and leaves freshly drawn weights as distributed
    as they were; with other inits they start as the weights of the first k layers.

    Share before the optimizer is made: it must see the templates.

    Args:
        net: any module; changed in place.
        templates: k, from 1 to L, for every group, or ``{group: k}``. Default None: one per
            layer (k = L, no parameter reduction). A found group smaller than k gets k = L.
        groups: ``{label: [weights]}`` or ``[[weights], ...]``, where a weight is named by its
            layer (``"stage1.1.conv1"``, meaning its ``.weight``) or in full
            (``"attention.in_proj_weight"``). Default: the model's own ``sharing_groups()`` if it
            has that method, else convolutions and linear layers of equal class and shape.
        init: how the coefficients start (Appendix B), one of ``softshare.initialisation.INITS``.
        generator: source of randomness for the coefficients; default PyTorch's global one.

    Returns:
        `net` itself.

    Raises:
        ValueError: an unknown or repeated name, unequal shapes, a weight that is shared or tied
            already, k out of range, or nothing to share.

    Example:
        >>> net = nn.Sequential(*[nn.Conv2d(8, 8, 3, padding=1) for _ in range(4)])
        >>> net = share(net, templates=2)
        >>> sum(p.numel() for p in net.parameters())   # 2 templates, 4 x 2 alpha, 4 biases
        1192
        >>> net(torch.zeros(1, 8, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """
    chosen = resolve_groups(net, groups) if groups is not None else find_groups(net)
    if not chosen:
        raise ValueError(
            "Sharing needs two or more weights of equal shape; this model has none that are free. "
            "Name them with groups=[[...]], or unshare() first."
        )
    sizes = _template_counts(chosen, templates, clamp=groups is None)
    mixes = {
        label: initial_coefficients(len(members), sizes[label], init, generator)
        for label, members in chosen.items()
    }
    banks = [_install(label, chosen[label], A, init) for label, A in mixes.items()]
    _Pass(banks).attach(net)
    return net


def unshare(net: nn.Module) -> nn.Module:
    """A plain copy of a shared model: same function, ordinary weights, its original classes.

    Args:
        net: a model that `share` was applied to (at any depth); it stays as it is.

    Returns:
        A deep copy in which every shared weight is an ordinary parameter, in its old place among
        the parameters.

    Raises:
        ValueError: nothing in `net` is shared.

    Example:
        >>> net = share(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), templates=1)
        >>> plain = unshare(net)
        >>> type(plain[0]), list(plain.state_dict())
        (<class 'torch.nn.modules.linear.Linear'>, ['0.weight', '0.bias', '1.weight', '1.bias'])
        >>> x = torch.randn(2, 4)
        >>> torch.allclose(plain(x), net(x))
        True
    """
    if not banks(net):
        raise ValueError("unshare() needs a model with shared layers; this one has none.")
    plain = copy.deepcopy(net)
    for module in list(plain.modules()):
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key, hook in list(hooks.items()):
                if isinstance(getattr(hook, "__self__", None), _Pass):
                    del hooks[key]
                    module._forward_hooks_always_called.pop(key, None)
    weights = {}
    for module in plain.modules():
        if isinstance(module, _Shared):
            for name, (bank, layer) in module._slots.items():
                weights[module, name] = bank.weight(layer), bank.templates.requires_grad
    for (module, name), (weight, trains) in weights.items():
        _restore(module, name, weight, trains)
    return plain


def groups(net: nn.Module) -> dict[str, list[str]]:
    """The groups that `net` shares, or, before sharing, those that `share` would find.

    Args:
        net: any module.

    Returns:
        ``{label: [weights in layer order]}``; the order is that of the LSM's rows.

    Example:
        >>> groups(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)))
        {'Linear 4x4': ['0', '2']}
    """
    shared = banks(net)
    if shared:
        return {label: list(bank.layers) for label, bank in shared.items()}
    return {label: [m.label for m in members] for label, members in find_groups(net).items()}


def banks(net: nn.Module) -> dict[str, TemplateBank]:
    """The banks of a shared model by group label, in the order of the groups."""
    found: dict[str, TemplateBank] = {}
    for path, module in net.named_modules():
        if isinstance(module, TemplateBank):
            found[module.label if module.label not in found else path] = module
    return found


def _template_counts(
    chosen: Mapping[str, Sequence[Member]], templates: Any, clamp: bool
) -> dict[str, int]:
    if isinstance(templates, Mapping):
        if set(templates) != set(chosen):
            raise ValueError(
                f"templates={{group: k}} must name each group once: {sorted(chosen)}; "
                f"got {sorted(map(str, templates))}."
            )
        return dict(templates)
    if templates is None:
        return {label: len(members) for label, members in chosen.items()}
    if clamp and isinstance(templates, int) and templates > max(map(len, chosen.values())):
        sizes = {label: len(members) for label, members in chosen.items()}
        raise ValueError(
            f"No group has as many as {templates} layers: {sizes}. Pass templates=None for one "
            "per layer."
        )
    return {
        label: min(templates, len(members)) if clamp and isinstance(templates, int) else templates
        for label, members in chosen.items()
    }


def _install(label: str, members: Sequence[Member], A: Tensor, init: str) -> TemplateBank:
    with torch.no_grad():
        W = torch.stack([m.parameter for m in members])  # (L, *shape)
        A = A.to(W.device, W.dtype)
        if init in ("orthogonal", "identity"):
            T = torch.tensordot(A.T, W, dims=1)  # (k, L) @ (L, n)
        else:
            T = W[: A.shape[1]].clone()
        bank = TemplateBank(T, A, [m.label for m in members], label)
    first = members[0]
    weight = first.parameter
    for rank, layout in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if weight.dim() == rank and not weight.is_contiguous():
            bank.to(memory_format=layout)
    bank.requires_grad_(weight.requires_grad)
    first.module.add_module(f"{first.name}_bank", bank)
    for layer, member in enumerate(members):
        _share_layer(member.module, member.name, bank, layer)
    return bank


def _share_layer(module: nn.Module, name: str, bank: TemplateBank, layer: int) -> None:
    slots = {**module.__dict__.get("_slots", {}), name: (bank, layer)}
    base = module._plain if isinstance(module, _Shared) else type(module)
    module.__dict__["_slots"] = slots
    module._parameters[name] = None  # keeps the parameter's place for unshare()
    module.__class__ = _shared_class(base, tuple(sorted(slots)))


def _restore(module: nn.Module, name: str, weight: Tensor, trains: bool) -> None:
    if isinstance(module, _Shared):
        module.__class__ = module._plain
        del module.__dict__["_slots"]
    module._modules.pop(f"{name}_bank", None)
    module._parameters[name] = nn.Parameter(weight.detach().clone(), requires_grad=trains)


class _Shared:
    """Marks the classes that `_shared_class` makes."""

    _plain: type
    _slots: dict[str, tuple[TemplateBank, int]]


@functools.cache
def _shared_class(plain: type, names: tuple[str, ...]) -> type:
    """A subclass of `plain` that finds the weights called `names` in their banks."""

    def reduce_ex(self: Any, protocol: Any) -> tuple:
        return _blank, (plain, names), self.__getstate__()

    def setattr_(self: Any, key: str, value: Any) -> None:
        if key in names:
            raise AttributeError(
                f"{plain.__name__}.{key} is mixed from templates (Eq. 1) and cannot be assigned; "
                "change the bank's templates or coefficients, or softshare.unshare() the model."
            )
        plain.__setattr__(self, key, value)  # type: ignore[call-arg]

    body: dict[str, Any] = {name: _generated(name) for name in names}
    body |= {"_plain": plain, "__reduce_ex__": reduce_ex, "__setattr__": setattr_}
    body |= {"__module__": plain.__module__, "__doc__": plain.__doc__}
    return type(f"Shared{plain.__name__}", (plain, _Shared), body)


def _generated(name: str) -> property:
    def weight(self: Any) -> Tensor:
        bank, layer = self._slots[name]
        return bank.weight(layer)

    return property(weight)


def _blank(plain: type, names: tuple[str, ...]) -> Any:
    cls: Any = _shared_class(plain, names)
    return cls.__new__(cls)


class _Pass:
    """Hooks of the root: all weights are mixed as its forward begins, dropped as it ends."""

    def __init__(self, banks: Sequence[TemplateBank]) -> None:
        self.banks = list(banks)

    def attach(self, net: nn.Module) -> None:
        net.register_forward_pre_hook(self.before)
        net.register_forward_hook(self.after, always_call=True)

    def before(self, module: nn.Module, inputs: Any) -> None:
        for bank in self.banks:
            bank.open()

    def after(self, module: nn.Module, inputs: Any, output: Any) -> None:
        for bank in self.banks:
            bank.close()
