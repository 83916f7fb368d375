"""The groups that a model shares, and that it holds all they are mixed from."""

from __future__ import annotations

from torch import nn

from softshare.sharing.bank import TemplateBank
from softshare.sharing.forward_pass import pass_of
from softshare.sharing.shared_weights import check_whole, shared_weights


def banks(net: nn.Module) -> dict[str, TemplateBank]:
    """The banks of a shared model by group label, in the order of the groups.

    Raises:
        ValueError: a layer is mixed from a bank that `net` does not hold.
    """
    check_whole(net)
    paths = {m: path for path, m in net.named_modules() if isinstance(m, TemplateBank)}
    passes = [hook for m in net.modules() for hook in m._forward_pre_hooks.values()]
    ordered = [b for hook in map(pass_of, passes) if hook for b in hook.banks if b in paths]
    found: dict[str, TemplateBank] = {}
    for bank in dict.fromkeys([*ordered, *paths]):
        found[bank.label if bank.label not in found else paths[bank]] = bank
    return found


def layer_names(net: nn.Module) -> dict[str, list[str]]:
    """The weights of each group by their names in `net`, whichever part of it was shared.

    A layer that is no longer in `net` keeps the name that it had.
    """
    names = {(bank, layer): name for name, bank, layer in shared_weights(net)}
    return {
        label: [names.get((bank, layer), name) for layer, name in enumerate(bank.layers)]
        for label, bank in banks(net).items()
    }
