"""The commands that make given runs again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import product
from typing import Any

from softshare.paper.matching import kind
from softshare.recipe import PATHS, Recipe
from softshare.records.provenance import command
from softshare.reproduction.plan import Plan


def again(target: str, recipes: Sequence[Recipe]) -> list[str]:
    """The notebook's command where a call of it trains all of these runs, else one a run.

    Args:
        target: name of the notebook, such as ``table1``.
        recipes: of the runs.

    Example:
        >>> from softshare.recipe import for_profile
        >>> again("table1", [for_profile("swrn-28-1-2", profile="smoke", seed=1)])
        ['papermill notebooks/table1.ipynb out.ipynb -k python3 -p profile smoke -p data digits \
-p seeds 2 -p k 2']
        >>> again("table1", [for_profile("wrn-28-1", profile="smoke", batch_size=32)])
        ['python -m softshare train wrn-28-1 --data digits --profile smoke --batch_size 32']
    """
    parameters = _parameters(target, recipes)
    if not parameters:
        return [command(recipe) for recipe in recipes]
    words = ["papermill", f"notebooks/{target}.ipynb", "out.ipynb", "-k", "python3"]
    for name, value in parameters.items():
        words += ["-p", name, str(value)]
    return [shlex.join(words)]


def _parameters(target: str, recipes: Sequence[Recipe]) -> dict[str, Any]:
    """The fewest parameters with which the notebook trains all of the recipes; none without any.

    A call has one profile, data set and number of epochs; width and k are given where the target's
    own do not do.
    """
    common: dict[str, set[Any]] = {
        "profile": {recipe.profile for recipe in recipes},
        "data": {"auto" if recipe.data == PATHS else recipe.data for recipe in recipes},
        "epochs": {recipe.own().get("epochs", 0) for recipe in recipes},
    }
    if any(len(found) != 1 for found in common.values()):
        return {}
    given = {name: found.pop() for name, found in common.items()}
    given["seeds"] = 1 + max(recipe.seed for recipe in recipes)
    widths = {kind(recipe.model)[1] for recipe in recipes}
    ks = {int(recipe.model.split("-")[3]) for recipe in recipes if recipe.model.count("-") == 3}
    for k, width in product([0, *sorted(ks)], [0, *sorted(widths - {0})]):
        asked = given | {"width": width, "k": k}
        if set(recipes) <= _trained(target, asked):
            usual = vars(Plan(target))
            return {name: value for name, value in asked.items() if value != usual[name]}
    return {}


def _trained(target: str, asked: dict[str, Any]) -> set[Recipe]:
    """What the notebook trains, asked so; nothing where it does not take such parameters."""
    try:
        return set(Plan(target, **asked).recipes())
    except ValueError:
        return set()
