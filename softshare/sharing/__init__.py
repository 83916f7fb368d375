"""Soft parameter sharing for any model: share, look at the groups, train, unshare."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from softshare.sharing.forward_pass import ForwardPass, pass_of
from softshare.sharing.grouping import find_groups, resolve_groups
from softshare.sharing.initialisation import initial_coefficients
from softshare.sharing.installation import install, template_counts
from softshare.sharing.refusals import (
    FOLDED,
    check_model,
    is_folded,
    obstacles,
    refuse_folded,
    refuse_parallel,
)
from softshare.sharing.shared_groups import banks, layer_names
from softshare.sharing.shared_weights import SharedWeights, restore_weight

__all__ = ["banks", "groups", "share", "unshare"]


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
    the templates start at :math:`T = A^T W`: the weights stay as they are when k = L (up to
    rounding of the dtype, exactly with ``init="identity"``), become their least-squares
    approximation when k < L, and templates of freshly drawn weights are distributed like those.
    With other inits they start as the weights of the first k layers.
    Coefficients are drawn without a look at the weights: with k < L what a model had learnt is
    lost, and the LSM says nothing of how alike its weights were.

    Share once weights are drawn or loaded and layers parametrised (``weight_norm``,
    ``spectral_norm``), and before the optimizer is made or the model is wrapped in
    DistributedDataParallel, as both must see the templates: after ``share(ddp.module)``, which
    cannot be noticed here, the processes drift apart.

    A shared layer has no weight of its own to fill: what ``nn.init``, ``copy_`` or its own forward
    (a mask, a bound on the norm) write into it is lost. The first pass of `net` that is not
    compiled refuses a forward that changes the weight; let ``torch.nn.utils.parametrize`` compute
    such a weight, and share what it is computed from. ``functional_call`` takes tensors for
    templates and coefficients; one for a shared weight is ignored, and refused with
    ``strict=True``.

    `unshare` a model before it is quantised or scripted (``torch.jit.script``), and before layers
    are taken out or replaced, for a group's templates go where its first layer goes. To freeze the
    weights of a group, call ``softshare.sharing.banks(net)[label].requires_grad_(False)``; freezing
    the group's first layer freezes them all too.

    Args:
        net: any module; changed in place.
        templates: k, from 1 to L, for every group, or ``{group: k}``. Default None: one per
            layer (k = L, no parameter reduction). A found group smaller than k gets k = L.
        groups: ``{label: [weights]}`` or ``[[weights], ...]``, where a weight is named by its
            layer (``"stage1.1.conv1"``, meaning its ``.weight``) or in full
            (``"attention.in_proj_weight"``). Default: the model's own ``sharing_groups()`` if it
            has that method, else convolutions and linear layers of equal class and shape. A label
            that an earlier group of `net` has gets the name of the group's first weight added.
        init: how the coefficients start (Appendix B), one of
            ``softshare.sharing.initialisation.INITS``.
        generator: source of randomness for the coefficients; default PyTorch's global one.

    Returns:
        `net` itself.

    Raises:
        ValueError: an unknown or repeated name, unequal shapes, a weight that is shared or tied
            already or cannot be mixed, k out of range, nothing to share, what is no module, a
            folded model, or one in TorchScript or DistributedDataParallel.

    Example:
        >>> net = nn.Sequential(*[nn.Conv2d(8, 8, 3, padding=1) for _ in range(4)])
        >>> net = share(net, templates=2)
        >>> sum(p.numel() for p in net.parameters())   # 2 templates, 4 x 2 alpha, 4 biases
        1192
        >>> net(torch.zeros(1, 8, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """
    check_model(net)
    refuse_folded(net)
    refuse_parallel(net)
    chosen = resolve_groups(net, groups) if groups is not None else find_groups(net)
    if groups is not None and not chosen:
        raise ValueError(f"Sharing needs two or more weights of equal shape; groups is {groups!r}.")
    if not chosen:
        raise ValueError(
            "Sharing needs two or more weights of equal shape; this model has none that are free. "
            f"Name them with groups=[[...]], or unshare() first.{obstacles(net)}"
        )
    sizes = template_counts(chosen, templates, clamp=groups is None)
    mixes = {
        label: initial_coefficients(len(members), sizes[label], init, generator)
        for label, members in chosen.items()
    }
    taken = banks(net)
    installed = []
    for label, A in mixes.items():
        members = chosen[label]
        free = label if label not in taken else f"{label} {members[0].label}"
        installed.append(install(free, members, A, init))
    ForwardPass(installed).attach(net)
    return net


def unshare(net: nn.Module) -> nn.Module:
    """A plain copy of a shared model: same function, ordinary weights, its original classes.

    Args:
        net: a model that `share` was applied to (at any depth), or a part of one; it stays as
            it is.

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
    if not any(isinstance(module, SharedWeights) for module in net.modules()):
        why = f" {FOLDED}" if is_folded(net) else ""
        raise ValueError(f"unshare() needs a model with shared layers; this one has none.{why}")
    plain = copy.deepcopy(net)
    for module in list(plain.modules()):
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key, hook in list(hooks.items()):
                if pass_of(hook):
                    del hooks[key]
                    module._forward_hooks_always_called.pop(key, None)
    weights = {}
    for module in plain.modules():
        if isinstance(module, SharedWeights):
            for name, (bank, layer) in module._mixed.items():
                weights[module, name] = bank.weight(layer), bank.templates.requires_grad
    for (module, name), (weight, trains) in weights.items():
        restore_weight(module, name, weight, trains)
    return plain


def groups(net: nn.Module) -> dict[str, list[str]]:
    """The groups that `net` shares, or, before sharing, those that `share` would find.

    Args:
        net: any module.

    Returns:
        ``{label: [weights in layer order]}``, named as in `net`; the order is that of the LSM's
        rows.

    Raises:
        ValueError: a folded model, or one that has lost its templates or layers of a group.

    Example:
        >>> groups(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)))
        {'Linear 4x4': ['0', '2']}
    """
    shared = layer_names(net)
    if shared:
        return shared
    refuse_folded(net)
    return {label: [m.label for m in members] for label, members in find_groups(net).items()}
