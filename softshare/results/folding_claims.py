"""What the paper says of its folded networks (Figures 4 and 6), and ours folded in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from softshare.explorer.states import State, network
from softshare.folding.program import Program, smallest
from softshare.paper import value
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.naming import label
from softshare.results.folding_results import AGAIN, chance_of, cost

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("network", "folded", "threshold", "chance", "layers", "stage 2 runs"),
    *("cost", "recalibrated"),
)
STAGE = "stage2"  # of which both figures print how it runs


@dataclass(frozen=True)
class Claim:
    """A way to fold for which the paper prints something, and what it prints.

    Attributes:
        how: in words.
        chosen: of a network's states, threshold falling, and its depth: the state so folded.
        layers: as printed; empty where they are not.
        program: of stage 2.
        points: by how much the error rises.
    """

    how: str
    chosen: Callable[[Sequence[State], int], State]
    layers: str
    program: Program
    points: str


def claims(figure: str) -> list[Claim]:
    """The claims of ``figure4`` or ``figure6``.

    Raises:
        ValueError: another figure.

    Example:
        >>> for claim in claims("figure6"):
        ...     print(claim.how, "|", claim.layers, "|", claim.program, "|", claim.points)
        at similarity 0.8 | 40 → 24 | 1 2 2×(3 4) 1 2 3 4 | < +0.30
        onto 24 layers | 40 → 24 | 1 2 2×(3 4) 1 2 3 4 | < +0.30
    """
    if figure == "figure4":
        loop, turns = value("text/fold_stage2_loop"), value("figures/figure4/stage2_iterations")
        return [
            Claim(
                f"stage 2 onto {loop} weights",
                lambda states, depth: next(
                    s for s in states if len(s.foldings[STAGE].ties) <= loop
                ),
                "",
                smallest(list(range(1, loop + 1)) * turns),
                f"{value('text/fold_stage2_error_increase'):+.2f}",
            )
        ]
    if figure != "figure6":
        raise ValueError(f"The paper folds the networks of figure4 and figure6; got {figure!r}.")
    t, fewest = value("figures/figure6/similarity"), value("figures/figure6/folded_layers")
    printed = (
        f"{value('figures/figure6/layers')} → {fewest}",
        smallest(value("figures/figure6/stage2_schedule")),
        f"< {value('figures/figure6/error_increase'):+.2f}",
    )
    return [
        Claim(
            f"at similarity {t:g}",
            lambda states, _: [s for s in states if s.threshold >= t][-1],
            *printed,
        ),
        Claim(
            f"onto {fewest} layers",
            lambda states, depth: next(s for s in states if depth - tied(s) <= fewest),
            *printed,
        ),
    ]


def tied(state: State) -> int:
    """How many layers fewer a folded network has, each tie counted as one layer."""
    return sum(len(f.layers) - len(f.ties) for f in state.foldings.values())


def table(runs: Sequence[Run], figure: str) -> pd.DataFrame:
    """The paper's claims, and below each our networks folded in that way.

    All groups of a network fold at one threshold, also where the paper speaks of a single stage.

    Returns:
        `folded`, the way; `threshold`, at which the network folds so, beside `chance`, the chance
        level of the group where it is highest; `layers` before and after; `stage 2 runs`, its
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
        paper = (f"{label(Recipe(model))}, {data}, the paper's", claim.how, "", "")
        lines.append((*paper, claim.layers, str(claim.program), claim.points, ""))
        for run in (run for run in runs if run.coefficients):
            state, depth = _folded(run, claim), _depth(run)
            costs = [_points(run, state, end) for end in ("", AGAIN)]
            lines.append(
                (
                    *(f"{label(run)}, {run.data['name']}, seed {run.seed}", claim.how),
                    f"{state.threshold:.3f}" if tied(state) else "nothing tied",
                    f"{chance_of(run):.3f}",
                    f"{depth} → {depth - tied(state)}",
                    str(state.foldings[STAGE].program),
                    *("not measured" if points is None else f"{points:+.2f}" for points in costs),
                )
            )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def sentences(runs: Sequence[Run], figure: str) -> list[str]:
    """Whether our networks fold as the paper's did, the chance level beside every threshold."""
    alike: dict[Recipe, list[Run]] = {}
    for run in (run for run in runs if run.coefficients):
        alike.setdefault(replace(run.recipe, seed=0), []).append(run)
    found = [_sentence(each, claim) for claim in claims(figure) for each in alike.values()]
    return found or ["No soft-shared network of this figure is recorded yet."]


def _sentence(runs: Sequence[Run], claim: Claim) -> str:
    """Of runs that differ in their seeds alone."""
    run, n = runs[0], len(runs)
    depth, level = _depth(run), chance_of(run)
    states = [_folded(run, claim) for run in runs]
    many = f"seed {run.seed}" if n == 1 else f"{n} seeds"
    text = (
        f"{label(run)} ({run.data['name']}, {run.recipe.total_epochs} epochs, {many}), folded "
        f"{claim.how}: "
    )
    if not any(map(tied, states)):
        return f"{text}no two layers are that alike (chance level {level:.2f})."
    low = sum(state.threshold <= level + 1e-6 for state in states)
    same = sum(state.foldings[STAGE].program == claim.program for state in states)
    text += (
        f"{_range([depth - tied(s) for s in states], 'd')} of {depth} layers are left, at "
        f"threshold {_range([s.threshold for s in states], '.3f')}, not above the chance level of "
        f"{level:.2f} in {low} of {n}; stage 2 runs as in the paper in {same} of {n}; "
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


def _folded(run: Run, claim: Claim) -> State:
    return claim.chosen(network(run).moments[-1].states, _depth(run))


def _depth(run: Run) -> int:
    return int(run.recipe.model.split("-")[1])


def _points(run: Run, state: State, end: str) -> float | None:
    """What folding costs; None where it is not measured."""
    score = state.measured.get(run.metric + end)
    return None if score is None else cost(run, score)


def _range(values: Sequence[Any], form: str) -> str:
    ends = dict.fromkeys([format(min(values), form), format(max(values), form)])
    return " to ".join(ends)
