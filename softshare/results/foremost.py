"""Which of many runs a page speaks of: of each network the best trainings, with all their seeds."""

from __future__ import annotations

from collections.abc import Sequence

from softshare.recipe import PROFILES
from softshare.records import Run
from softshare.records.naming import full_label


def foremost(runs: Sequence[Run]) -> list[Run]:
    """Of each network on each data set the runs at the best profile, of these the longest.

    Demonstrations are left out as `proper` does.

    Args:
        runs: any runs; their order is kept.

    Example:
        >>> foremost([])
        []
    """
    results = proper(runs)
    best: dict[tuple[str, str], tuple[int, int]] = {}
    for run in results:
        best[_network(run)] = max(_merit(run), best.get(_network(run), _merit(run)))
    return [run for run in results if _merit(run) == best[_network(run)]]


def proper(runs: Sequence[Run]) -> list[Run]:
    """Demonstrations, at ``smoke``, are left out where there is anything else."""
    return [run for run in runs if run.profile != "smoke"] or list(runs)


def _network(run: Run) -> tuple[str, str]:
    return full_label(run), run.data["name"]


def _merit(run: Run) -> tuple[int, int]:
    return -PROFILES.index(run.profile), run.recipe.total_epochs
