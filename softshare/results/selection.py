"""What choosing the best epoch on the test set would have gained, which this project never does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from softshare.records import Run
from softshare.records.naming import full_label

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("network", "trained on", "profile", "seed", "metric", "last", "best", "gain")


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: its score after the last epoch, its best, and what lies between.

    Args:
        runs: of images or shortest paths; within a curriculum epochs of the last phase count.

    Returns:
        `last`, the run's result; `best`, the best score of any epoch; `gain` in points, 0 or more:
        per cent of error, or hundredths of F1.

    Example:
        >>> from softshare.recipe import Recipe
        >>> errors = {"epoch": [1, 2, 3], "phase": [1, 1, 1], "test_error": [9.0, 7.5, 8.0]}
        >>> run = Run(Recipe("wrn-28-1"), data={"name": "digits"}, curves=errors,
        ...           result={"test_error": 8.0})
        >>> table([run])[["last", "best", "gain"]].values.tolist()
        [[8.0, 7.5, 0.5]]
    """
    import pandas as pd

    lines = []
    for run in runs:
        phases = run.curves["phase"]
        scores = [s for s, p in zip(run.curves[run.metric], phases, strict=True) if p == phases[-1]]
        lower = run.metric == "test_error"
        last, best = run.result[run.metric], min(scores) if lower else max(scores)
        gain = last - best if lower else 100 * (best - last)
        about = (full_label(run), run.data["name"], run.profile, run.seed, run.metric)
        lines.append((*about, last, best, gain))
    return pd.DataFrame(lines, columns=list(COLUMNS))
