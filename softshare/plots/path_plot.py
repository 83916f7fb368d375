"""Grids of the shortest-path task as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from softshare.plots.axes import axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def path_example(inputs: Tensor, cells: Tensor, ax: Axes | None = None) -> Axes:
    """One grid of the shortest-path task in the paper's colours (Figure 5a).

    Blue cells are the queries, red ones obstacles, white ones lie on a shortest path.

    Args:
        inputs: ``(2, H, W)``.
        cells: ``(1, H, W)``, targets or logits; cells above 0 are drawn as path.
        ax: where to draw. Default: new axes.

    Raises:
        ValueError: another shape, such as a batch of grids.

    Example:
        >>> from softshare.shortest_paths import phase
        >>> inputs, targets = phase(1, n=2)
        >>> path_example(inputs[0], targets[0]).images[0].get_array().shape
        (32, 32, 3)
    """
    import numpy as np

    if inputs.shape[:-2] != (2,) or cells.shape != (1, *inputs.shape[1:]):
        raise ValueError(
            "One grid has inputs (2, H, W) and cells (1, H, W); got "
            f"{tuple(inputs.shape)} and {tuple(cells.shape)}."
        )
    ax = ax or axes(3.4, 3.4)
    queries, obstacles = inputs.cpu().numpy() > 0
    path = cells[0].detach().cpu().numpy() > 0
    picture = np.zeros((*path.shape, 3))
    picture[path] = (1, 1, 1)
    picture[obstacles] = (0.84, 0.15, 0.16)
    picture[queries] = (0.12, 0.47, 0.90)
    ax.imshow(picture, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    return ax
