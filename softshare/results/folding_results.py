"""What folding cost the recorded networks, in numbers and computed sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from softshare.explorer.states import chance
from softshare.explorer.words import number
from softshare.paper import value
from softshare.records import Run
from softshare.records.naming import label
from softshare.records.provenance import plural
from softshare.results.foremost import foremost

if TYPE_CHECKING:
    import pandas as pd

AGAIN = "_recalibrated"
COLUMNS = (
    *("network", "trained on", "profile", "seed", "threshold", "chance", "parameters", "share"),
    *("metric", "unfolded", "folded", "recalibrated", "cost", "cost recalibrated"),
)


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each measured folding.

    Returns:
        `threshold`; `chance`, the chance level of the group where it is highest; `parameters`,
        and `share` of the unfolded network's; the score `unfolded`, `folded` and, with batch
        statistics estimated anew, `recalibrated`; `cost` of both in points: hundredths, positive
        where folding made it worse.

    Example:
        >>> table([]).empty
        True
    """
    import pandas as pd

    lines = []
    for run in runs:
        for folded in run.folded:
            scores = [folded[run.metric], folded[run.metric + AGAIN]]
            lines.append(
                (
                    *(label(run), run.data["name"], run.profile, run.seed),
                    *(folded["threshold"], chance_of(run), int(folded["parameters"])),
                    folded["parameters"] / run.model["parameters"],
                    *(run.metric, run.result[run.metric], *scores),
                    *(cost(run, score) for score in scores),
                )
            )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def cost(run: Run, score: float) -> float:
    """How many points worse a score is than that of the unfolded network."""
    worse = score - run.result[run.metric]
    return worse if run.metric == "test_error" else -100 * worse


def furthest(run: Run, points: float, end: str = "") -> Mapping[str, float] | None:
    """The smallest folding that costs at most so many points; None where each costs more.

    Args:
        run: with measured foldings.
        points: the bound.
        end: ``_recalibrated`` for the score with batch statistics estimated anew.
    """
    cheap = [line for line in run.folded if cost(run, line[run.metric + end]) <= points + 1e-9]
    return min(cheap, key=lambda line: line["parameters"], default=None)


def summary(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each soft-shared run: how far it folds within the paper's 0.3 points (Figure 6)."""
    import pandas as pd

    bound = value("figures/figure6/error_increase")
    lines = []
    for run in runs:
        if not run.coefficients:
            continue
        line = {
            "network": label(run),
            "trained on": run.data["name"],
            "profile": run.profile,
            "seed": run.seed,
            "chance": chance_of(run),
            "unfolded": run.result[run.metric],
            "parameters": number(run.model["parameters"]),
        }
        for name, end in (("folded", ""), ("recalibrated", AGAIN)):
            best = furthest(run, bound, end)
            line[f"{name}, threshold"] = f"{best['threshold']:.3f}" if best else _none(run)
            line[f"{name}, parameters"] = number(int(best["parameters"])) if best else ""
        lines.append(line)
    return pd.DataFrame(lines)


def sentences(runs: Sequence[Run]) -> list[str]:
    """What the measured foldings of the foremost runs say, and beside every threshold chance."""
    bound = value("figures/figure6/error_increase")
    told = foremost(runs)
    lines = [_sentence(run, bound) for run in told if run.coefficients]
    lines += [_tuned(run, runs) for run in told if run.recipe.tune]
    if left := len(runs) - len(told):
        what = "demonstrations or shorter trainings; the table above has them"
        lines.append(f"Left out here: {plural(left, 'run')}, {what}.")
    return lines or ["No soft-shared network is recorded yet."]


def chance_of(run: Run) -> float:
    """The chance level of a run's group where it is highest."""
    shapes = {(len(rows), len(rows[0])) for rows in _last(run).values()}
    return max(chance(*shape, run.recipe.init) for shape in shapes)


def _sentence(run: Run, bound: float) -> str:
    level, whole = chance_of(run), run.model["parameters"]
    name = f"{label(run)} ({run.data['name']}, {run.recipe.total_epochs} epochs, seed {run.seed})"
    if not run.folded:
        return f"{name}: what folding costs is not measured. Chance level {level:.2f}."
    text = f"{name}: "
    for end, how in (("", "as it is"), (AGAIN, "with batch statistics estimated anew")):
        best = furthest(run, bound, end)
        saved = 1 - best["parameters"] / whole if best else 0.0
        if best is None or saved < 5e-4:
            first = next((x for x in run.folded if x["parameters"] < 0.9995 * whole), None)
            if first is None:
                return f"{name}: no folding makes it smaller. Chance level {level:.2f}."
            text += (
                f"{how}, the first folding that saves anything, at threshold "
                f"{first['threshold']:.3f}, costs {cost(run, first[run.metric + end]):.2f} points; "
            )
        else:
            place = "above" if best["threshold"] > level + 1e-6 else "not above"
            text += (
                f"{how}, it folds to {number(int(best['parameters']))} of {number(whole)} "
                f"parameters ({100 * saved:.1f} % fewer) for at most {bound:g} points, at "
                f"threshold {best['threshold']:.3f}, {place} the chance level; "
            )
    return f"{text}chance level {level:.2f}."


def _tuned(run: Run, runs: Sequence[Run]) -> str:
    """What training on after folding gave, beside the network before it and right after it."""
    text = (
        f"{label(run)} ({run.data['name']}, seed {run.seed}): {_score(run)} with "
        f"{number(run.model['parameters'])} parameters"
    )
    base = next((other for other in runs if other.recipe == run.recipe.base), None)
    if base is None:
        return f"{text}; the network it was folded from is not among these runs."
    text += f"; unfolded {_score(base)} with {number(base.model['parameters'])}"
    near = [line for line in base.folded if line["threshold"] >= run.recipe.fold - 1e-6]
    if near:
        text += f"; folded and not tuned {_score(base, near[-1][base.metric])}"
    return f"{text}. Chance level {chance_of(base):.2f}."


def _score(run: Run, value: float | None = None) -> str:
    score = run.result[run.metric] if value is None else value
    return f"{score:.2f} %" if run.metric == "test_error" else f"F1 {score:.3f}"


def _none(run: Run) -> str:
    return "costs more" if run.folded else "not measured"


def _last(run: Run) -> Mapping[str, Sequence[Sequence[float]]]:
    return list(run.coefficients.values())[-1]
