"""A table as a picture: the paper's numbers and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softshare.plots.axes import axes
from softshare.records.naming import measures, row_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


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
    import seaborn as sns

    if table.empty:
        raise ValueError("There is nothing to compare: the table has no rows.")
    rows = (row for _, row in table.iterrows())
    lines = [_line_label(*each) for each in zip(rows, measures(table), strict=True)]
    ax = ax or axes(8.0, 1.2 + 0.34 * len(lines))
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
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)  # over no row
    ax.grid(axis="x", color="0.9")
    sns.despine(ax=ax)
    return ax


def _line_label(row: Any, measure: str) -> str:
    words = [row["variant"] if row["n"] else row["data"], measure]
    if row["n"]:
        words += [row["profile"], f"{row['epochs']} epochs", row["settings"], f"n={row['n']}"]
    return f"{row_label(row)} ({', '.join(filter(None, words))})"
