"""The sharing scheme as a picture: which layer takes how much of which template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from softshare.plots.axes import axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDEST = 5.0  # points, of the line of the largest coefficient


def mixture(coefficients: Tensor, title: str = "", ax: Axes | None = None) -> Axes:
    r"""Layers above, templates below, and a line for each coefficient (Figure 1).

    The line from template j to layer i is as wide as :math:`|\alpha_{ij}|` is large, blue where
    the coefficient is positive and orange where it is negative. Layers that are one layer up to
    scale have lines of the same proportions; all colours change places where the scale is
    negative.

    Args:
        coefficients: A, ``(L, k)``.
        title: above the picture.
        ax: where to draw. Default: new axes.

    Raises:
        ValueError: another shape, or numbers that are not finite.

    Example:
        >>> import torch
        >>> ax = mixture(torch.tensor([[1.0, 0.0], [0.5, -0.5], [-1.0, 1.0]]))
        >>> [label.get_text() for label in ax.texts]
        ['$W_{1}$', '$W_{2}$', '$W_{3}$', '$T_{1}$', '$T_{2}$']
        >>> ax.figure.clear()
    """
    A = coefficients.detach().float().cpu()
    if A.dim() != 2 or 0 in A.shape or not A.isfinite().all():
        raise ValueError(
            "Coefficients are finite numbers of shape (L, k), both 1 or more; got shape "
            f"{tuple(A.shape)}."
        )
    L, k = A.shape
    ax = ax or axes(min(9.0, 1.2 + 0.8 * max(L, k)), 2.6)
    layers, templates = _columns(L, max(L, k)), _columns(k, max(L, k))
    widths = _WIDEST * A.abs() / A.abs().max().clamp(min=1e-12)
    for i, x in enumerate(layers):
        for j, u in enumerate(templates):
            colour = "C0" if A[i, j] > 0 else "C1"
            ax.plot([u, x], [0, 1], colour, linewidth=float(widths[i, j]), zorder=1)
    for name, places, y in (("W", layers, 1), ("T", templates, 0)):
        for number, x in enumerate(places, start=1):
            box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "0.3"}
            ax.text(x, y, f"${name}_{{{number}}}$", ha="center", va="center", bbox=box)
    ax.set(title=title, xlim=(-0.6, max(L, k) - 0.4), ylim=(-0.25, 1.25))
    ax.set_axis_off()
    return ax


def _columns(count: int, widest: int) -> list[float]:
    """Places of `count` boxes, centred above or below a row of `widest`."""
    return [i + (widest - count) / 2 for i in range(count)]
