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
        A row for each model and profile, with ``seeds`` and a column for each phase.

    Raises:
        ValueError: no runs.
    """
    import pandas as pd

    if not runs:
        raise ValueError("Scores by phase need at least one run; got none.")
    lines = []
    for run in runs:
        scores = {}
        for phase in dict.fromkeys(run.curves["phase"]):
            pairs = zip(run.curves["phase"], run.curves["f1"], strict=True)
            scores[f"phase {phase}"] = [f1 for p, f1 in pairs if p == phase][epoch]
        setting = {
            "model": run.recipe.model.upper(),
            "profile": run.profile,
            "epochs a phase": run.recipe.epochs,
        }
        lines.append(setting | {"seeds": run.seed} | scores)
    keys = ["model", "profile", "epochs a phase"]
    grouped = pd.DataFrame(lines).groupby(keys, sort=False)
    means = grouped.mean(numeric_only=True)
    means["seeds"] = grouped["seeds"].nunique()
    return means.reset_index()
