"""Which networks a page shows, where it can show few."""

from __future__ import annotations

from collections.abc import Sequence

from softshare.paper.matching import kind
from softshare.recipe import PATHS, PROFILES
from softshare.records import Run


def showcase(runs: Sequence[Run]) -> list[Run]:
    """One recorded network that can be folded, of images and of shortest paths.

    The best profile, then a network with something to find (more templates than one; the
    recurrence regulariser), then measured foldings, the longer training, the wider network, more
    templates, the first seed: never the better score.

    Example:
        >>> showcase([])
        []
    """

    def merit(run: Run) -> tuple[float, ...]:
        last = list(run.coefficients.values())[-1]
        shapes = [len(rows[0]) for rows in last.values()]
        return (
            -PROFILES.index(run.profile),
            max(shapes) > 1,
            run.recipe.recurrence > 0,
            bool(run.folded),
            run.recipe.total_epochs,
            kind(run.recipe.model)[1],
            max(shapes),
            -run.seed,
        )

    shared = [run for run in runs if run.coefficients]
    tasks = [
        [run for run in shared if (run.recipe.data == PATHS) == paths] for paths in (False, True)
    ]
    return [max(found, key=merit) for found in tasks if found]
