"""Appendix B: the ways to start the coefficients, and the controls that the paper lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softshare.paper.matching import stands_in
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.sharing.initialisation import INITS
from softshare.sharing.similarity import chance_level

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Ways to start the coefficients, and the control of their effect on the learning rate"
PLAIN, REFERENCE = "without sharing", "orthogonal"
_MODEL = "swrn-28-4"  # the paper does not say which networks it tried; this has k = L = 6
_CONTROLS = ("unit", "fixed")


def rows() -> list[dict[str, Any]]:
    """The networks to train, each with `row`, its name here, `model` and `options`.

    Example:
        >>> [row["row"] for row in rows()]  # doctest: +NORMALIZE_WHITESPACE
        ['without sharing', 'orthogonal', 'identity', 'uniform', 'normal', 'sparse-uniform',
         'sparse-normal', 'unit', 'fixed']
    """
    options: dict[str, dict[str, Any]] = {
        init: {} if init == REFERENCE else {"init": init} for init in INITS
    }
    options |= {rule: {"coefficients": rule} for rule in _CONTROLS}
    shared = [{"row": name, "model": _MODEL, "options": own} for name, own in options.items()]
    return [{"row": PLAIN, "model": _MODEL.removeprefix("s"), "options": {}}, *shared]


def variant(of: Run | Recipe) -> str | None:
    """The row that a run belongs to, at whatever width; None for a run of something else.

    Example:
        >>> variant(Recipe("swrn-28-1", init="normal")), variant(Recipe("swrn-28-10-2"))
        ('normal', None)
    """
    recipe = of.recipe if isinstance(of, Run) else of
    return next((row["row"] for row in rows() if stands_in(recipe, row)), None)


def nulls(layers: int = 6, templates: Sequence[int] = (6, 4, 2)) -> pd.DataFrame:
    """How alike two layers are before any training, by `softshare.chance_level`.

    Args:
        layers: L, 2 or more.
        templates: several k, from 1 to L each.

    Returns:
        A row for each initialisation and a column for each k; empty where the one is not defined
        for the other.

    Example:
        >>> nulls(4, [4, 1]).round(2)["k = 1"].tolist()
        [1.0, nan, 1.0, 1.0, 1.0, 1.0]
    """
    import pandas as pd

    lines = []
    for init in INITS:
        fitting = [k for k in templates if k == layers or init != "identity"]
        levels = {f"k = {k}": chance_level(layers, k, init) for k in fitting}
        lines.append({"init": init} | levels)
    return pd.DataFrame(lines)
