"""Training curves: a metric of runs against the epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from softshare.plots.axes import axes
from softshare.records import Run
from softshare.records.naming import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"cnn": "#b2182b", "scnn": "#2166ac", "scnn-r": "#4d9221"}
_QUANTITIES = {
    "test_error": "test error (%)",
    "f1": "F1",
    "f1_recalibrated": "F1, batch norm. anew",
    "loss": "training loss",
}


def curves(runs: Sequence[Run], metric: str | None = None, ax: Axes | None = None) -> Axes:
    """A metric against the epoch: one line a model, with the range over its seeds as a band.

    Phases of a curriculum are told apart by vertical lines. Runs on several data sets or at
    several profiles have lines of their own.

    Args:
        runs: runs of one metric.
        metric: a key of ``run.curves``. Default: the metric of the first run.
        ax: where to draw. Default: new axes.

    Raises:
        ValueError: no runs, or a metric that they lack.

    Example:
        >>> from softshare.recipe import Recipe
        >>> history = {"epoch": [1, 2], "phase": [1, 1], "test_error": [9.0, 7.5]}
        >>> ax = curves([Run(Recipe("wrn-28-1"), curves=history, result={"test_error": 7.5})])
        >>> ax.lines[0].get_ydata().tolist(), ax.get_ylabel()
        ([9.0, 7.5], 'test error (%)')
        >>> ax.figure.clear()
    """
    import pandas as pd
    import seaborn as sns

    if not runs:
        raise ValueError("A curve needs at least one run; got none.")
    metric = metric or runs[0].metric
    if any(metric not in run.curves for run in runs):
        raise ValueError(
            f"Not every run has a curve {metric!r}; these have {list(runs[0].curves)}."
        )
    ax = ax or axes()
    settings = {(run.recipe.data, run.profile) for run in runs}
    names = [
        label(run) + (f" ({run.recipe.data}, {run.profile})" if len(settings) > 1 else "")
        for run in runs
    ]
    points = pd.concat(
        [
            pd.DataFrame({"model": name, "epoch": run.curves["epoch"], metric: run.curves[metric]})
            for name, run in zip(names, runs, strict=True)
        ],
        ignore_index=True,
    )
    styled = zip(names, (_COLOURS.get(run.recipe.model) for run in runs), strict=True)
    colours = {name: colour for name, colour in styled if colour}
    sns.lineplot(
        points,
        x="epoch",
        y=metric,
        hue="model",
        style="model",
        markers=len(points) < 200,
        dashes=False,
        errorbar=("pi", 100),
        palette=colours if colours.keys() == set(names) else None,
        ax=ax,
    )
    phases = runs[0].curves["phase"]
    for epoch in range(1, len(phases)):
        if phases[epoch] != phases[epoch - 1]:
            ax.axvline(epoch + 0.5, color="0.7", lw=1, zorder=0)
    ax.set(ylabel=_QUANTITIES.get(metric, metric))
    ax.legend(title=_band(names), title_fontsize="small", frameon=False)
    sns.despine(ax=ax)
    return ax


def _band(names: Sequence[str]) -> str | None:
    """What a line and its band are, where a model has several seeds."""
    counts = sorted({*Counter(names).values()})
    if counts[-1] == 1:
        return None
    n = str(counts[-1]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean and range of {n} seeds"
