"""What the paper says of its folded networks (Figures 4 and 6), and ours folded in the same way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softshare.explorer.states import cut
from softshare.paper import value
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.naming import label, length
from softshare.results import drift
from softshare.results.comparable import by_seed
from softshare.results.folding_results import AGAIN, chance_of, cost
from softshare.results.printed_foldings import STAGE, Claim, Folded, claims, depth, folded
from softshare.wording import seeded

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("network", "folded", "threshold", "chance", "greatest drift", "layers", "stage 2 runs"),
    *("cost", "recalibrated"),
)


def table(runs: Sequence[Run], figure: str) -> pd.DataFrame:
    """The paper's claims, and below each our networks folded in that way.

    A single stage where the paper speaks of one, else all groups of a network at one threshold.

    Returns:
        `folded`, the way; `threshold`, at which the network folds so, beside `chance`, the chance
        level of the group where it is highest, and `greatest drift`, what a pair reaches by random
        drift, by `softshare.results.drift.greatest`; `layers` before and after; `stage 2 runs`, its
        schedule; `cost`, and that with batch statistics estimated anew, `recalibrated`, in points,
        as in `softshare.results.folding_results`.

    Raises:
        ValueError: another figure than ``figure4`` and ``figure6``.
    """
    import pandas as pd

    lines: list[tuple[str, ...]] = []
    asked = claims(figure)
    model, data = (value(f"figures/{figure}/{name}") for name in ("model", "data"))
    for claim in asked:
        paper = (f"{label(Recipe(model))} ({data}, the paper's)", claim.how, "", "")
        lines.append((*paper, "", claim.layers, str(claim.program), claim.points, ""))
        for run in (run for run in runs if run.coefficients):
            state, layers = folded(run, claim), depth(run)
            costs = [_points(run, state, end) for end in ("", AGAIN)]
            lines.append(
                (
                    *(f"{label(run)} ({_trained(run)}, seed {run.seed})", claim.how),
                    _cut(state.threshold) if state.tied else "nothing tied",
                    *(f"{level:.3f}" for level in (chance_of(run), drift.greatest(run))),
                    f"{layers} → {layers - state.tied}",
                    str(state.foldings[STAGE].program),
                    *("not measured" if points is None else f"{points:+.2f}" for points in costs),
                )
            )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def sentences(runs: Sequence[Run], figure: str) -> list[str]:
    """Whether our networks fold as the paper's did, the chance level beside every threshold."""
    networks = by_seed(run for run in runs if run.coefficients)
    found = [_sentence(seeds, claim) for claim in claims(figure) for seeds in networks]
    return found or ["No soft-shared network of this figure is recorded yet."]


def _sentence(runs: Sequence[Run], claim: Claim) -> str:
    """Of runs that differ in their seeds alone."""
    run, n = runs[0], len(runs)
    layers, level = depth(run), chance_of(run)
    states = [folded(run, claim) for run in runs]
    many = seeded([run.seed for run in runs])
    text = f"{label(run)} ({_trained(run)}, {many}), folded {claim.how}: "
    if not any(state.tied for state in states):
        return f"{text}no two layers are that alike (chance level {level:.2f})."
    above = sum(state.threshold > level + 1e-6 for state in states)
    reach = [drift.greatest(run) for run in runs]
    beyond = sum(s.threshold > far for s, far in zip(states, reach, strict=True))
    moved = "" if any(map(math.isnan, reach)) else f" and beyond random drift in {beyond} of {n}"
    same = sum(state.foldings[STAGE].program == claim.program for state in states)
    text += (
        f"{_range([layers - s.tied for s in states], 'd')} of {layers} layers are left, at "
        f"threshold {_range([_cut(s.threshold) for s in states], 's')}, above the chance level of "
        f"{level:.2f} in {above} of {n}{moved}; stage 2 runs as in the paper in {same} of {n}; "
    )
    costs = [
        [_points(*each, end) for each in zip(runs, states, strict=True)] for end in ("", AGAIN)
    ]
    if any(points is None for each in costs for points in each):
        return f"{text}what that costs is not measured."
    plain, again = (_range(each, "+.2f") for each in costs)
    return (
        f"{text}{plain} points where the paper has {claim.points}, {again} with batch statistics "
        "estimated anew."
    )


def _trained(run: Run) -> str:
    return f"{run.data['name']}, {length(run.recipe)}"


def _cut(threshold: float) -> str:
    return cut([threshold], digits=3)[0]


def _points(run: Run, state: Folded, end: str) -> float | None:
    """What folding costs; None where it is not measured."""
    score = state.measured.get(run.metric + end)
    return None if score is None else cost(run, score, end)


def _range(values: Sequence[Any], form: str) -> str:
    ends = dict.fromkeys([format(min(values), form), format(max(values), form)])
    return " to ".join(ends)
