"""Figure 3 drawn: error against parameters, the paper's points and ours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from softshare.data.inventory import original
from softshare.plots.axes import panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MARKERS = ("o", "^", "D", "v", "P", "X")


def efficiency(table: pd.DataFrame, ax: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Error against parameters on logarithmic axes, a panel a data set.

    Points of one family, data variant, schedule and source are joined. The paper's are hollow and
    dotted, ours filled, with a bar of one standard deviation over seeds; a family has its colour,
    a schedule its marker. A variant, such as ``cifar10-jpeg``, stands in the panel of its original
    and is named in the legend.

    Args:
        table: as `softshare.results.efficiency.points` returns it.
        ax: as many axes as data sets. Default: new ones.

    Returns:
        The axes, one a data set.

    Raises:
        ValueError: an empty table, or another number of axes than data sets.

    Example:
        >>> from softshare.results.efficiency import points
        >>> shown = efficiency(points([]))
        >>> [panel.get_title() for panel in shown], shown[0].get_xscale()
        (['cifar10', 'cifar100'], 'log')
        >>> shown[0].figure.clear()
    """
    import seaborn as sns
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    sets = list(dict.fromkeys(map(original, table["data"])))
    if not sets or (ax is not None and len(ax) != len(sets)):
        given = "new axes" if ax is None else f"{len(ax)} axes"
        raise ValueError(f"Each data set has axes; got {len(sets)} data sets and {given}.")
    if ax is None:
        ax = panels(4.2 * len(sets), 4.6, columns=len(sets))
    families = list(dict.fromkeys(table["family"]))
    colours = dict(zip(families, sns.color_palette("colorblind", len(families)), strict=True))
    schedules = dict.fromkeys(table["profile"][table["who"] == "ours"])
    markers = dict(zip(schedules, cycle(_MARKERS), strict=False))
    for place, name in zip(ax, sets, strict=True):
        chosen = table[table["data"].map(original) == name]
        for keys, rows in chosen.groupby(["who", "family", "data", "profile"], sort=False):
            who, family, data, profile = map(str, keys)
            rows = rows.sort_values("parameters")
            ours = who == "ours"
            place.errorbar(
                rows["parameters"],
                rows["error"],
                yerr=rows["spread"].fillna(0) if ours else None,
                fmt=markers[profile] if ours else "s" if family == "other networks" else "o",
                ls="" if family == "other networks" else "-" if ours else ":",
                color=colours[family],
                mfc=colours[family] if ours else "none",
                label=f"{family} ({data}, {profile})" if ours else f"{family} (paper)",
            )
        title = f"{name}, a demonstration" if name == "digits" else name
        place.set(xscale="log", xlabel="parameters", title=title)
        place.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=12))
        place.xaxis.set_major_formatter(EngFormatter(sep=""))
        place.xaxis.set_minor_formatter(NullFormatter())
        place.grid(color="0.9")
        sns.despine(ax=place)
    ax[0].set(ylabel="test error (%)")
    handles = [place.get_legend_handles_labels() for place in ax]
    shown = {
        label: line for lines, labels in handles for line, label in zip(lines, labels, strict=True)
    }
    ax[0].figure.legend(
        shown.values(),
        shown,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize="x-small",
    )
    return ax
