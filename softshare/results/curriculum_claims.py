"""What the paper reads off its curves of F1 (Section 4.4), and what ours say."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from softshare import paper
from softshare.recipe import PATHS, Recipe
from softshare.records import Run
from softshare.records.naming import label
from softshare.results.curriculum import ANEW, by_phase, folded_whole, spread, steadiest
from softshare.results.difference import BY_CHANCE, LEVEL, interval, welch
from softshare.wording import p_value, plural

Curve = list[list[float]]
"""F1 after each epoch of each phase."""

_AFTER_ONE = "after the first epoch of a new phase"
_MEASURES: dict[str, Callable[[Curve], float]] = {
    "at the end of the last phase": lambda curve: curve[-1][-1],
    "after the very first epoch": lambda curve: curve[0][0],
    "averaged over the first phase": lambda curve: statistics.mean(curve[0]),
    _AFTER_ONE: lambda curve: statistics.mean(phase[0] for phase in curve[1:]),
}
_ALIKE = 0.99
_CLAIMS = {  # by their names in data/paper.json, which says of which two networks
    "better": ("does better than", ["at the end of the last phase"]),
    "adapts_faster": ("adapts faster to new phases than", [_AFTER_ONE]),
    "first_phase_faster": (
        "learns faster in the first phase than",
        ["after the very first epoch", "averaged over the first phase"],
    ),
    "adapts_better": (
        "adapts better to harder examples than",
        [_AFTER_ONE, "at the end of the last phase"],
    ),
}


def verdict(ahead: Sequence[float], behind: Sequence[float]) -> str:
    """Whether the means of two samples differ, by Welch's t-test at `LEVEL`.

    Of two or three seeds it takes more than two standard errors, as their spread itself is known
    roughly.

    Returns:
        ``seen``, ``the opposite`` or ``not told apart``; with a sample of one, that no spread is
        known.

    Example:
        >>> verdict([0.8, 0.9], [0.1, 0.2]), verdict([0.1, 0.2], [0.8, 0.9])
        ('seen', 'the opposite')
        >>> verdict([0.1, 0.9], [0.2, 0.7]), verdict([0.9], [0.1, 0.2])
        ('not told apart', 'not judged, as one run has no spread')
    """
    if min(len(ahead), len(behind)) < 2:
        return "not judged, as one run has no spread"
    if welch(ahead, behind) >= LEVEL:
        return "not told apart"
    return "seen" if statistics.mean(ahead) > statistics.mean(behind) else "the opposite"


def sentences(runs: Sequence[Run]) -> list[str]:
    """A sentence for each claim: in ours it is seen, the opposite is, or neither can be told.

    Args:
        runs: runs of the task, trained alike.
    """
    if not runs:
        return ["No run of the shortest-path task is recorded yet."]
    metric = steadiest(runs)
    curves: dict[str, list[Curve]] = {}
    for run in runs:
        curves.setdefault(run.recipe.model, []).append(by_phase(run, metric))
    by = "F1" if metric == "f1" else f"F1, {ANEW},"
    lines = [
        *(_sentence(name, curves) for name in _CLAIMS),
        *_recurrent(runs, metric),
        f"All by {by} as mean ± standard deviation over n seeds. *Seen* and *the opposite* are "
        f"what Welch's t-test tells apart at {LEVEL}: of networks that are alike, one comparison "
        f"in {BY_CHANCE} by chance; that there are several is not corrected for. The bounds of "
        f"a difference are those of its {100 * (1 - LEVEL):.0f} % interval.",
    ]
    epochs = paper.value("settings/shortest_paths/epochs")
    if any(run.recipe.epochs != epochs for run in runs):
        lines.append(
            f"These runs had {plural(runs[0].recipe.epochs, 'epoch')} a phase where the paper has "
            f"{epochs}: they can hint at its claims, not settle them."
        )
    return lines


def _recurrent(runs: Sequence[Run], metric: str) -> list[str]:
    """When the layers of a model have become one, and what it costs to make them one."""
    fact = paper.fact("figures/figure5/recurrent")
    (model,) = fact.value
    found = [run for run in runs if run.recipe.model == model and run.coefficients]
    if not found:
        return []
    alike = [
        [int(epoch) for epoch in run.coefficients if run.lsm(int(epoch))["body"].min() >= _ALIKE]
        for run in found
    ]
    ends = [run.recipe.total_epochs for run in found]
    alike = [epochs for epochs, end in zip(alike, ends, strict=True) if end in epochs]
    text = (
        f"The paper: all similarities of {label(found[0])} quickly come to be 1, as in a recurrent "
        f"network ({fact.source}). Ours: all of them {_ALIKE} or more at the end of {len(alike)} "
        f"of {plural(len(found), 'run')}"
    )
    if alike:
        text += f", and already after epoch {max(map(min, alike))} of {min(ends)}"
    text += f", **{'seen' if len(alike) == len(found) else 'not seen'}**"
    if words := folded_whole(found, metric):
        text += f". With all its layers folded into one: {words}"
    return [text + "."]


def _sentence(name: str, curves: dict[str, list[Curve]]) -> str:
    """The claim, then each way to measure it with both networks' numbers."""
    fact = paper.fact(f"figures/figure5/{name}")
    words, measures = _CLAIMS[name]
    models = [label(Recipe(model, PATHS)) for model in fact.value]
    text = f"The paper: {models[0]} {words} {models[1]} ({fact.source}). Ours: "
    if missing := [label(Recipe(model, PATHS)) for model in fact.value if model not in curves]:
        return f"{text}no run of {' or '.join(missing)}."
    parts = []
    for measure in measures:
        both = [curves[model] for model in fact.value]
        if measure == _AFTER_ONE and any(len(curve) < 2 for each in both for curve in each):
            continue
        ahead, behind = ([_MEASURES[measure](curve) for curve in each] for each in both)
        parts.append(
            f"{measure} {spread(ahead)} (n = {len(ahead)}) against {spread(behind)} "
            f"(n = {len(behind)}), **{verdict(ahead, behind)}**"
        )
        if min(len(ahead), len(behind)) > 1:
            low, high = interval(ahead, behind)
            parts[-1] += (
                f" (p {p_value(welch(ahead, behind))}; the difference lies between {low:+.3f} and "
                f"{high:+.3f})"
            )
    return text + ("; ".join(parts) or "no second phase") + "."
