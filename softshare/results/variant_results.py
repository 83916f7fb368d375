"""What the variants of Appendix B came to, in numbers and computed sentences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softshare import paper
from softshare.records import Run
from softshare.records.naming import label
from softshare.results import rates
from softshare.results.difference import difference, seen, uncertainty
from softshare.results.findings import alike, setting
from softshare.results.variants import PLAIN, REFERENCE, rows, variant

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("variant", "trained on", "profile", "epochs", "n", "error", "spread"),
    *("difference", "uncertainty", "here", "the paper", "verdict", "start", "end"),
)
_COMPARABLE = ("cifar10", "cifar100")


def results(runs: Sequence[Run]) -> pd.DataFrame:
    r"""A row for each variant and setting, against the orthogonal start trained alike.

    Returns:
        `error`, mean over `n` seeds, in per cent, and `spread`, their standard deviation;
        `difference` from the reference, its `uncertainty` and what is seen `here`, by
        `softshare.results.difference`; what `the paper` says, and the `verdict` on it, for its
        own schedule on CIFAR alone; `start` and `end`, the mean of :math:`\|\alpha_i\|^2`, by
        `softshare.results.rates`.

    Example:
        >>> results([]).empty
        True
    """
    import pandas as pd

    settings: dict[Any, dict[str, list[Run]]] = {}
    for run in runs:
        if name := variant(run):
            settings.setdefault(setting(run), {}).setdefault(name, []).append(run)
    lines = [
        _line(row["row"], groups)
        for groups in settings.values()
        for row in rows()
        if row["row"] in groups
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def judged(said: str, here: str) -> str:
    """The verdict on the paper's word, ``similar`` or ``worse``.

    Too few runs leave a difference unseen; that agrees with ``similar`` and decides nothing of
    ``worse``.

    Example:
        >>> [judged("worse", here) for here in ("worse", "not told apart", "better")]
        ['agrees', 'undecided', 'disagrees']
    """
    if said == "similar":
        return "agrees" if here == "not told apart" else "disagrees"
    return {"worse": "agrees", "better": "disagrees"}.get(here, "undecided")


def variant_sentences(runs: Sequence[Run]) -> list[str]:
    """What the runs that may be set beside each other say of the paper's words and the control."""
    groups: dict[str, list[Run]] = {}
    for run in alike([run for run in runs if variant(run)]):
        groups.setdefault(str(variant(run)), []).append(run)
    if REFERENCE not in groups:
        return ["No network of Appendix B with the orthogonal start is recorded yet."]
    first = groups[REFERENCE][0]
    lines = [
        f"{label(first)} started orthogonally: {_error(groups[REFERENCE])} ({first.data['name']}, "
        f"{first.recipe.total_epochs} epochs, profile {first.profile})."
    ]
    for name, words in {"inits_alike": "work as well", "inits_worse": "work worse"}.items():
        found = [init for init in paper.value(f"text/{name}") if init in groups]
        told = "; ".join(f"{init} {_against(groups, init, REFERENCE)}" for init in found)
        if told:
            lines.append(f"Starts that the paper says {words}: {told}.")
    lines += _control(groups)
    if not _is_the_papers(first):
        lines.append("That is not the paper's setting: it can hint at its words, not settle them.")
    return lines


def _control(groups: dict[str, list[Run]]) -> list[str]:
    """What is left of sharing where the rate is matched, and what rounding alone comes to."""
    lines = []
    if {PLAIN, "fixed"} <= set(groups):
        lines.append(
            "Fixed orthogonal coefficients train the network without sharing in other "
            f"coordinates: {_error(groups['fixed'])} where that has {_error(groups[PLAIN])}. They "
            "part by rounding, which grows from step to step, so that what they differ by is the "
            "measure of all other differences here."
        )
    free = groups[REFERENCE]
    grown = _own_rate(free)
    lines.append(
        f"Trained freely, the coefficients bring the factor on a weight's own rate from "
        f"{grown[0]:.2f} to {grown[1]:.2f}."
    )
    if {PLAIN, "unit"} <= set(groups):
        lines.append(
            f"Against the network without sharing, free coefficients: "
            f"{_against(groups, REFERENCE, PLAIN)}; with the rate matched: "
            f"{_against(groups, 'unit', PLAIN)}. Matched against free: "
            f"{_against(groups, 'unit', REFERENCE)}."
        )
    return lines


def _line(name: str, groups: dict[str, list[Run]]) -> dict[str, Any]:
    runs, reference = groups[name], groups.get(REFERENCE)
    first, errors, said = runs[0], [run.test_error for run in runs], _said(name)
    start, end = _own_rate(runs)
    line = {
        "variant": name,
        "trained on": first.data["name"],
        "profile": first.profile,
        "epochs": first.recipe.total_epochs,
        "n": len(runs),
        "error": statistics.fmean(errors),
        "spread": statistics.stdev(errors) if len(errors) > 1 else math.nan,
        "difference": math.nan,
        "uncertainty": math.nan,
        "here": "",
        "the paper": said,
        "verdict": "not comparable" if said else "",
        "start": start,
        "end": end,
    }
    if reference and name != REFERENCE:
        apart, error = difference(runs, reference), uncertainty(runs, reference)
        here = seen(apart, error)
        line |= {"difference": apart, "uncertainty": error, "here": here}
        if said and _is_the_papers(first):
            line["verdict"] = judged(said, here)
    return line


def _own_rate(runs: Sequence[Run]) -> tuple[float, float]:
    """The factor on a weight's own rate at the start and at the end, mean over layers."""
    found = rates.table(runs).groupby("epoch")["own"].mean()
    return (found.iloc[0], found.iloc[-1]) if len(found) else (math.nan, math.nan)


def _said(name: str) -> str:
    """What Appendix B says of a start against the orthogonal one."""
    for said, path in (("similar", "text/inits_alike"), ("worse", "text/inits_worse")):
        if name in paper.value(path):
            return said
    return ""


def _is_the_papers(run: Run) -> bool:
    return run.profile == "paper" and run.data["name"] in _COMPARABLE and not _shortened(run)


def _shortened(run: Run) -> bool:
    return run.recipe.total_epochs != paper.value("settings/cifar/epochs")


def _against(groups: dict[str, list[Run]], name: str, other: str) -> str:
    ours, others = groups[name], groups[other]
    apart, error = difference(ours, others), uncertainty(ours, others)
    return f"{apart:+.2f} ± {error:.2f} points ({seen(apart, error)})"


def _error(runs: Sequence[Run]) -> str:
    errors = [run.test_error for run in runs]
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{statistics.fmean(errors):.2f}{spread} % (n = {len(errors)})"
