"""What the curves of the shortest-path task say, phase by phase (Section 4.4)."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from softshare.records import Run
from softshare.records.naming import label
from softshare.results.patterns import brightness
from softshare.wording import plural, thousands

if TYPE_CHECKING:
    import pandas as pd


RECALIBRATED = "f1_recalibrated"
"""The curve of F1 with batch normalisation estimated anew from training examples."""

ANEW = "batch normalisation estimated anew"

_COLLAPSE = 0.3


def steadiest(runs: Sequence[Run]) -> str:
    """The curve to compare networks by: `RECALIBRATED` where all runs have it, else ``f1``.

    The running averages of batch normalisation trail behind weights that a learning rate of 0.01
    moves a long way each step. F1 after a single step then says more about that step than about
    the network.
    """
    return RECALIBRATED if runs and all(RECALIBRATED in run.curves for run in runs) else "f1"


def phase_scores(runs: Sequence[Run], epoch: int = -1, metric: str | None = None) -> pd.DataFrame:
    """F1 of each model in each phase, as mean and standard deviation over its seeds.

    Args:
        runs: runs of the task, all with as many epochs a phase.
        epoch: which epoch of the phase, counted from 0, or from the end if negative. The first
            tells how fast a model adapts to harder examples, the last how far it gets.
        metric: name of the curve. Default: the `steadiest`.

    Returns:
        A row for each model and profile: ``F1``, which of the two curves; ``seeds``; and a column
        of text for each phase. Empty without runs.

    Raises:
        ValueError: an epoch that a phase does not have.

    Example:
        >>> from softshare.recipe import Recipe
        >>> curves = {"phase": [1, 1, 2, 2], "f1": [0.2, 0.6, 0.4, 0.8]}
        >>> run = Run(Recipe("scnn", "shortest-paths", epochs=2, phases=2), curves=curves)
        >>> print(phase_scores([run], epoch=0).to_string(index=False))
        model profile  epochs a phase          F1  seeds phase 1 phase 2
         SCNN   paper               2 as it stood      1   0.200   0.400
    """
    import pandas as pd

    metric = metric or steadiest(runs)
    found: dict[tuple[str, str, int], list[list[float]]] = {}
    for run in runs:
        if not -run.recipe.epochs <= epoch < run.recipe.epochs:
            raise ValueError(
                f"A phase of {run.recipe.model} has {run.recipe.epochs} epochs, counted from 0; "
                f"got epoch {epoch}."
            )
        key = run.recipe.model.upper(), run.profile, run.recipe.epochs
        found.setdefault(key, []).append([f1[epoch] for f1 in by_phase(run, metric)])
    keys = ("model", "profile", "epochs a phase")
    lines = [
        dict(zip(keys, key, strict=True))
        | {"F1": "as it stood" if metric == "f1" else "batch norm. anew", "seeds": len(scores)}
        | {f"phase {i}": spread(each) for i, each in enumerate(zip(*scores, strict=True), 1)}
        for key, scores in found.items()
    ]
    return pd.DataFrame(lines, columns=None if lines else [*keys, "F1", "seeds"])


def by_phase(run: Run, metric: str = "f1") -> list[list[float]]:
    """F1 after each epoch of each phase."""
    scores: dict[int, list[float]] = {}
    for phase, f1 in zip(run.curves["phase"], run.curves[metric], strict=True):
        scores.setdefault(phase, []).append(f1)
    return list(scores.values())


def curve_sentences(runs: Sequence[Run]) -> list[str]:
    """Who leads at the end of the curriculum, and who adapts fastest when a phase begins."""
    if not runs:
        return ["No run of the shortest-path task is recorded yet."]
    metric = steadiest(runs)
    name = "F1" if metric == "f1" else f"F1, {ANEW},"
    lines = [
        f"F1 at the end of the last phase: {_by_model(runs, lambda run: run.f1)}.",
        *_falls(runs),
    ]
    if metric != "f1":
        lines.append(
            f"{name} at the end of the last phase: "
            f"{_by_model(runs, lambda run: run.curves[metric][-1])}. Nothing but the running "
            "averages differs from F1 as it stood: they trail behind weights that every step "
            "moves far. What follows is therefore told by this second curve."
        )
    lines += [
        f"{name} averaged over all epochs: "
        f"{_by_model(runs, lambda run: statistics.mean(run.curves[metric]))}.",
        f"{name} after the very first epoch: {_by_model(runs, lambda run: run.curves[metric][0])}.",
    ]
    if all(len(by_phase(run)) > 1 for run in runs):
        lines.append(
            f"{name} after the first epoch of a new phase, mean over phases 2 on: "
            + _by_model(runs, lambda run: statistics.mean(f[0] for f in by_phase(run, metric)[1:]))
            + "."
        )
    if shared := [run for run in runs if run.coefficients]:
        each = _by_model(shared, lambda run: brightness(run.lsm()["body"]))
        lines.append(f"Mean off-diagonal similarity at the end: {each}.")
    for model in dict.fromkeys(label(run) for run in runs):
        if words := folded_whole([run for run in runs if label(run) == model], metric):
            lines.append(f"{name} of {model} with all its layers folded into one: {words}.")
    left_over = {r.examples % r.batch_size for r in (run.recipe for run in runs)} - {0}
    if left_over:
        lines.append(
            f"Each epoch of these runs ends with a partial batch of {max(left_over)} examples, "
            "which can throw the running averages of batch normalisation off just before F1 is "
            "measured: part of the jumps may be the choice of batch size, not the networks'."
        )
    return lines


def folded_whole(runs: Sequence[Run], metric: str) -> str:
    """F1 of runs of one model before and after all their layers are folded into one.

    Returns:
        Words, empty where it was not measured.
    """
    found = [run for run in runs if run.folded and metric in run.folded[0]]
    if not found:
        return ""
    ends = [min(run.folded, key=lambda line: line["threshold"]) for run in found]
    later = Counter(run.origin["folded"] for run in found if "folded" in run.origin)
    return (
        f"{thousands(int(ends[0]['parameters']))} of {thousands(found[0].model['parameters'])} "
        f"parameters, {spread([run.curves[metric][-1] for run in found])} before and "
        f"{spread([end[metric] for end in ends])} after (n = {len(found)}"
        + "".join(f", {n} of them measured {how}" for how, n in later.items())
        + ")"
    )


def spread(found: Sequence[float]) -> str:
    """Mean and standard deviation.

    Example:
        >>> spread([0.5]), spread([0.4, 0.6])
        ('0.500', '0.500 ± 0.141')
    """
    mean = f"{statistics.mean(found):.3f}"
    return mean if len(found) == 1 else f"{mean} ± {statistics.stdev(found):.3f}"


def _by_model(runs: Sequence[Run], of: Callable[[Run], float]) -> str:
    """A quantity of each model, mean and standard deviation over seeds, largest first."""
    values: dict[str, list[float]] = {}
    for run in runs:
        values.setdefault(label(run), []).append(of(run))
    ordered = sorted(values.items(), key=lambda item: -statistics.mean(item[1]))
    return ", ".join(
        f"{model} {spread(found)}" + (f" (n = {len(found)})" if len(found) > 1 else "")
        for model, found in ordered
    )


def _falls(runs: Sequence[Run]) -> list[str]:
    """How often F1 as training left it collapses while the phase stays the same."""
    falls = [(run, epoch) for run in runs for epoch in _fallen(run)]
    if not falls:
        return []
    counts = Counter(label(run) for run, _ in falls)
    last = [f"{label(run)}, seed {run.seed}" for run, e in falls if e == run.recipe.total_epochs]
    return [
        f"Inside a phase this F1 fell by more than {_COLLAPSE} from one epoch to the next "
        f"{plural(len(falls), 'time')} in {plural(len(runs), 'run')} "
        f"({', '.join(f'{model} {count}' for model, count in counts.most_common())}), "
        f"{'in the very last epoch of ' + ' and '.join(last) if last else 'never in the last'}; no "
        "epoch was chosen."
    ]


def _fallen(run: Run) -> list[int]:
    f1, phase = run.curves["f1"], run.curves["phase"]
    return [
        run.curves["epoch"][i]
        for i in range(1, len(f1))
        if phase[i] == phase[i - 1] and f1[i] < f1[i - 1] - _COLLAPSE
    ]
