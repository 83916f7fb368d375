"""Error and size of folded networks against the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from softshare.plots.axes import panels
from softshare.records import Run
from softshare.records.naming import label
from softshare.results.folding_results import chance_of, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def folding_curves(runs: Sequence[Run]) -> list[Axes]:
    """Cost in points above, parameters below, against the threshold, a colour a network.

    Full lines are folded networks as they are, dashed ones with batch statistics estimated anew;
    a dotted line marks each network's chance level. Thresholds fall to the right, where more is
    folded.

    Args:
        runs: those with measured foldings are drawn.

    Returns:
        Two axes of one figure, or none where nothing is measured.

    Example:
        >>> folding_curves([])
        []
    """
    import seaborn as sns

    measured = [run for run in runs if run.folded]
    if not measured:
        return []
    above, below = panels(8.0, 5.6, rows=2, sharex=True, height_ratios=[3, 2])
    for colour, run in zip(sns.color_palette("colorblind", len(measured)), measured, strict=True):
        points = table([run])
        t = points["threshold"]
        name = f"{label(run)}, {run.data['name']}, seed {run.seed}"
        style = {"color": colour, "drawstyle": "steps-post", "marker": "."}
        above.plot(t, points["cost"], label=name, **style)
        above.plot(t, points["cost recalibrated"], linestyle="--", **style)
        below.plot(t, 100 * points["share"], **style)
        for place in (above, below):
            place.axvline(chance_of(run), color=colour, linestyle=":", linewidth=1.5)
    above.set_yscale("symlog", linthresh=1)
    above.axhline(0, color="0.7", linewidth=1, zorder=0)
    above.yaxis.set_major_formatter("{x:g}")
    above.set(ylabel="cost of folding (points)")
    above.set_title("full: as it is; dashed: batch statistics estimated anew", fontsize="small")
    above.legend(frameon=False, fontsize="small", title=None)
    below.set(xlabel="threshold (dotted: chance level)", ylabel="parameters (%)")
    below.set_ylim(bottom=0)
    below.invert_xaxis()
    sns.despine(above.figure)
    return [above, below]
