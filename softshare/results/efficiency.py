"""Error against parameters: what a parameter buys with sharing and without (Figure 3)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softshare import paper
from softshare.paper.matching import by_setting, data_set, kind, variant, varied
from softshare.records import Run
from softshare.records.naming import label

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("who", "family", "model", "parameters", "error", "spread", "n", "data", "profile")
SETS = ("cifar10", "cifar100", "digits")  # the last for demonstrations
_OF_THE_PAPER = ("table1", "table2")  # Figure 3 prints no numbers; these tables hold its points


def shows(run: Run) -> bool:
    """Whether a run has a point in the figure: a WRN or SWRN on one of `SETS`, without cutout."""
    return (
        kind(run.recipe.model)[1] > 0
        and data_set(run) in SETS
        and not run.recipe.cutout
        and not run.recipe.tune
        and not varied(run.recipe)
    )


def family(model: str, dropout: float = 0.0) -> str:
    """WRN, or SWRN by its templates, as many as layers or k; with a star for dropout.

    Example:
        >>> family("wrn-28-4"), family("swrn-28-4", dropout=0.3), family("swrn-40-8-8")
        ('WRN', 'SWRN*, k = L', 'SWRN, k = 8')
    """
    star = "*" if dropout else ""
    if not model.startswith("swrn"):
        return f"WRN{star}"
    parts = model.split("-")
    return f"SWRN{star}, k = {parts[3]}" if len(parts) == 4 else f"SWRN{star}, k = L"


def points(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each network: the paper's from Tables 1 and 2, and ours.

    Args:
        runs: runs of any kind; those that `shows` refuses are left out.

    Returns:
        `who`, ``paper`` or ``ours``; `family`; `model`, as the paper writes it; `parameters`,
        exact where the architecture is ours, else as printed; `error`, in per cent, and `spread`,
        its standard deviation over `n` seeds; `data` and `profile`.

    Example:
        >>> print(points([])[["model", "parameters", "error"]].head(1).to_string(index=False))
            model  parameters  error
        WRN 28-10    36479194    4.0
    """
    import pandas as pd

    lines = []
    for name in _OF_THE_PAPER:
        columns = paper.load()["tables"][name]["columns"]
        for row in paper.rows(name):
            for column, error in row["values"].items():
                data = columns[column]["data"]
                size = row["parameters"].get(data) or _printed(row["printed_parameters"])
                drop = row["options"].get("dropout", 0)
                kin = family(row["model"], drop) if row["model"] else "other networks"
                line = ("paper", kin, row["row"], size, error, math.nan, 0, data, "paper")
                if line not in lines:  # SWRN 28-10* stands in both
                    lines.append(line)
    for group in by_setting(run for run in runs if shows(run)):
        first: Any = group[0]
        errors = [run.result["test_error"] for run in group]
        spread = statistics.stdev(errors) if len(errors) > 1 else math.nan
        size = first.model["parameters"]
        kin = family(first.recipe.model, first.recipe.dropout)
        where = variant(first), f"{first.profile}, {first.recipe.total_epochs} epochs"
        mean = statistics.fmean(errors)
        lines.append(("ours", kin, label(first), size, mean, spread, len(errors), *where))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _printed(millions: str) -> int:
    """Parameters as the paper prints them, such as "36M"."""
    return round(float(millions.removesuffix("M")) * 1e6)
