"""Why a weight, or a model, cannot share: in one sentence, with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import UninitializedParameter as Lazy
from torch.nn.utils.parametrize import ParametrizationList

from softshare.wording import listed

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
AGREEING = ("requires_grad", "dtype", "device")  # besides shape: in what weights of a group agree
FOLDED = "This model is folded already; take the one that it was made from."


class Folded:
    """Marks what `softshare.fold` made: folding is built upon sharing, and not seen from here."""


def is_folded(net: nn.Module) -> bool:
    """Whether `softshare.fold` made a model, or a part of it."""
    return any(isinstance(module, Folded) for module in net.modules())


def refuse_folded(net: nn.Module) -> None:
    """Refuses a model that `softshare.fold` made.

    Raises:
        ValueError: it is one, or holds one.
    """
    if is_folded(net):
        raise ValueError(FOLDED)


def check_model(net: Any) -> None:
    """Refuses what is no model, and one whose weights TorchScript has.

    Raises:
        ValueError: it is no module, or a scripted or traced one.
    """
    if not isinstance(net, nn.Module):
        raise ValueError(f"A model is a torch.nn.Module; got {type(net).__name__} {net!r:.60}.")
    if isinstance(net, torch.jit.ScriptModule):
        raise ValueError(
            f"{net.original_name} is in TorchScript, which keeps its weights to itself; take the "
            "model that it was made from."
        )


def refuse_parallel(net: nn.Module) -> None:
    """Refuses a model in DistributedDataParallel, which listed its parameters when it was made.

    Raises:
        ValueError: it is one, or holds one.
    """
    if any(isinstance(module, nn.parallel.DistributedDataParallel) for module in net.modules()):
        raise ValueError(
            "DistributedDataParallel knows the parameters that a model had when it was wrapped, "
            "and would not average the gradients of templates: share() before wrapping."
        )


def first_step(net: nn.Module) -> str:
    """What to do with a model that shares nothing."""
    return FOLDED if is_folded(net) else "Call share() first."


def unshareable(module: nn.Module, name: str) -> str:
    """Why the parameter `name` of a module cannot be mixed; empty if it can."""
    kind = type(module).__name__
    weight: Any = module._parameters[name]
    if isinstance(module, nn.RNNBase):
        return (
            f"belongs to an {kind}, which keeps copies of its weights; build it from nn.RNNCell, "
            "nn.GRUCell or nn.LSTMCell to share them."
        )
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        if module.max_norm is not None:
            return (
                f"belongs to an {kind} with max_norm, which writes into its weight; leave it out."
            )
        if module.sparse:
            return (
                f"belongs to an {kind} with sparse=True, and the gradient of templates is dense; "
                "build it with sparse=False to share it."
            )
    if isinstance(module, _CONTAINERS) and not isinstance(module, ParametrizationList):
        return (
            f"belongs to the container {kind}, which would take a bank for one of its layers; "
            "keep the weight in a module of its own to share it."
        )
    if isinstance(weight, Lazy):
        return f"belongs to a {kind}, which has no shape yet; run an example through it first."
    if weight is not None and not weight.is_floating_point():
        return f"is of {weight.dtype}; coefficients are real, and so are the weights that they mix."
    return "" if weight is None or weight.dim() else "is a single number; weights have axes."


def unknown(net: nn.Module, name: str) -> str:
    """What to say of a name that is none of a weight."""
    modules = dict(net.named_modules())
    if name in modules:
        own = [f"{name}.{p}".lstrip(".") for p, _ in modules[name].named_parameters()]
        kind = type(modules[name]).__name__
        if not own:
            return f"{name!r} is a {kind}, which has no parameters."
        return (
            f"{name!r} is a {kind} without a parameter called weight; name one in full: "
            f"{listed(own)}."
        )
    known = [p for p, m in modules.items() if m._parameters.get("weight") is not None]
    known = known or [p for p, _ in net.named_parameters()] or ["none"]
    return f"No layer or weight is called {name!r} in this model; it has {listed(known)}."


def obstacles(net: nn.Module) -> str:
    """Of a model in which nothing is free: what its layers have instead of weights."""
    layers = [(p, m) for p, m in net.named_modules() if isinstance(m, (_ConvNd, nn.Linear))]
    computed = [path for path, m in layers if "weight" not in m._parameters]
    held = {path: m._parameters.get("weight") for path, m in layers}
    lazy = [path for path, weight in held.items() if isinstance(weight, Lazy)]
    unreal = [
        path
        for path, weight in held.items()
        if weight is not None and path not in lazy and not weight.is_floating_point()
    ]
    said = ""
    if computed:
        said += (
            f" The weights of {listed(computed)} are computed, by a parametrization or a hook: "
            "remove it first, or name the parameters that they are computed from."
        )
    if unreal:
        said += f" The weights of {listed(unreal)} are no real numbers."
    if lazy:
        said += f" {listed(lazy)} have no shape yet: run an example through the model first."
    free = {p: m for p, m in layers if held[p] is not None and p not in {*lazy, *unreal}}
    return said + _unlike(free)


def _unlike(layers: Mapping[str, Any]) -> str:
    """Which layers have weights of equal shape that are otherwise unlike, and in what."""
    alike: dict[tuple, list[str]] = {}
    for path, module in layers.items():
        alike.setdefault((type(module), module.weight.shape), []).append(path)
    said = ""
    for paths in alike.values():
        weights = [layers[path].weight for path in paths]
        apart = [w for w in AGREEING if len({getattr(weight, w) for weight in weights}) > 1]
        if apart:
            said += f" {listed(paths)} are of one shape, but differ in {listed(apart)}."
    return said
