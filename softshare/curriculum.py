"""What the curves of the shortest-path task say, phase by phase (Section 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from softshare.records import Run

if TYPE_CHECKING:
    import pandas as pd


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
