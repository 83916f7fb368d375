"""Error and size of folded networks against the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from softshare.plots.axes import panels
from softshare.records import Run
from softshare.records.naming import full_label, length
from softshare.results.drift import greatest
from softshare.results.folding_results import chance_of, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def folding_curves(runs: Sequence[Run]) -> list[Axes]:
    """Cost in points above, parameters below, against the threshold; a figure a data set.

    A colour a network, for all its seeds. Full lines are folded networks as they are, dashed ones
    with batch statistics estimated anew; a dotted line marks each network's chance level, a
    dash-dotted one what a pair of its layers reaches by random drift. Thresholds fall to the
    right, where more is folded.

    Args:
        runs: those with measured foldings are drawn.

    Returns:
        Two axes for each data set with measured foldings.

    Example:
        >>> folding_curves([])
        []
    """
    sets: dict[str, list[Run]] = {}
    for run in runs:
        if run.folded:
            sets.setdefault(run.data["name"], []).append(run)
    return [place for data, measured in sets.items() for place in _figure(data, measured)]


def _figure(data: str, runs: list[Run]) -> list[Axes]:
    import seaborn as sns

    networks: dict[str, list[Run]] = {}
    for run in runs:
        networks.setdefault(f"{full_label(run)}, {length(run.recipe)}", []).append(run)
    above, below = panels(8.0, 5.6, rows=2, sharex=True, height_ratios=[3, 2])
    palette = sns.color_palette("husl", len(networks))
    for colour, (name, seeds) in zip(palette, networks.items(), strict=True):
        style = {"color": colour, "drawstyle": "steps-post", "marker": "."}
        for run in seeds:
            points = table([run])
            t = points["threshold"]
            above.plot(t, points["cost"], label=name if run is seeds[0] else None, **style)
            above.plot(t, points["cost recalibrated"], linestyle="--", **style)
            below.plot(t, 100 * points["share"], **style)
        for place in (above, below):
            place.axvline(chance_of(seeds[0]), color=colour, linestyle=":", linewidth=1.5)
            place.axvline(greatest(seeds[0]), color=colour, linestyle="-.", linewidth=0.8)
    above.set_yscale("symlog", linthresh=1)
    above.axhline(0, color="0.7", linewidth=1, zorder=0)
    above.yaxis.set_major_formatter("{x:g}")
    above.set(ylabel="cost of folding (points)")
    above.set_title(f"{data}; dashed: batch statistics estimated anew", fontsize="small")
    below.set(
        xlabel="threshold (dotted: chance level; dash-dotted: random drift)",
        ylabel="parameters (%)",
    )
    below.set_ylim(bottom=0)
    below.invert_xaxis()
    columns = min(3, len(networks))
    above.figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize="small")
    sns.despine(above.figure)
    return [above, below]
