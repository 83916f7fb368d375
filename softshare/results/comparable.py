"""Which runs may be set beside each other: those trained alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from softshare.paper.matching import kind
from softshare.recipe import PATHS, PROFILES
from softshare.records import Run
from softshare.records.naming import label

_OF_THE_MODEL = ("seed", "dropout", "init", "coefficients")


def alike(runs: Sequence[Run], among: Sequence[str] = ()) -> list[Run]:
    """The largest set of runs that differ in model and seed alone: those that may be compared.

    Dropout and what is done to the coefficients belong to the model; networks of several widths
    are kept apart. A demonstration, at ``smoke``, comes after everything else. Among sets that
    cover as many models, the one at the better profile, then the one with fewer settings of its
    own.

    Args:
        runs: any runs.
        among: paths of runs that the set must touch; none for any set.

    Example:
        >>> alike([])
        []
    """
    found: dict[Any, list[Run]] = {}
    for run in runs:
        found.setdefault(setting(run), []).append(run)
    touched = [s for s in found.values() if not among or any(run.path in among for run in s)]
    return max(
        touched,
        key=lambda s: (
            s[0].profile != "smoke",
            len({label(run) for run in s}),
            -PROFILES.index(s[0].profile),
            -len(_changed(s[0])),
            len(s),
        ),
        default=[],
    )


def sets(runs: Sequence[Run], among: Sequence[str] = ()) -> list[list[Run]]:
    """What `alike` chooses of each data set and width, the widest networks first.

    Demonstrations are left out where there is anything else, and so are networks that have
    nothing beside them.

    Args:
        runs: any runs.
        among: paths of runs that each set must touch; none for any set.

    Example:
        >>> sets([])
        []
    """
    apart: dict[Any, list[Run]] = {}
    for run in runs:
        apart.setdefault((run.data["name"], _width(run)), []).append(run)
    found = [chosen for part in apart.values() if (chosen := alike(part, among))]
    found = [s for s in found if s[0].profile != "smoke"] or found
    found = [s for s in found if len({label(run) for run in s}) > 1] or found
    return sorted(found, key=lambda s: -_width(s[0]))


def by_seed(runs: Iterable[Run]) -> list[list[Run]]:
    """Lists of runs that differ in their seed alone, each list and each run in its order.

    Unlike `softshare.paper.matching.by_setting` it takes the grids that every seed of the
    shortest-path task draws for itself as the same data.

    Example:
        >>> by_seed([])
        []
    """
    found: dict[Any, list[Run]] = {}
    for run in runs:
        found.setdefault((replace(run.recipe, seed=0), run.data["name"]), []).append(run)
    return list(found.values())


def setting(run: Run) -> tuple[Any, ...]:
    """What runs must have in common to be set beside each other: their `training` and a width."""
    return *training(run), _width(run)


def training(run: Run) -> tuple[Any, ...]:
    """What networks of any size must have in common to have been trained alike."""
    own = _changed(run)
    examples = None if run.recipe.data == PATHS else run.data.get("checksum")  # drawn for each seed
    return run.profile, run.data["name"], examples, repr(own)


def _width(run: Run) -> int:
    return kind(run.recipe.model)[1]


def _changed(run: Run) -> dict[str, Any]:
    """In what a run's training differs from its profile."""
    return {k: v for k, v in run.recipe.own().items() if k not in _OF_THE_MODEL}
