"""How the coefficients of a group start (Appendix B)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

INITS = ("orthogonal", "identity", "uniform", "normal", "sparse-uniform", "sparse-normal")


def check_init(init: str) -> None:
    """Refuses what is none of ``INITS``."""
    if init not in INITS:
        raise ValueError(f"The coefficients start as one of {', '.join(INITS)}; got {init!r}.")


def initial_coefficients(
    layers: int,
    templates: int,
    init: str = "orthogonal",
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""The L x k matrix A of coefficients at the start of training (Appendix B).

    ``orthogonal`` draws A with :math:`A^T A = I`; ``identity`` gives each layer a template of its
    own; ``uniform`` and ``normal`` draw every entry; ``sparse-uniform`` and ``sparse-normal`` then
    set half of each row to zero (the paper halves the whole matrix; by rows no layer starts with
    all-zero coefficients, from which it could not learn). The paper leaves the scale of the drawn
    ones open: here every row has the mean squared length k / L, that of an orthogonal A.

    Args:
        layers: L, 1 or more.
        templates: k, from 1 to L; ``identity`` needs k = L.
        init: one of ``INITS``. Default ``"orthogonal"``, the paper's choice.
        generator: source of randomness; default PyTorch's global one.

    Returns:
        A, ``(L, k)``, float32.

    Raises:
        ValueError: k out of range for this init, or an unknown init.

    Example:
        >>> A = initial_coefficients(6, 2)
        >>> torch.allclose(A.T @ A, torch.eye(2), atol=1e-5)
        True
        >>> initial_coefficients(6, 7)
        Traceback (most recent call last):
        ...
        ValueError: A group of 6 layers takes 1 to 6 templates; got 7.
    """
    check_init(init)
    if (
        isinstance(templates, bool)
        or not isinstance(templates, int)
        or not 1 <= templates <= layers
    ):
        raise ValueError(
            f"A group of {layers} layers takes 1 to {layers} templates; got {templates!r}."
        )
    if init == "identity" and templates != layers:
        raise ValueError(
            f"init='identity' needs as many templates as layers, {layers}; got {templates}. "
            "Pass another init or templates=None."
        )
    A = torch.empty(layers, templates)
    if init == "orthogonal":
        return nn.init.orthogonal_(A, generator=generator)
    if init == "identity":
        return nn.init.eye_(A)
    zeros = templates // 2 if init.startswith("sparse") else 0
    scale = math.sqrt(templates / (templates - zeros) / layers)  # standard deviation of an entry
    if init.endswith("uniform"):
        A.uniform_(-math.sqrt(3) * scale, math.sqrt(3) * scale, generator=generator)
    else:
        A.normal_(0, scale, generator=generator)
    order = torch.rand(layers, templates, generator=generator).argsort(dim=1)
    return A.masked_fill_(order < zeros, 0.0)
