"""What the curves of the shortest-path task say, phase by phase (Section 4.4)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from softshare import paper
from softshare.records import Run
from softshare.records.naming import label
from softshare.records.provenance import plural
from softshare.results.patterns import brightness

if TYPE_CHECKING:
    import pandas as pd


RECALIBRATED = "f1_recalibrated"
"""The curve of F1 with batch normalisation estimated anew from training examples."""

_COLLAPSE = 0.3


def steadiest(runs: Sequence[Run]) -> str:
    """The curve to compare networks by: `RECALIBRATED` where all runs have it, else ``f1``.

    The running averages of batch normalisation trail behind weights that a learning rate of 0.01
    moves a long way each step. F1 after a single step then says more about that step than about
    the network.
    """
    return RECALIBRATED if runs and all(RECALIBRATED in run.curves for run in runs) else "f1"


def phase_scores(runs: Sequence[Run], epoch: int = -1, metric: str | None = None) -> pd.DataFrame:
    """F1 of each model in each phase, as mean over its seeds.

    Args:
        runs: runs of the task, all with as many epochs a phase.
        epoch: which epoch of the phase, counted from 0, or from the end if negative. The first
            tells how fast a model adapts to harder examples, the last how far it gets.
        metric: name of the curve. Default: the `steadiest`.

    Returns:
        A row for each model and profile, with ``seeds`` and a column for each phase; empty
        without runs.

    Raises:
        ValueError: an epoch that a phase does not have.

    Example:
        >>> from softshare.recipe import Recipe
        >>> curves = {"phase": [1, 1, 2, 2], "f1": [0.2, 0.6, 0.4, 0.8]}
        >>> run = Run(Recipe("scnn", "shortest-paths", epochs=2, phases=2), curves=curves)
        >>> print(phase_scores([run], epoch=0).to_string(index=False))
        model profile  epochs a phase  seeds  phase 1  phase 2
         SCNN   paper               2      1      0.2      0.4
    """
    import pandas as pd

    keys = ["model", "profile", "epochs a phase"]
    if not runs:
        return pd.DataFrame(columns=[*keys, "seeds"])
    lines = []
    for run in runs:
        if not -run.recipe.epochs <= epoch < run.recipe.epochs:
            raise ValueError(
                f"A phase of {run.recipe.model} has {run.recipe.epochs} epochs, counted from 0; "
                f"got epoch {epoch}."
            )
        curve = by_phase(run, metric or steadiest(runs))
        scores = {f"phase {i}": f1[epoch] for i, f1 in enumerate(curve, 1)}
        setting = {
            "model": run.recipe.model.upper(),
            "profile": run.profile,
            "epochs a phase": run.recipe.epochs,
        }
        lines.append(setting | {"seeds": run.seed} | scores)
    grouped = pd.DataFrame(lines).groupby(keys, sort=False)
    means = grouped.mean(numeric_only=True)
    means["seeds"] = grouped["seeds"].nunique()
    return means.reset_index()


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
    name = "F1" if metric == "f1" else "F1, batch normalisation estimated anew,"
    lines = [f"F1 at the end of the last phase: {_by_model(runs, lambda run: run.f1)}."]
    if metric != "f1":
        lines += [
            f"{name} at the end of the last phase: "
            f"{_by_model(runs, lambda run: run.curves[metric][-1])}. Nothing but the running "
            "averages differs from the line above: they trail behind weights that every step "
            "moves far. What follows is therefore told by this second curve.",
        ]
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
    for run in runs:
        if run.coefficients:
            lines.append(
                f"Mean off-diagonal similarity of {label(run)}, seed {run.seed}, at the end: "
                f"{brightness(run.lsm()['body']):.2f}."
            )
    lines += [f"{label(run)}, seed {run.seed}: {_falls(run)}" for run in runs if _falls(run)]
    left_over = {r.examples % r.batch_size for r in (run.recipe for run in runs)} - {0}
    if left_over:
        lines.append(
            f"Each epoch of these runs ends with a partial batch of {max(left_over)} examples, "
            "which can throw the running averages of batch normalisation off just before F1 is "
            "measured: part of the jumps may be the choice of batch size, not the networks'."
        )
    epochs = paper.value("settings/shortest_paths/epochs")
    if any(run.recipe.epochs != epochs for run in runs):
        lines.append(
            f"These runs had {plural(runs[0].recipe.epochs, 'epoch')} a phase where the paper has "
            f"{epochs}: they can hint at its claims, not settle them."
        )
    return lines


def _by_model(runs: Sequence[Run], of: Callable[[Run], float]) -> str:
    """A quantity of each model, mean and standard deviation over seeds, largest first."""
    values: dict[str, list[float]] = {}
    for run in runs:
        values.setdefault(label(run), []).append(of(run))
    ordered = sorted(values.items(), key=lambda item: -statistics.mean(item[1]))
    return ", ".join(f"{model} {_spread(found)}" for model, found in ordered)


def _spread(found: Sequence[float]) -> str:
    mean = f"{statistics.mean(found):.3f}"
    if len(found) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(found):.3f} (n = {len(found)})"


def _falls(run: Run) -> str:
    """Epochs in which F1 collapses while the phase stays the same."""
    f1, phase = run.curves["f1"], run.curves["phase"]
    falls = [
        run.curves["epoch"][i]
        for i in range(1, len(f1))
        if phase[i] == phase[i - 1] and f1[i] < f1[i - 1] - _COLLAPSE
    ]
    if not falls:
        return ""
    return (
        f"inside a phase, F1 fell by more than {_COLLAPSE} in epoch "
        f"{', '.join(map(str, falls))} of {len(f1)}. A last epoch can be one of these; "
        "no epoch was chosen."
    )
