"""Where figures are drawn: axes in the book's style."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes(width: float = 7.0, height: float = 3.6) -> Axes:
    """Fresh axes in the book's style, in inches; shown as SVG in a notebook.

    Example:
        >>> axes().get_xlabel()
        ''
    """
    return panels(width, height)[0]


def panels(
    width: float, height: float, rows: int = 1, columns: int = 1, **layout: Any
) -> list[Axes]:
    """The same several times in one figure, row by row.

    Args:
        width: of the figure, in inches.
        height: of the figure, in inches.
        rows: of axes.
        columns: of axes.
        **layout: what `matplotlib.pyplot.subplots` takes, such as ``width_ratios=[2, 1]``.

    Example:
        >>> left, right = panels(7.0, 3.0, columns=2)
        >>> left.figure is right.figure, left.figure.get_size_inches().tolist()
        (True, [7.0, 3.0])
        >>> left.figure.clear()
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="ticks", context="notebook", palette="colorblind")
    plt.rcParams["svg.fonttype"] = "none"
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg")
    size = (width, height)
    made = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **layout)
    return list(made[1].flat)
