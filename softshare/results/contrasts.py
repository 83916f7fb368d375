"""Soft-shared networks against their twins: how far apart their errors are, and the paper's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softshare.paper.file import read
from softshare.paper.matching import data_set, kind, place
from softshare.recipe import PROFILES
from softshare.records import Run
from softshare.records.naming import label
from softshare.results.comparable import setting
from softshare.results.difference import difference

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("shared", "against", "trained on", "profile", "epochs", "n", "ours", "s.e."),
    *("p", "here", "pair in the paper", "paper"),
)


def contrasts(runs: Sequence[Run], table: str) -> pd.DataFrame:
    """Every soft-shared network against its twins, trained alike.

    The twins of SWRN L-w-k are the plain WRN L-w, and SWRN L-w with as many templates as layers.

    Args:
        runs: runs of a table.
        table: ``table1`` to ``table4``.

    Returns:
        A row a pair, the best profile first, then the widest networks, then the longest training:
        `n`, runs of the one and the other; `ours`, the difference of our mean errors, negative
        where the shared one errs less, its `s.e.`, its `p` and what is seen `here`, by
        `softshare.results.difference`; `pair in the paper`, the rows of one width that they are or
        stand in for, with a mark where the second is quoted, and `paper`, the difference of the
        errors printed there.

    Example:
        >>> contrasts([], "table1").empty
        True
    """
    import pandas as pd

    sets: dict[Any, dict[str, list[Run]]] = {}
    for run in runs:
        sets.setdefault(setting(run), {}).setdefault(label(run), []).append(run)
    lines = []
    for models in sorted(sets.values(), key=_rank):
        for name, shared in models.items():
            twins = [twin for twin in _twins(name) if twin in models]
            lines += [_contrast(table, name, shared, twin, models[twin]) for twin in twins]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _rank(models: dict[str, list[Run]]) -> tuple[int, int, int]:
    run = next(iter(models.values()))[0]
    return PROFILES.index(run.profile), -kind(run.recipe.model)[1], -run.recipe.total_epochs


def _twins(name: str) -> list[str]:
    """Of SWRN L-w-k: WRN L-w without sharing, and SWRN L-w with all its templates."""
    if not name.startswith("SWRN"):
        return []
    star = "*" if name.endswith("*") else ""
    full = "-".join(name.removesuffix("*").split("-")[:2]) + star
    return [full.removeprefix("S"), full] if full != name else [full.removeprefix("S")]


def _contrast(
    table: str, name: str, shared: list[Run], twin: str, others: list[Run]
) -> dict[str, Any]:
    apart = difference(shared, others)
    pair, paper_difference = _printed(table, shared[0], others[0])
    return {
        "shared": name,
        "against": twin,
        "trained on": shared[0].data["name"],
        "profile": shared[0].profile,
        "epochs": shared[0].recipe.total_epochs,
        "n": f"{len(shared)} and {len(others)}",
        "ours": apart.points,
        "s.e.": apart.error,
        "p": apart.p,
        "here": apart.seen,
        "pair in the paper": pair,
        "paper": paper_difference,
    }


def _printed(table: str, shared: Run, twin: Run) -> tuple[str, float]:
    """The paper's rows for a pair, if both are of one width, and the difference of their errors."""
    tables = read()[0]["tables"]
    places = [place(run, table, tables) for run in (shared, twin)]
    ours, other = (found.row if found else None for found in places)
    if not ours or not other or kind(ours["model"])[1] != kind(other["model"])[1]:
        return "", math.nan
    columns = tables[table]["columns"].items()
    printed = {about["data"]: key for key, about in columns if about["metric"] == "test_error"}
    data = data_set(shared) if data_set(shared) in printed else "cifar10"
    difference = ours["values"][printed[data]] - other["values"][printed[data]]
    quoted = " (quoted)" if other["quoted"] else ""
    return f"{ours['row']} against {other['row']}{quoted} on {data}", difference
