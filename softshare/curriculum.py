"""What the curves of the shortest-path task say, phase by phase (Section 4.4)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from softshare import paper
from softshare.naming import label
from softshare.provenance import plural
from softshare.records import Run

if TYPE_CHECKING:
    import pandas as pd


_COLLAPSE = 0.3


def phase_scores(runs: Sequence[Run], epoch: int = -1) -> pd.DataFrame:
    """F1 of each model in each phase, as mean over its seeds.

    Args:
        runs: runs of the task, all with as many epochs a phase.
        epoch: which epoch of the phase, counted from 0, or from the end if negative. The first
            tells how fast a model adapts to harder examples, the last how far it gets.

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
        scores = {f"phase {i}": f1[epoch] for i, f1 in enumerate(by_phase(run), 1)}
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


def by_phase(run: Run) -> list[list[float]]:
    """F1 after each epoch of each phase."""
    scores: dict[int, list[float]] = {}
    for phase, f1 in zip(run.curves["phase"], run.curves["f1"], strict=True):
        scores.setdefault(phase, []).append(f1)
    return list(scores.values())


def curve_sentences(runs: Sequence[Run]) -> list[str]:
    """Who leads at the end of the curriculum, and who adapts fastest when a phase begins."""
    if not runs:
        return ["No run of the shortest-path task is recorded yet."]
    lines = [
        f"F1 at the end of the last phase: {_by_model(runs, lambda run: run.f1)}.",
        "F1 averaged over all epochs: "
        f"{_by_model(runs, lambda run: statistics.mean(run.curves['f1']))}.",
        f"F1 after the very first epoch: {_by_model(runs, lambda run: run.curves['f1'][0])}.",
    ]
    if all(len(by_phase(run)) > 1 for run in runs):
        lines.append(
            "F1 after the first epoch of a new phase, mean over phases 2 on: "
            f"{_by_model(runs, lambda run: statistics.mean(f[0] for f in by_phase(run)[1:]))}."
        )
    for run in runs:
        if run.coefficients:
            S = run.lsm()["body"]
            off = (S.sum() - S.trace()).item() / (S.numel() - len(S))
            lines.append(
                f"Mean off-diagonal similarity of {label(run)}, seed {run.seed}, at the end: "
                f"{off:.2f}."
            )
    lines += [f"{label(run)}, seed {run.seed}: {_falls(run)}" for run in runs if _falls(run)]
    left_over = {r.examples % r.batch_size for r in (run.recipe for run in runs)} - {0}
    if left_over:
        lines.append(
            f"Each epoch of these runs ends with a partial batch of {max(left_over)} examples, "
            "which can throw the running averages of batch normalisation off just before F1 is "
            "measured: part of the jumps may be our choice of batch size, not the networks'. The "
            "recipe has been changed since to batches that divide the examples."
        )
    epochs = paper.value("settings/shortest_paths/epochs")
    if any(run.recipe.epochs != epochs for run in runs):
        lines.append(
            f"These runs had {plural(runs[0].recipe.epochs, 'epoch')} a phase where the paper has "
            f"{epochs}: they can hint at its claims, not settle them."
        )
    return lines


def _by_model(runs: Sequence[Run], of: Callable[[Run], float]) -> str:
    """A quantity of each model, mean over seeds, largest first."""
    values: dict[str, list[float]] = {}
    for run in runs:
        values.setdefault(label(run), []).append(of(run))
    means = {model: statistics.mean(found) for model, found in values.items()}
    return ", ".join(f"{m} {means[m]:.3f}" for m in sorted(means, key=lambda m: -means[m]))


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
