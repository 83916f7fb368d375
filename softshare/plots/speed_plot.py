"""Speed as a picture: the plain way, ours and the floor on one line a case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from softshare.plots.axes import axes
from softshare.results.speed import Record, is_cpu

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def gaps(records: Sequence[Record], ax: Axes | None = None) -> Axes | None:
    """Time as a multiple of the plain way's, ours and floor, on a logarithmic axis.

    Args:
        records: as `softshare.results.speed.load` returns them.
        ax: where to draw. Default: new axes.

    Returns:
        The axes, or None without records.

    Example:
        >>> gaps([]) is None
        True
    """
    if not records:
        return None
    ax = ax or axes(5.8, 1.0 + 0.24 * len(records))
    shown = [(r["ratio"], *r["spread"]) for r in records]
    places = range(len(records))
    ours = [1 / ratio for ratio, _, _ in shown]
    left = [1 / ratio - 1 / max(high, ratio) for ratio, _, high in shown]
    right = [1 / min(low, ratio) - 1 / ratio for ratio, low, _ in shown]
    ax.axvline(1, color="0.35", lw=1)
    for cpu, colour, name in ((True, "#2166ac", "ours, CPU"), (False, "#4d9221", "ours, GPU")):
        chosen = [i for i in places if is_cpu(records[i]) == cpu]
        if chosen:
            ax.errorbar(
                [ours[i] for i in chosen],
                chosen,
                xerr=[[side[i] for i in chosen] for side in (left, right)],
                fmt="o",
                ms=5,
                color=colour,
                label=name,
            )
    floors = [(r["floor"]["seconds"] / r["medians"]["plain"], i) for i, r in enumerate(records)]
    xs, ys = [x for x, _ in floors if x], [i for x, i in floors if x]
    ax.scatter(xs, ys, marker="|", s=90, color="0.35", label="floor")
    ax.set_xscale("log")
    ax.set_yticks(
        list(places),
        [f"{r['benchmark'].replace('_', ' ')}: {r['case']}" for r in records],
        fontsize=8,
    )
    ax.invert_yaxis()
    ax.set(xlabel="time, as a multiple of the plain way's")
    ax.grid(axis="x", color="0.9")
    ax.legend(frameon=False, loc="best", fontsize=9)
    return ax
