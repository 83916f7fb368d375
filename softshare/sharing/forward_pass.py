"""One forward pass of a shared model: its weights are mixed once, and no longer held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from softshare.sharing.bank import TemplateBank


class ForwardPass:
    """Hooks of the root: all weights are mixed as its forward begins, dropped as it ends."""

    def __init__(self, banks: Sequence[TemplateBank]) -> None:
        self.banks = list(banks)

    def attach(self, net: nn.Module) -> None:
        """Begins and ends with every forward pass of `net`, also with one that fails."""
        net.register_forward_pre_hook(self.before)
        net.register_forward_hook(self.after, always_call=True)

    def before(self, module: nn.Module, inputs: Any) -> None:
        for bank in self.banks:
            bank.open()

    def after(self, module: nn.Module, inputs: Any, output: Any) -> None:
        for bank in self.banks:
            bank.close()


def pass_of(hook: Any) -> ForwardPass | None:
    """The pass that a hook belongs to, if it is one of its own."""
    owner = getattr(hook, "__self__", None)
    return owner if isinstance(owner, ForwardPass) else None
