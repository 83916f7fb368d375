"""The runs behind a table or figure: found among the records, or trained now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from softshare.data import require
from softshare.recipe import PROFILES, Recipe
from softshare.records import Run, load_runs
from softshare.reproduction import Reproduction
from softshare.reproduction.plan import Plan
from softshare.results.foremost import proper
from softshare.training import train as train_run


def parameters(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a notebook: all plain values that its namespace holds so far.

    Passed on as keywords they are checked by the function that takes them, so that a name
    misspelled on papermill's command line is an error there and not a silent default.

    Args:
        namespace: ``globals()`` of the notebook, before anything but parameters is assigned.

    Example:
        >>> parameters({"k": 2, "profile": "auto", "_": 3, "In": [], "print": print})
        {'k': 2, 'profile': 'auto'}
    """
    plain = (bool, int, float, str, type(None))
    return {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and isinstance(value, plain)
    }


def reproduce(
    target: str,
    /,
    *,
    k: int = 0,
    profile: str = "auto",
    data: str = "auto",
    seeds: int = 1,
    epochs: int = 0,
    width: int = 0,
    train: bool = True,
    runs: Path | str | None = None,
    **unknown: Any,
) -> Reproduction:
    """Collects the runs of a table or figure, and trains the missing ones.

    With the defaults every record is shown, and where a row has none, at whatever width, all rows
    are trained at ``fast`` on a GPU and at ``smoke`` on a CPU, so that they compare. With a
    profile, data set, width or number of epochs named, just such runs are shown, and the missing
    ones trained. A book build (environment variable ``SOFTSHARE_BOOK``) never trains.

    Args:
        target: ``table1`` to ``table4``, ``figure3`` to ``figure8``, ``appendix_b``, or
            ``folding``, which shows any soft-shared network and misses those of Figures 4 and 6.
        k: for tables, templates per group of one more row; 0 for the table's own rows alone.
        profile: ``auto``, ``paper``, ``fast`` or ``smoke``.
        data: name or path of the data set; ``auto`` trains on CIFAR-10 where it is at hand, else
            its JPEG variant, and at ``smoke`` on scikit-learn's digits; for ``table3`` on
            ImageNet.
        seeds: runs a row, seeds 0, 1, ...
        epochs: instead of the profile's, for the shortest-path task of each phase; 0 leaves them.
        width: widening factor instead of the paper's; 0 leaves it (1 at ``smoke``).
        train: whether to train what is missing.
        runs: folder of records. Default ``data/runs`` of the checkout.
        **unknown: refused, with the names that are known.

    Returns:
        A `Reproduction`.

    Raises:
        ValueError: an unknown target, parameter or value.
        FileNotFoundError: a path as data set that leads nowhere.

    Example:
        >>> print(reproduce("figure5", train=False, runs="no/such/folder"))
        No run with these settings is recorded, and none was trained.
        Not attempted at the paper's settings: CNN, SCNN, SCNN-R.
        >>> reproduce("table1", sedd=1)
        Traceback (most recent call last):
        ...
        ValueError: There is no parameter 'sedd'; there are k, profile, data, seeds, epochs, \
width and train.
    """
    if unknown:
        known = [parameter.name for parameter in fields(Plan) if parameter.name != "target"]
        raise ValueError(
            f"There is no parameter {next(iter(unknown))!r}; there are {', '.join(known)} and "
            "train."
        )
    if not isinstance(train, bool):
        raise ValueError(f"train is True or False; got {train!r}.")
    plan = Plan(target, k, profile, data, seeds, epochs, width)
    before = load_runs(runs)
    if data != "auto" and not any(plan.on_asked(run) for run in before):
        require(data)
    recorded = [run for run in before if plan.concerns(run)]
    train = train and not os.environ.get("SOFTSHARE_BOOK")
    new: list[Run] = []
    lacking: list[Recipe] = []
    due = plan.asks() or not plan.complete(recorded)
    if due and (train or plan != Plan(target)):
        paths = {run.path for run in before}
        asked = plan.recipes()
        if train:
            made = [_train(recipe, plan, runs) for recipe in asked]
            new = [run for run in made if run.path not in paths]
        else:
            lacking = [recipe for recipe in asked if recipe.path not in paths]
    shown = [run for run in recorded + new if plan.shows(run)]
    if target == "figure3" and not new:
        shown = proper(shown)
    shown.sort(key=lambda run: (PROFILES.index(run.profile), run.path))
    missing = plan.missing(recorded + new)
    return Reproduction(target, shown, missing, [run.path for run in new], lacking)


def _train(recipe: Recipe, plan: Plan, runs: Path | str | None) -> Run:
    data = recipe.data if plan.data == "auto" else plan.data  # a path stays one
    return train_run(recipe.model, data, recipe.profile, runs=runs, **recipe.own())
