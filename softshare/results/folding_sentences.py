"""What folding cost the recorded networks, in computed sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from softshare.paper import value
from softshare.records import Run
from softshare.records.naming import full_label, length
from softshare.results import drift
from softshare.results.folding_results import (
    AGAIN,
    FEW,
    chance_of,
    cost,
    furthest,
    saves,
    score,
    threshold,
    unfolded,
)
from softshare.results.foremost import foremost
from softshare.wording import plural, thousands

ODDS = round(1 / (1 - drift.SHARE))
"""One draw in so many goes further than `softshare.results.drift.greatest`."""


def sentences(runs: Sequence[Run]) -> list[str]:
    """What the measured foldings of the foremost runs say, and beside every threshold chance.

    Two kinds of it: the chance level before training, and what a pair of layers reaches in a
    random direction, by `softshare.results.drift.greatest`.
    """
    bound = value("figures/figure6/error_increase")
    told = foremost(runs)
    lines = [_sentence(run, bound) for run in told if run.coefficients]
    if n := sum(bool(run.folded) and not math.isnan(drift.greatest(run)) for run in told):
        lines.append(
            f"{plural(n, 'trained network')} {'was' if n == 1 else 'were'} set beside random "
            f"drift; of networks that nothing else moves, one in {ODDS} still goes beyond it."
        )
    lines += [_tuned(run, runs) for run in told if run.recipe.tune]
    if left := len(runs) - len(told):
        what = "demonstrations or shorter trainings; the table above has them"
        lines.append(f"Left out here: {plural(left, 'run')}, {what}.")
    return lines or ["No soft-shared network is recorded yet."]


def price(run: Run, threshold: float) -> str:
    """A run's score before and after it is folded at a threshold, as far as it was measured."""
    near = [line for line in run.folded if line["threshold"] >= threshold - 1e-6]
    if not near:
        return "what it costs: not measured"
    line, again = near[-1], run.metric + AGAIN
    return (
        f"what it costs: {score(run, unfolded(run))} before and {score(run, line[run.metric])} "
        f"after; with batch statistics estimated anew {score(run, unfolded(run, AGAIN))} before "
        f"and {score(run, line[again])} after"
    )


def _sentence(run: Run, bound: float) -> str:
    level, moved, whole = chance_of(run), drift.greatest(run), run.model["parameters"]
    by_chance = _by_chance(level, moved)
    how_long = f"{length(run.recipe)}, seed {run.seed}"
    name = f"{full_label(run)} ({run.data['name']}, {how_long})"
    if not run.folded:
        return f"{name}: what folding costs is not measured. {by_chance}"
    text = f"{name}: "
    for end, how in (("", "as it is"), (AGAIN, "With batch statistics estimated anew")):
        best = furthest(run, bound, end)
        how += f" ({score(run, unfolded(run, end))} unfolded)"
        if best is None or not saves(run, best):
            first = next((x for x in run.folded if saves(run, x)), None)
            if first is None:
                return f"{name}: no folding saves more than {100 * FEW:g} %. {by_chance}"
            text += (
                f"{how}, the first folding that saves more than {100 * FEW:g} %, at threshold "
                f"{threshold(run, first)}, costs {cost(run, first[run.metric + end], end):.2f} "
                "points. "
            )
        else:
            text += (
                f"{how}, it folds to {thousands(int(best['parameters']))} of {thousands(whole)} "
                f"parameters ({100 * (1 - best['parameters'] / whole):.1f} % fewer) for at most "
                f"{bound:g} points, at threshold {threshold(run, best)}, "
                f"{_place(best['threshold'], level, moved)}. "
            )
    return text + by_chance


def _by_chance(level: float, moved: float) -> str:
    return f"Chance level {level:.2f}" + (
        "." if math.isnan(moved) else f", random drift up to {moved:.2f}."
    )


def _place(threshold: float, level: float, moved: float) -> str:
    """Whether layers are that alike by chance."""
    if threshold <= level + 1e-6:
        return "not above the chance level"
    if threshold <= moved:
        return "which random drift reaches too"
    return f"which random drift reaches in fewer than one draw in {ODDS}"


def _tuned(run: Run, runs: Sequence[Run]) -> str:
    """What training on after folding gave, beside the network before it and right after it."""
    text = (
        f"{full_label(run)} ({run.data['name']}, seed {run.seed}): {score(run, unfolded(run))} "
        f"with {thousands(run.model['parameters'])} parameters, in {run.origin['precision']}"
    )
    base = next((other for other in runs if other.recipe == run.recipe.base), None)
    if base is None:
        return f"{text}; the network it was folded from is not among these runs."
    text += (
        f"; unfolded, after {length(base.recipe)} in "
        f"{base.origin['precision']}, {score(base, unfolded(base))} with "
        f"{thousands(base.model['parameters'])}"
    )
    near = [line for line in base.folded if line["threshold"] >= run.recipe.fold - 1e-6]
    if near:
        text += (
            f"; folded and not tuned {score(base, near[-1][base.metric])}, "
            f"{score(base, near[-1][base.metric + AGAIN])} where batch statistics are estimated "
            "anew, which tuning does as well"
        )
    return f"{text}. {_by_chance(chance_of(base), drift.greatest(base))}"
