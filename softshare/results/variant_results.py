"""What the variants of Appendix B came to, in numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softshare import paper
from softshare.paper.matching import kind
from softshare.records import Run
from softshare.results import rates
from softshare.results.comparable import setting
from softshare.results.difference import difference
from softshare.results.variants import REFERENCE, rows, variant

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("variant", "width", "trained on", "profile", "epochs", "n", "error", "spread"),
    *("difference", "s.e.", "here", "the paper", "verdict", "start", "end"),
)
_COMPARABLE = ("cifar10", "cifar100")


def results(runs: Sequence[Run]) -> pd.DataFrame:
    r"""A row for each variant and setting, against the orthogonal start trained alike.

    Returns:
        `width`, the widening factor; `error`, mean over `n` seeds, in per cent, and `spread`,
        their standard deviation; `difference` from the reference, its `s.e.` and what is seen
        `here`, by `softshare.results.difference`; what `the paper` says, and the `verdict` on it,
        for its own schedule on CIFAR alone; `start` and `end`, the mean of
        :math:`\|\alpha_i\|^2`, by `softshare.results.rates`.

    Example:
        >>> results([]).empty
        True
    """
    import pandas as pd

    lines = [_line(name, groups) for groups in by_variant(runs) for name in groups]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def judged(said: str, here: str) -> str:
    """The verdict on the paper's word, ``similar`` or ``worse``.

    Too few runs leave a difference unseen; that bears out neither.

    Example:
        >>> [judged("worse", here) for here in ("worse", "not told apart", "better")]
        ['agrees', 'undecided', 'disagrees']
        >>> [judged("similar", here) for here in ("worse", "not told apart", "better")]
        ['disagrees', 'no difference seen', 'disagrees']
    """
    if here == "not told apart":
        return "no difference seen" if said == "similar" else "undecided"
    return "agrees" if here == said else "disagrees"


def by_variant(runs: Sequence[Run]) -> list[dict[str, list[Run]]]:
    """The runs of each variant, by setting, in the order of the variants."""
    settings: dict[Any, dict[str, list[Run]]] = {}
    for run in runs:
        if name := variant(run):
            settings.setdefault(setting(run), {}).setdefault(name, []).append(run)
    names = [row["row"] for row in rows()]
    return [{name: g[name] for name in names if name in g} for g in settings.values()]


def own_rate(runs: Sequence[Run]) -> tuple[float, float]:
    """The factor on a weight's own rate at the start and at the end, mean over layers."""
    found = rates.table(runs).groupby("epoch")["own"].mean()
    return (found.iloc[0], found.iloc[-1]) if len(found) else (math.nan, math.nan)


def is_the_papers(run: Run) -> bool:
    """Whether a run was trained on the paper's schedule, on a set that it may have used."""
    return run.profile == "paper" and run.data["name"] in _COMPARABLE and not _shortened(run)


def _line(name: str, groups: dict[str, list[Run]]) -> dict[str, Any]:
    runs, reference = groups[name], groups.get(REFERENCE)
    first, errors, said = runs[0], [run.test_error for run in runs], _said(name)
    start, end = own_rate(runs)
    line = {
        "variant": name,
        "width": kind(first.recipe.model)[1],
        "trained on": first.data["name"],
        "profile": first.profile,
        "epochs": first.recipe.total_epochs,
        "n": len(runs),
        "error": statistics.fmean(errors),
        "spread": statistics.stdev(errors) if len(errors) > 1 else math.nan,
        "difference": math.nan,
        "s.e.": math.nan,
        "here": "",
        "the paper": said,
        "verdict": "not comparable" if said else "",
        "start": start,
        "end": end,
    }
    if reference and name != REFERENCE:
        apart = difference(runs, reference)
        line |= {"difference": apart.points, "s.e.": apart.error, "here": apart.seen}
        if said and is_the_papers(first):
            line["verdict"] = judged(said, apart.seen)
    return line


def _said(name: str) -> str:
    """What Appendix B says of a start against the orthogonal one."""
    for said, path in (("similar", "text/inits_alike"), ("worse", "text/inits_worse")):
        if name in paper.value(path):
            return said
    return ""


def _shortened(run: Run) -> bool:
    return run.recipe.total_epochs != paper.value("settings/cifar/epochs")
