"""Two networks of the shortest-path task beside each other, as the paper's claims want it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from softshare import paper
from softshare.recipe import PATHS, Recipe
from softshare.records import Run
from softshare.records.naming import label
from softshare.results.curriculum import by_phase, spread
from softshare.results.difference import LEVEL, interval, paired, welch
from softshare.wording import p_value

Curve = list[list[float]]
"""F1 after each epoch of each phase."""

_AFTER_ONE = "after the first epoch of a new phase"
_MEASURES: dict[str, Callable[[Curve], float]] = {
    "at the end of the last phase": lambda curve: curve[-1][-1],
    "after the very first epoch": lambda curve: curve[0][0],
    "averaged over the first phase": lambda curve: statistics.mean(curve[0]),
    _AFTER_ONE: lambda curve: statistics.mean(phase[0] for phase in curve[1:]),
}
CLAIMS = {  # by their names in data/paper.json, which says of which two networks
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


@dataclass(frozen=True)
class Comparison:
    """One measure of the curves of two networks, and whether it tells them apart.

    Attributes:
        models: the two, in words.
        measure: what was measured.
        ahead: of the network that the paper puts first, one number a seed.
        behind: of the other.
        by_seed: whether the two have the same seeds, in the same order.
    """

    models: str
    measure: str
    ahead: list[float]
    behind: list[float]
    by_seed: bool = False

    @property
    def p(self) -> float | None:
        """By `welch`; None where a network has one run."""
        several = min(len(self.ahead), len(self.behind)) > 1
        return welch(self.ahead, self.behind) if several else None

    @property
    def p_paired(self) -> float | None:
        """By `paired`; None where a network has one run, or other seeds than the other has."""
        several = self.by_seed and len(self.ahead) > 1
        return paired(self.ahead, self.behind) if several else None

    @property
    def short(self) -> str:
        """Models, measure, means, verdict and p."""
        chance = "" if self.p is None else f" (p {p_value(self.p)})"
        return (
            f"{self.models} {self.measure} {spread(self.ahead)} against {spread(self.behind)}, "
            f"**{verdict(self.ahead, self.behind)}**{chance}"
        )

    def __str__(self) -> str:
        text = (
            f"{self.measure} {spread(self.ahead)} (n = {len(self.ahead)}) against "
            f"{spread(self.behind)} (n = {len(self.behind)}), "
            f"**{verdict(self.ahead, self.behind)}**"
        )
        if self.p is None:
            return text
        low, high = (f"{round(x, 3) + 0.0:+.3f}" for x in interval(self.ahead, self.behind))
        again = "" if self.p_paired is None else f", by seed p {p_value(self.p_paired)}"
        return f"{text} (p {p_value(self.p)}{again}; the difference lies between {low} and {high})"


def comparisons(runs: Sequence[Run], metric: str) -> dict[str, list[Comparison]]:
    """Of each claim, as far as both its networks have runs."""
    curves: dict[str, dict[int, Curve]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        curves.setdefault(run.recipe.model, {})[run.seed] = by_phase(run, metric)
    found: dict[str, list[Comparison]] = {name: [] for name in CLAIMS}
    for name, (_, measures) in CLAIMS.items():
        models = paper.value(f"figures/figure5/{name}")
        if not all(model in curves for model in models):
            continue
        both = [curves[model] for model in models]
        one_phase = any(len(curve) < 2 for each in both for curve in each.values())
        by_seed = list(both[0]) == list(both[1])
        words = " against ".join(names(models))
        for measure in measures:
            if measure != _AFTER_ONE or not one_phase:
                ahead, behind = (list(map(_MEASURES[measure], each.values())) for each in both)
                found[name].append(Comparison(words, measure, ahead, behind, by_seed))
    return found


def names(models: Sequence[str]) -> list[str]:
    return [label(Recipe(model, PATHS)) for model in models]
