"""A bank put in the place of a group's weights, for as many templates as are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from softshare.sharing.bank import TemplateBank
from softshare.sharing.grouping import Member
from softshare.sharing.shared_weights import share_weight


def template_counts(
    chosen: Mapping[str, Sequence[Member]], templates: Any, clamp: bool
) -> dict[str, int]:
    """How many templates each group is to have.

    Args:
        chosen: the groups.
        templates: as `softshare.share` takes them.
        clamp: whether a group smaller than a given number gets one for each of its layers.

    Raises:
        ValueError: other groups are named than there are, or no group has so many layers.
    """
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


def install(label: str, members: Sequence[Member], A: Tensor, init: str) -> TemplateBank:
    """Has the weights of a group mixed from a new bank, in place.

    Args:
        label: of the group.
        members: its L weights.
        A: the coefficients, ``(L, k)``.
        init: how they start; templates start to match, as `softshare.share` says.
    """
    with torch.no_grad():
        W = torch.stack([m.parameter for m in members])  # (L, *shape)
        if init == "orthogonal" and W.dtype == torch.float64:
            A = A.double()
            for _ in range(2):  # as drawn, A.T A = I in float32; each step squares the distance
                A = (3 * A - A @ A.T @ A) / 2
        A = A.to(W.device, W.dtype)
        if init in ("orthogonal", "identity"):
            T = torch.tensordot(A.T, W, dims=1)  # (k, L) @ (L, n)
        else:
            T = W[: A.shape[1]].clone()
        bank = TemplateBank(T, A, [m.label for m in members], label, init)
    first = members[0]
    weight = first.parameter
    for rank, layout in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if weight.dim() == rank and not weight.is_contiguous():
            bank.to(memory_format=layout)
    bank.requires_grad_(weight.requires_grad).train(first.module.training)
    first.module.add_module(f"{first.name}_bank", bank)
    for layer, member in enumerate(members):
        share_weight(member.module, member.name, bank, layer)
    return bank
