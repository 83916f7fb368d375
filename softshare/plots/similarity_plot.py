"""Layer similarity matrices as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from softshare.plots.axes import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def similarities(
    lsm: Mapping[str, Sequence[Sequence[float]] | Tensor],
    title: str = "",
    ax: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """Layer similarity matrices side by side: white is 1, black is 0, as in the paper.

    Args:
        lsm: ``{group: (L, L)}``, as `softshare.lsm` returns it.
        title: above the row of matrices.
        ax: as many axes as groups. Default: new ones.

    Returns:
        The axes, one a group.

    Raises:
        ValueError: no group, or another number of axes than groups.

    Example:
        >>> ax = similarities({"stage1": torch.eye(6), "stage2": torch.ones(6, 6)})
        >>> [place.get_title() for place in ax]
        ['stage1', 'stage2']
        >>> ax[0].figure.clear()
    """
    if not lsm or (ax is not None and len(ax) != len(lsm)):
        given = "new axes" if ax is None else f"{len(ax)} axes"
        raise ValueError(f"Each group of an LSM has axes; got {len(lsm)} groups and {given}.")
    import matplotlib.pyplot as plt
    import numpy as np

    if ax is None:
        ax = panels(0.6 + 2.5 * len(lsm), 2.7, columns=len(lsm))
    image = None
    for place, (group, matrix) in zip(ax, lsm.items(), strict=True):
        values = torch.as_tensor(matrix).detach().cpu().numpy()
        image = place.imshow(values, cmap="gray", vmin=0, vmax=1)
        apart = 1 if len(values) <= 10 else -(-len(values) // 7)  # numbers of two digits are wide
        ticks = np.arange(0, len(values), apart)
        place.set_xticks(ticks, ticks + 1)
        place.set_yticks(ticks, ticks + 1)
        place.set(title=group)
    plt.colorbar(image, ax=list(ax), label="similarity", shrink=0.8)
    if title:
        ax[0].figure.suptitle(title)
    return ax
