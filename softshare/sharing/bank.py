"""The template bank: the weights of a whole group of layers from one matrix product (Eq. 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from softshare.sharing.mixing import mix


class TemplateBank(nn.Module):
    r"""k templates and the coefficients with which L layers mix them.

    .. math:: W_i = \sum_{j=1}^{k} \alpha_{ij} T_j, \qquad i = 1..L \quad (\text{Eq. 1})

    The templates lie end to end along the first axis of one parameter. It therefore has the rank
    of a weight, and ``net.to(memory_format=torch.channels_last)`` reaches it like any other: the
    product is taken in memory order, and each weight comes out in the layout of the templates.

    Args:
        templates: ``(k, *shape)``, T of Eq. 1; ``shape`` is the shape of one weight, of rank 1
            or more.
        coefficients: ``(L, k)``, row i is alpha of layer i.
        layers: the L names of the weights, in layer order: the axes of the LSM.
        label: name of the group.
        init: how the coefficients start, as in `share`; their chance level depends on it.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> T, A = torch.randn(2, 8, 4, 3, 3), torch.randn(5, 2)
        >>> bank = TemplateBank(T, A, layers=list("abcde"))
        >>> W = bank.weights()
        >>> len(W), tuple(W[0].shape)
        (5, (8, 4, 3, 3))
        >>> torch.allclose(W[3], A[3, 0] * T[0] + A[3, 1] * T[1], atol=1e-6)
        True
    """

    init, fused = "orthogonal", False  # of banks that were pickled before they knew

    def __init__(
        self,
        templates: Tensor,
        coefficients: Tensor,
        layers: Sequence[str],
        label: str = "",
        init: str = "orthogonal",
    ) -> None:
        super().__init__()
        expected = (len(layers), *templates.shape[:1])
        if templates.dim() < 2 or 0 in expected or tuple(coefficients.shape) != expected:
            raise ValueError(
                "A bank needs templates of shape (k, *weight shape) and coefficients of shape "
                f"(layers, k) for {len(layers)} layers, k 1 or more; got "
                f"{tuple(templates.shape)} and {tuple(coefficients.shape)}."
            )
        self.templates = nn.Parameter(templates.flatten(0, 1))  # (k·o, i, h, w)
        self.coefficients = nn.Parameter(coefficients)  # (L, k)
        self.layers = tuple(layers)
        self.label, self.init = label, init
        self.rounding: torch.dtype | None = None
        """Where all layers round their weights under autocast, they can be rounded together."""
        self.fused = False
        """Whether training mixes and rounds in one pass over memory, as `fused_on` a device."""
        self._open: tuple[int, tuple[Tensor, ...]] | None = None  # (thread or 0: any, weights)
        self._baked: tuple[list, list[Tensor], tuple[Tensor, ...]] | None = None

    def weights(self) -> tuple[Tensor, ...]:
        """All L weights, in float32 also under autocast, from one matrix product."""
        return self._mix(self.coefficients, fused=self.fused and self.training)

    def weight(self, layer: int) -> Tensor:
        """The weight of one layer: of the open forward pass, else mixed for this call alone."""
        opened = self._open
        if opened is not None and (torch.compiler.is_compiling() or opened[0] in (0, get_ident())):
            return opened[1][layer]
        alone = self.coefficients[layer : layer + 1]
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return self._mix(alone)[0]
        # Activation checkpointing counts the tensors that a block saves. A block recomputed in
        # backward mixes its own weight, which the first pass did not; the inner hooks hide that.
        with ExitStack() as stack:
            with suppress(RuntimeError):  # torch.func allows no hooks, and checkpoints nothing
                stack.enter_context(torch.autograd.graph.saved_tensors_hooks(_same, _same))
            return self._mix(alone)[0]

    def open(self) -> tuple[Tensor, ...]:
        """All weights for one forward pass: mixed, or in eval without gradient the last again.

        The last are mixed anew when a parameter has changed, and always where parameters are in
        memory that processes share. A change that leaves no trace in
        PyTorch's version counters (through ``.data``, or by a fused optimizer) is seen from the
        next ``eval()`` or forward pass with gradient on.
        """
        compiling = torch.compiler.is_compiling()
        mixing = compiling or self.training or torch.is_grad_enabled()
        if mixing or torch.jit.is_tracing():  # a trace holds what it is given as a constant
            self._baked = None
            weights = self._mix(self.coefficients, self.rounding, self.fused and self.training)
            self._open = (0 if compiling else get_ident(), weights)
        else:
            self._open = (get_ident(), self._bake())
        return self._open[1]

    def close(self) -> None:
        """Ends the forward pass that `open` began."""
        self._open = None

    def train(self, mode: bool = True) -> TemplateBank:
        self._open = self._baked = None
        return super().train(mode)

    def extra_repr(self) -> str:
        (L, k), n = self.coefficients.shape, len(self.templates)
        shape = "x".join(map(str, (n // k, *self.templates.shape[1:])))
        return f"{self.label!r}, layers={L}, templates={k}, shape={shape}"

    def _bake(self) -> tuple[Tensor, ...]:
        held = tuple(self.parameters())
        if any(type(p) is not nn.Parameter or p.is_inference() for p in held):
            return self.weights()  # stand-ins of functional_call or vmap, or without versions
        state: list[tuple] = [(torch.is_inference_mode_enabled(),)]
        state += [(p.data_ptr(), p.stride(), p.dtype, p.device, p._version) for p in held]
        if self._baked is None or self._baked[0] != state:
            weights = self.weights()
            if any(type(w) is not Tensor for w in weights) or any(map(_in_shared_memory, held)):
                return weights  # of a fake mode, or of parameters that others change unseen
            # the old storage is kept: memory that is freed could come back at the same address
            self._baked = (state, [p.detach() for p in held], weights)
        return self._baked[2]

    def _apply(self, fn: Callable, recurse: bool = True) -> TemplateBank:
        self._open = self._baked = None
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args: Any) -> None:
        self._open = None  # Ctrl-C runs no hooks: a pass that it broke off is still open
        super()._load_from_state_dict(*args)

    def _mix(
        self, coefficients: Tensor, rounding: torch.dtype | None = None, fused: bool = False
    ) -> tuple[Tensor, ...]:
        templates: Any = self.templates
        if isinstance(templates, torch.fx.Proxy):
            raise ValueError(
                "torch.fx cannot follow how weights are mixed from templates; trace "
                "softshare.unshare(net), or use torch.export."
            )
        return mix(templates, coefficients, rounding, fused)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "fused": False, "_open": None, "_baked": None}


def _in_shared_memory(tensor: Tensor) -> bool:
    """Whether another process could write into it; PyTorch says so of all that is on a GPU."""
    return tensor.device.type == "cpu" and tensor.is_shared()


def _same(tensor: Tensor) -> Tensor:
    return tensor
