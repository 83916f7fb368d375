"""Figures: values in, axes out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from softshare.naming import label, row_label
from softshare.records import Run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

STYLES = {"cnn": "#b2182b", "scnn": "#2166ac", "scnn-r": "#4d9221"}


def axes(width: float = 7.0, height: float = 3.6) -> Axes:
    """Fresh axes in the book's style, in inches; shown as SVG in a notebook.

    Example:
        >>> axes().get_xlabel()
        ''
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="ticks", context="notebook", palette="colorblind")
    plt.rcParams["svg.fonttype"] = "none"
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg")
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def curves(runs: Sequence[Run], metric: str | None = None, ax: Axes | None = None) -> Axes:
    """A metric against the epoch: one line a model, with the range over its seeds.

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
    styled = zip(names, (STYLES.get(run.recipe.model) for run in runs), strict=True)
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
    ax.set(ylabel=_NAMES.get(metric, metric))
    ax.legend(title=None, frameon=False)
    _tidy(ax)
    return ax


def comparison(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A table as a picture: the paper's number beside ours, a line a row.

    Args:
        table: as `softshare.compare` returns it; rows without a run show the paper alone.
        ax: where to draw. Default: new axes.

    Raises:
        ValueError: an empty table.

    Example:
        >>> from softshare import compare
        >>> ax = comparison(compare([], "table1"))
        >>> ax.get_yticklabels()[0].get_text(), len(ax.get_yticks())
        ('WRN 28-10 (cifar10)', 10)
        >>> ax.figure.clear()
    """
    if table.empty:
        raise ValueError("There is nothing to compare: the table has no rows.")
    lines = [_line_label(row) for _, row in table.iterrows()]
    ax = ax or axes(7.0, 0.9 + 0.34 * len(lines))
    places = range(len(lines))
    ax.scatter(table["paper"], places, marker="|", s=160, color="0.35", label="paper")
    shown = table["n"] > 0
    spread = table["spread"].where(shown).fillna(0)
    ax.errorbar(
        table["ours"].where(shown),
        list(places),
        xerr=spread,
        fmt="o",
        color="#2166ac",
        label="ours, ± 1 s.d. over seeds",
    )
    ax.set_yticks(list(places), lines)
    ax.invert_yaxis()
    ax.set(xlabel="test error (%)")
    ax.legend(frameon=False, loc="best")
    ax.grid(axis="x", color="0.9")
    _tidy(ax)
    return ax


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
        first = axes(0.6 + 2.5 * len(lsm), 2.7)
        figure = first.figure
        first.remove()
        ax = list(figure.subplots(1, len(lsm), squeeze=False)[0])
    image = None
    for place, (group, matrix) in zip(ax, lsm.items(), strict=True):
        values = torch.as_tensor(matrix).detach().cpu().numpy()
        image = place.imshow(values, cmap="gray", vmin=0, vmax=1)
        ticks = np.arange(0, len(values), max(1, len(values) // 10))
        place.set_xticks(ticks, ticks + 1)
        place.set_yticks(ticks, ticks + 1)
        place.set(title=group)
    plt.colorbar(image, ax=list(ax), label="similarity", shrink=0.8)
    if title:
        ax[0].figure.suptitle(title)
    return ax


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


_NAMES = {
    "test_error": "test error (%)",
    "f1": "F1",
    "f1_recalibrated": "F1, batch norm. anew",
    "loss": "training loss",
}


def _line_label(row: Any) -> str:
    where = "" if not row["n"] else f", {row['profile']}, n={row['n']}"
    data = row["variant"] if row["n"] else row["data"]
    return f"{row_label(row)} ({data}{where})"


def _tidy(ax: Axes) -> None:
    import seaborn as sns

    sns.despine(ax=ax)
