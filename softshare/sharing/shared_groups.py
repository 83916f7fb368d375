"""The groups that a model shares, and that it holds all they are mixed from."""

from __future__ import annotations

from torch import nn

from softshare.sharing.bank import TemplateBank
from softshare.sharing.forward_pass import pass_of
from softshare.sharing.shared_weights import check_whole, shared_weights
from softshare.wording import listed


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

    Raises:
        ValueError: a group has layers that `net` does not hold; or as `banks`.
    """
    names = {(bank, layer): name for name, bank, layer in shared_weights(net)}
    found = banks(net)
    for label, bank in found.items():
        gone = [name for layer, name in enumerate(bank.layers) if (bank, layer) not in names]
        if gone:
            raise ValueError(
                f"Group {label!r} has layers that this model does not hold, shared as "
                f"{listed(gone)}: they were taken out or replaced, or this is a part of the model "
                "that was shared. unshare() a model before it is taken apart; unshare() of this "
                "one makes the present weights its own."
            )
    return {
        label: [names[bank, layer] for layer in range(len(bank.layers))]
        for label, bank in found.items()
    }
