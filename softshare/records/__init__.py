"""Run records: the only source of results."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from softshare.paths import runs_root
from softshare.recipe import Recipe
from softshare.records.run import Run

__all__ = ["Run", "load_runs"]


def load_runs(root: Path | str | None = None, **settings: Any) -> list[Run]:
    """The records below a folder, all or those whose recipe has the given settings.

    Args:
        root: folder of records. Default: ``data/runs`` of the checkout.
        **settings: fields of `Recipe` with the wanted value, or a list of wanted values.

    Returns:
        Runs in order of their paths.

    Raises:
        ValueError: a setting that recipes do not have, or the same run found twice.
        Damaged: a record that fails its check, named.

    Example:
        >>> load_runs("no/such/folder", model="swrn-28-10-2")
        []
        >>> load_runs(modle="wrn-28-1")
        Traceback (most recent call last):
        ...
        ValueError: A recipe has no setting 'modle'.
    """
    known = {f.name for f in fields(Recipe)}
    for name in settings:
        if name not in known:
            raise ValueError(f"A recipe has no setting {name!r}.")
    wanted = {
        name: value if isinstance(value, (list, tuple, set)) and name != "milestones" else [value]
        for name, value in settings.items()
    }
    paths = sorted(Path(root or runs_root()).glob("**/seed*-*.json"))
    runs: list[Run] = []
    places: dict[Recipe, Path] = {}
    for path in paths:
        runs.append(Run.load(path))
        if (first := places.setdefault(runs[-1].recipe, path)) != path:
            raise ValueError(
                f"{first} and {path} hold the same run, which would count twice; remove one."
            )
    return [
        run for run in runs if all(getattr(run.recipe, n) in values for n, values in wanted.items())
    ]
