"""Appendix B drawn: the errors of its variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softshare.axes import axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def variant_errors(table: pd.DataFrame, ax: Axes | None = None) -> Axes | None:
    """The error of each variant, with a bar of one standard deviation over its seeds.

    Args:
        table: as `softshare.variant_results.results` returns it. Settings have colours.
        ax: where to draw. Default: new axes.

    Returns:
        The axes; None for an empty table.
    """
    import seaborn as sns

    if table.empty:
        return None
    names = list(dict.fromkeys(table["variant"]))
    ax = ax or axes(7.0, 0.9 + 0.34 * len(names))
    for keys, rows in table.groupby(["trained on", "profile", "epochs"], sort=False):
        data, profile, epochs = keys
        ax.errorbar(
            rows["error"],
            [names.index(name) for name in rows["variant"]],
            xerr=rows["spread"].fillna(0),
            fmt="o",
            capsize=3,
            label=f"{data}, {profile}, {epochs} epochs, n = {_span(rows['n'])}",
        )
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set(xlabel="test error (%), ± 1 s.d. over seeds")
    ax.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.25))
    ax.grid(axis="x", color="0.9")
    sns.despine(ax=ax)
    return ax


def _span(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return str(low) if low == high else f"{low} to {high}"
