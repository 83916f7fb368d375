"""What networks are called in tables and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softshare.recipe import Recipe
from softshare.recipe.profiles import usual
from softshare.records import Run

if TYPE_CHECKING:
    import pandas as pd

_MEASURES = {"test_error": "top-1", "top5_error": "top-5"}


def label(of: Run | Recipe) -> str:
    """A model as the paper writes it, with a star for dropout, and in what it is not the paper's.

    Example:
        >>> label(Recipe("swrn-28-1", dropout=0.3)), label(Recipe("scnn-r", "shortest-paths"))
        ('SWRN 28-1*', 'SCNN-R')
        >>> label(Recipe("swrn-28-1", fold=0.9, tune=3))
        'SWRN 28-1 folded at 0.9, tuned 3'
        >>> label(Recipe("swrn-28-1", init="normal", coefficients="unit"))
        'SWRN 28-1 (normal, unit)'
        >>> label(Recipe("swrn-28-1", recurrence=0.01))
        'SWRN 28-1 (recurrence 0.01)'
    """
    recipe = of.recipe if isinstance(of, Run) else of
    name = _spaced(recipe.model) + ("*" if recipe.dropout else "")
    own = [recipe.init] if recipe.init != "orthogonal" else []
    own += [recipe.coefficients] if recipe.coefficients != "free" else []
    own += [f"recurrence {recipe.recurrence:g}"] if _pulled(recipe) else []
    name += f" ({', '.join(own)})" if own else ""
    return name + (f" folded at {recipe.fold:g}, tuned {recipe.tune}" if recipe.tune else "")


def full_label(of: Run | Recipe) -> str:
    """`label` and the cutout, for pages that show networks trained with and without one.

    Example:
        >>> full_label(Recipe("swrn-28-10", cutout=16)), full_label(Recipe("swrn-28-10"))
        ('SWRN 28-10, cutout 16', 'SWRN 28-10')
    """
    recipe = of.recipe if isinstance(of, Run) else of
    return label(of) + (f", cutout {recipe.cutout}" if recipe.cutout else "")


def epochs(recipe: Recipe) -> str:
    """How many epochs a run has: of a curriculum, phases times the epochs of each.

    Example:
        >>> from softshare.recipe import for_profile
        >>> epochs(for_profile("wrn-28-10")), epochs(for_profile("scnn"))
        ('200', '5 × 50')
    """
    phases = 1 if recipe.tune else recipe.phases
    return f"{phases} × {recipe.epochs}" if phases > 1 else str(recipe.total_epochs)


def length(recipe: Recipe) -> str:
    """`epochs` with their noun.

    Example:
        >>> from softshare.recipe import for_profile
        >>> length(Recipe("wrn-28-1", epochs=1)), length(for_profile("scnn"))
        ('1 epoch', '5 × 50 epochs')
        >>> length(for_profile("scnn", fold=0.9, tune=2))
        '2 epochs'
    """
    return f"{epochs(recipe)} epoch" + ("" if recipe.total_epochs == 1 else "s")


def row_label(row: Any) -> str:
    """The model of a line of `softshare.compare`: the paper's name of the row, or ours in its way.

    Example:
        >>> row_label({"row": "-", "paper": float("nan"), "model": "wrn-28-1", "stands_in_for": ""})
        'WRN 28-1'
    """
    if row["paper"] == row["paper"]:
        return row["row"]
    return _spaced(row["model"]) + ("*" if row["stands_in_for"].endswith("*") else "")


def measures(table: pd.DataFrame) -> list[str]:
    """What each line of `softshare.compare` measures, where the table has several; else nothing.

    Example:
        >>> from softshare import compare
        >>> set(measures(compare([], "table1"))), measures(compare([], "table3"))[:2]
        ({''}, ['top-1', 'top-5'])
    """
    if table["metric"].nunique() < 2:
        return [""] * len(table)
    return [_MEASURES[metric] for metric in table["metric"]]


def _pulled(recipe: Recipe) -> bool:
    """Whether the regulariser is there, and the model's name does not say so."""
    return recipe.recurrence not in (0, usual(recipe.model, recipe.profile).get("recurrence"))


def _spaced(model: str) -> str:
    return model.upper().replace("WRN-", "WRN ", 1)
