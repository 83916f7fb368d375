"""Appendix B drawn: the errors of its variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softshare.plots.axes import panels
from softshare.results.variants import rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_HALF = 0.5  # points: no narrower axis, on which a trifle would look like a difference


def variant_errors(table: pd.DataFrame) -> list[Axes]:
    """The error of each variant, with a bar of one standard deviation over its seeds.

    Args:
        table: as `softshare.results.variant_results.results` returns it.

    Returns:
        Axes of one figure, one a setting; none for an empty table. Settings of a single variant
        are left out where others have several.
    """
    import seaborn as sns

    if table.empty:
        return []
    names = [row["row"] for row in rows() if row["row"] in set(table["variant"])]
    every = list(table.groupby(["width", "trained on", "profile", "epochs"], sort=False))
    settings = [one for one in every if len(one[1]) > 1] or every
    height = 1.3 + 0.34 * len(names)
    places = panels(1.6 + 2.7 * len(settings), height, columns=len(settings), sharey=True)
    for place, ((width, data, profile, epochs), found) in zip(places, settings, strict=True):
        place.errorbar(
            found["error"],
            [names.index(name) for name in found["variant"]],
            xerr=found["spread"].fillna(0),
            fmt="o",
            capsize=3,
        )
        low, high = place.get_xlim()
        half, middle = max(_HALF, (high - low) / 2), (low + high) / 2
        place.set_xlim(middle - half, middle + half)
        place.set(
            xlabel="test error (%)", title=f"{data}, width {width}\n{profile}, {epochs} epochs"
        )
        place.set_yticks(range(len(names)), names)
        place.grid(axis="x", color="0.9")
        sns.despine(ax=place)
    places[0].set_ylim(len(names) - 0.5, -0.5)
    return places
