"""How fast layers learn from their own gradients, over training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from softshare.plots.axes import panels
from softshare.records import Run
from softshare.results.rates import table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def own_rates(runs: Sequence[Run]) -> list[Axes]:
    """Mean squared length of the coefficients against the share of training done.

    A panel a data set, a colour a network, a line a group and seed. At 1 a layer learns from its
    own gradient as fast as without sharing.

    Args:
        runs: those of soft-shared networks are drawn.

    Returns:
        Axes of one figure, one a data set; none where nothing is shared.

    Example:
        >>> own_rates([])
        []
    """
    import seaborn as sns

    points = table(runs)
    if points.empty:
        return []
    points["done"] = 100 * points["epoch"] / points.groupby("record")["epoch"].transform("max")
    sets = list(dict.fromkeys(points["trained on"]))
    places = panels(4.2 * len(sets), 4.6, columns=len(sets))
    for place, name in zip(places, sets, strict=True):
        sns.lineplot(
            points[points["trained on"] == name],
            x="done",
            y="own",
            hue="network",
            units=points["record"] + points["group"],
            estimator=None,
            marker=".",
            ax=place,
        )
        place.axhline(1, color="0.7", lw=1, zorder=0)
        place.set(title=name, xlabel="training done (%)", ylabel="")
        place.legend(
            title=None,
            frameon=False,
            fontsize="small",
            loc="upper center",
            bbox_to_anchor=(0.5, -0.2),
        )
        sns.despine(ax=place)
    places[0].set(ylabel="mean squared length of a row of A")
    return places
