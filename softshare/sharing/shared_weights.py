"""Layers whose weights are mixed: subclasses of their own class that ask a bank for them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from softshare.sharing.bank import TemplateBank
from softshare.wording import listed


class SharedWeights:
    """Marks the classes of modules with weights from banks: ``{name: (bank, layer)}``.

    Outside a forward pass of the root a weight is made anew whenever it is asked for. What is
    written into it in place (``nn.init``, ``copy_``, ``.data``) is lost, and where no gradient is
    recorded PyTorch has nothing to say of that. Write into the bank, or `unshare` first; so too
    to quantise, which takes each weight once.
    """

    _plain: type
    _mixed: dict[str, tuple[TemplateBank, int]]


def share_weight(module: nn.Module, name: str, bank: TemplateBank, layer: int) -> None:
    """Makes the weight `name` of a module that of a layer of a bank, in place."""
    base: type = type(module)
    mixed = {name: (bank, layer)}
    if isinstance(module, SharedWeights):
        base, mixed = module._plain, module._mixed | mixed
    module.__dict__["_mixed"] = mixed
    module._parameters[name] = None  # keeps the parameter's place for unshare()
    module.__class__ = _shared_class(base, tuple(sorted(mixed)))


def restore_weight(module: nn.Module, name: str, weight: Tensor, trains: bool) -> None:
    """Gives a module its class back, and `weight` as an ordinary parameter."""
    if isinstance(module, SharedWeights):
        module.__class__ = module._plain
        del module.__dict__["_mixed"]
    module._modules.pop(f"{name}_bank", None)
    module._parameters[name] = nn.Parameter(weight.detach().clone(), requires_grad=trains)


def shared_weights(net: nn.Module) -> Iterator[tuple[str, TemplateBank, int]]:
    """Name in `net`, bank and layer of each of its mixed weights."""
    for path, module in net.named_modules():
        if isinstance(module, SharedWeights):
            for name, (bank, layer) in module._mixed.items():
                full = f"{path}.{name}" if path else name
                yield path if path and name == "weight" else full, bank, layer


def check_whole(net: nn.Module) -> None:
    """Refuses a model with weights mixed from a bank that is no submodule of it.

    Its optimizer would not train them, its state_dict not hold them.

    Raises:
        ValueError: names the layers, and says how they get weights of their own.
    """
    held = {id(module) for module in net.modules() if isinstance(module, TemplateBank)}
    lost = [(name, bank) for name, bank, _ in shared_weights(net) if id(bank) not in held]
    if lost:
        bank = lost[0][1]
        names = [name for name, other in lost if other is bank]
        raise ValueError(
            f"{listed(names)}: mixed from the templates of group {bank.label!r}, which this model "
            f"lacks. They went with the group's first layer, {bank.layers[0]!r}. unshare() a model "
            "before it is taken apart; unshare() of this one makes the present weights its own."
        )


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

    def reset(self: Any) -> None:
        raise RuntimeError(
            f"{plain.__name__} cannot reset weights that are mixed from templates (Eq. 1): what is "
            "written into them is lost. Reset before share(), or softshare.unshare() the model."
        )

    body: dict[str, Any] = {name: _generated(name) for name in names}
    body |= {m: reset for m in ("reset_parameters", "_reset_parameters") if hasattr(plain, m)}
    body |= {"_plain": plain, "__reduce_ex__": reduce_ex, "__setattr__": setattr_}
    body |= {"__module__": plain.__module__, "__doc__": plain.__doc__}
    return type(f"Shared{plain.__name__}", (plain, SharedWeights), body)


def _generated(name: str) -> property:
    def weight(self: Any) -> Tensor:
        bank, layer = self._mixed[name]
        return bank.weight(layer)

    return property(weight)


def _blank(plain: type, names: tuple[str, ...]) -> Any:
    cls: Any = _shared_class(plain, names)
    return cls.__new__(cls)
