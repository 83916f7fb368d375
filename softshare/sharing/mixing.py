"""Mixing: the weights of Eq. 1 from one matrix product, on a GPU in one pass over memory."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor

from softshare.wording import error_line


def mix(
    templates: Tensor,
    coefficients: Tensor,
    rounding: torch.dtype | None = None,
    fused: bool = False,
) -> tuple[Tensor, ...]:
    """The weights of Eq. 1 from one matrix product, in float32 also under autocast.

    Args:
        templates: ``(k·o, ...)``, end to end along the first axis.
        coefficients: ``(L, k)``.
        rounding: under autocast, what the weights are rounded to, all at once. Default: nothing.
        fused: whether product and rounding are one operator, which a GPU computes in one pass.

    Returns:
        L weights ``(o, ...)``, in the memory layout of the templates.
    """
    T, k = templates, coefficients.shape[1]
    channels_last = T.dim() > 2 and T.stride(1) == 1
    dense = T.movedim(1, -1) if channels_last else T  # (k·o, h, w, i), as it lies in memory
    flat = dense.reshape(k, -1)  # (k, n)
    rounded = _autocasting(T.device.type) and rounding is not None
    if fused and not _transformed():
        mixed = mixture(flat, coefficients, rounding if rounded else flat.dtype)
    else:
        mixed = _product(coefficients, flat)
        mixed = mixed.to(rounding) if rounded else mixed
    shape = (T.shape[0] // k, *dense.shape[1:])
    # unbind, then shape: backward stacks L flat gradients once. Indexing would write L zeros.
    rows = [row.view(shape) for row in mixed.unbind(0)]
    return tuple(row.movedim(-1, 1) if channels_last else row for row in rows)


@cache
def fused_on(device: torch.device) -> bool:
    """Whether the kernels of one pass run on a device: a GPU, with Triton and its C compiler.

    Example:
        >>> fused_on(torch.device("cpu"))
        False
    """
    if device.type != "cuda":
        return False
    try:
        trouble = "" if _same_on(device) else "they computed something else"
    except Exception as error:  # whatever Triton lacks, the product does without
        trouble = error_line(error)
    if trouble:
        warnings.warn(
            f"Mixing weights in one pass over memory failed on {device} ({trouble}); they are "
            "mixed by a matrix product, which takes longer.",
            stacklevel=2,
        )
    return not trouble


def _same_on(device: torch.device) -> bool:
    """Whether both kernels compute there what float64 does, of float32 and of bfloat16."""
    T = torch.linspace(-1, 1, 3 * 40, device=device).sin().view(3, 40)
    A = torch.linspace(-2, 1, 2 * 3, device=device).view(2, 3)
    exact = A.double() @ T.double()
    for dtype, bound in ((torch.float32, 1e-5), (torch.bfloat16, 1e-2)):
        G = mixture(T, A, dtype)
        products = inner_products(G, T)
        if not torch.allclose(G.double(), exact, rtol=bound, atol=bound):
            return False
        if not torch.allclose(products.double(), G.double() @ T.double().T, atol=1e-4):
            return False
    return True


def _mixture(rows: Tensor, A: Tensor, dtype: torch.dtype) -> Tensor:
    """``A @ rows`` in the precision of A, rounded to `dtype`: ``(L, k) @ (k, n)``."""
    return _product(A, rows.to(A.dtype)).to(dtype)


def _inner_products(one: Tensor, two: Tensor) -> Tensor:
    """``one @ two.T`` in the precision of the wider: ``(L, n) @ (n, k)``."""
    dtype = torch.promote_types(one.dtype, two.dtype)
    return _product(one.to(dtype), two.to(dtype).T)


mixture = torch.library.custom_op("softshare::mixture", _mixture, mutates_args=())
inner_products = torch.library.custom_op(
    "softshare::inner_products", _inner_products, mutates_args=()
)


@mixture.register_kernel("cuda")
def _mixture_on_a_gpu(rows: Tensor, A: Tensor, dtype: torch.dtype) -> Tensor:
    from softshare.sharing import mixing_kernels

    if A.dtype == torch.float32 and mixing_kernels.suits(rows, len(A)):
        return mixing_kernels.mixture(rows, A, dtype)
    return _mixture(rows, A, dtype)


@inner_products.register_kernel("cuda")
def _inner_products_on_a_gpu(one: Tensor, two: Tensor) -> Tensor:
    from softshare.sharing import mixing_kernels

    dtype = torch.promote_types(one.dtype, two.dtype)
    suited = mixing_kernels.suits(one, len(two)) and mixing_kernels.suits(two, len(one))
    if dtype == torch.float32 and suited:
        return mixing_kernels.inner_products(one, two)
    return _inner_products(one, two)


@mixture.register_fake
def _(rows: Tensor, A: Tensor, dtype: torch.dtype) -> Tensor:
    return rows.new_empty(len(A), rows.shape[1], dtype=dtype)


@inner_products.register_fake
def _(one: Tensor, two: Tensor) -> Tensor:
    dtype = torch.promote_types(one.dtype, two.dtype)
    return one.new_empty(len(one), len(two), dtype=dtype)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _mixture_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    rows, A = ctx.saved_tensors
    needs_rows, needs_A, _ = ctx.needs_input_grad
    of_rows = mixture(grad, A.T, rows.dtype) if needs_rows else None
    of_A = inner_products(grad, rows).to(A.dtype) if needs_A else None
    return of_rows, of_A, None


def _inner_products_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
    one, two = ctx.saved_tensors
    needs_one, needs_two = ctx.needs_input_grad
    of_one = mixture(two, grad, one.dtype) if needs_one else None
    of_two = mixture(one, grad.T, two.dtype) if needs_two else None
    return of_one, of_two


mixture.register_autograd(_mixture_backward, setup_context=_keep)
inner_products.register_autograd(_inner_products_backward, setup_context=_keep)


def _transformed() -> bool:
    """Whether torch.func or forward-mode differentiation is at work; operators know of neither."""
    if torch.compiler.is_compiling():
        return False
    forward = torch.autograd.forward_ad._current_level >= 0
    return forward or torch._C._functorch.peek_interpreter_stack() is not None


def _product(one: Tensor, two: Tensor) -> Tensor:
    """A matrix product that autocast does not round."""
    device = one.device.type
    if not _autocasting(device):
        return one @ two
    with torch.autocast(device, enabled=False):
        return one @ two


def _autocasting(device: str) -> bool:
    # torch 2.11 cannot trace the question whether a kind of device has autocast at all
    has = device in ("cpu", "cuda") or torch.amp.is_autocast_available(device)
    return has and torch.is_autocast_enabled(device)
