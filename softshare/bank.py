"""The template bank: the weights of a whole group of layers from one matrix product (Eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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

    def __init__(
        self, templates: Tensor, coefficients: Tensor, layers: Sequence[str], label: str = ""
    ) -> None:
        super().__init__()
        expected = (len(layers), len(templates))
        if templates.dim() < 2 or tuple(coefficients.shape) != expected:
            raise ValueError(
                "A bank needs templates of shape (k, *weight shape) and coefficients of shape "
                f"(layers, k) = {expected}; got {tuple(templates.shape)} and "
                f"{tuple(coefficients.shape)}."
            )
        self.templates = nn.Parameter(templates.flatten(0, 1))  # (k·o, i, h, w)
        self.coefficients = nn.Parameter(coefficients)  # (L, k)
        self.layers = tuple(layers)
        self.label = label
        self._open: tuple[Tensor, ...] | None = None
        self._baked: tuple[tuple, tuple[Tensor, ...]] | None = None

    def weights(self) -> tuple[Tensor, ...]:
        """All L weights, in float32 also under autocast, from one matrix product."""
        return self._mix(self.coefficients)

    def weight(self, layer: int) -> Tensor:
        """The weight of one layer: of the open forward pass, else mixed for this call alone."""
        if self._open is not None:
            return self._open[layer]
        alone = self.coefficients[layer : layer + 1]
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return self._mix(alone)[0]
        # Activation checkpointing counts the tensors that a block saves. A block recomputed in
        # backward mixes its own weight, which the first pass did not; the inner hooks hide that.
        with torch.autograd.graph.saved_tensors_hooks(_same, _same):
            return self._mix(alone)[0]

    def open(self) -> None:
        """Mixes all weights for one forward pass; in eval without gradient, reuses the last."""
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            self._open = self.weights()
            return
        state = tuple((p.data_ptr(), p._version, p.dtype, p.device) for p in self.parameters())
        if self._baked is None or self._baked[0] != state:
            self._baked = (state, self.weights())
        self._open = self._baked[1]

    def close(self) -> None:
        """Ends the forward pass that `open` began."""
        self._open = None

    def train(self, mode: bool = True) -> TemplateBank:
        self._baked = None  # writes through `.data` leave no trace in the version counters
        return super().train(mode)

    def extra_repr(self) -> str:
        (L, k), n = self.coefficients.shape, len(self.templates)
        shape = "x".join(map(str, (n // k, *self.templates.shape[1:])))
        return f"{self.label!r}, layers={L}, templates={k}, shape={shape}"

    def _mix(self, coefficients: Tensor) -> tuple[Tensor, ...]:
        T, k = self.templates, self.coefficients.shape[1]
        channels_last = T.dim() > 2 and T.stride(1) == 1
        dense = T.movedim(1, -1) if channels_last else T  # (k·o, h, w, i), as it lies in memory
        flat = dense.reshape(k, -1)  # (k, n)
        device = T.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                mixed = coefficients @ flat
        else:
            mixed = coefficients @ flat  # (L, k) @ (k, n)
        shape = (T.shape[0] // k, *dense.shape[1:])
        # unbind, then shape: backward stacks L flat gradients once. Indexing would write L zeros.
        rows = [row.view(shape) for row in mixed.unbind(0)]
        return tuple(row.movedim(-1, 1) if channels_last else row for row in rows)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_open": None, "_baked": None}


def _same(tensor: Tensor) -> Tensor:
    return tensor
