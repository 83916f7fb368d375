"""One forward pass of a shared model: its weights are mixed once, and no longer held."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from softshare.sharing.bank import TemplateBank
from softshare.sharing.shared_weights import check_whole
from softshare.sharing.written_weights import Stamp, refuse_written, stamps

Link = tuple[nn.Module, str, nn.Module]
"""Parent, name, child."""
Watched = tuple[list[tuple[Tensor, ...]], list[Stamp]]
"""The weights of each bank in the first pass, and their stamps as it began."""


class ForwardPass:
    """Hooks of the root: all weights are mixed as its forward begins, dropped as it ends."""

    _links: list[Link] | None = None
    _watched: Watched | None = None

    def __init__(self, banks: Sequence[TemplateBank]) -> None:
        self.banks = list(banks)

    def attach(self, net: nn.Module) -> None:
        """Begins and ends with every forward pass of `net`, also with one that fails."""
        net.register_forward_pre_hook(self.before)
        net.register_forward_hook(self.after, always_call=True)

    def before(self, module: nn.Module, inputs: Any) -> None:
        first = not torch.compiler.is_compiling() and not self._linked()
        if first:
            check_whole(module)
            self._links = _links(module, self.banks)
        opened = [bank.open() for bank in self.banks]
        if first:
            self._watched = opened, stamps(chain(*opened))

    def after(self, module: nn.Module, inputs: Any, output: Any) -> None:
        for bank in self.banks:
            bank.close()
        watched = self._watched
        if watched is not None:
            self.__dict__.pop("_watched", None)  # torch.compile guards that there was none
            self._check_written(watched, failed=output is None)

    def _check_written(self, watched: Watched, failed: bool) -> None:
        """Refuses weights that changed in the first pass; after one that failed, the next is it."""
        opened, before = watched
        after = before if failed else stamps(chain(*opened))
        if failed or after != before:
            self._links = None
            for bank in self.banks:
                bank.train(bank.training)  # forgets what was kept, and may be written into
        refuse_written([name for bank in self.banks for name in bank.layers], before, after)

    def _linked(self) -> bool:
        """Whether the banks are where the last search through the model has found them."""
        return self._links is not None and all(
            parent._modules.get(name) is child for parent, name, child in self._links
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"banks": self.banks}


def _links(net: nn.Module, banks: Sequence[TemplateBank]) -> list[Link]:
    """The steps from a model to its banks."""
    links = {}
    for path, module in net.named_modules():
        if any(module is bank for bank in banks):
            parent = net
            for name in path.split("."):
                child = parent.get_submodule(name)
                links[id(parent), name] = (parent, name, child)
                parent = child
    return list(links.values())


def pass_of(hook: Any) -> ForwardPass | None:
    """The pass that a hook belongs to, if it is one of its own."""
    owner = getattr(hook, "__self__", None)
    return owner if isinstance(owner, ForwardPass) else None
