"""Folding a trained network and training it further: a run of its own, from another's end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.weights import LIMIT


def folded_start(recipe: Recipe, root: Path, trained: Callable[[Recipe], Run]) -> nn.Module | None:
    """The network from which a recipe with ``tune`` starts; None for one that starts anew.

    It is the network of ``recipe.base`` as its kept weights have it, rounded to half precision,
    and folded at ``recipe.fold``. The optimiser starts with empty averages.

    Args:
        recipe: of the run.
        root: folder of records.
        trained: finds the record of a recipe or trains it.

    Raises:
        ValueError: the record of the base kept no weights.
        FileNotFoundError: they are not beside it.
        Damaged: they are not those that were written.
    """
    if not recipe.tune:
        return None
    from softshare.folding.network import fold

    run = trained(recipe.base)
    if not run.weights:
        raise ValueError(
            f"Fine-tuning after folding starts from the weights of {run.path}, which has none "
            f"beside its record; only networks of fewer than {LIMIT} parameters keep them. To "
            "train such a one again with its weights, remove its record."
        )
    return fold(run.network(root), recipe.fold, inputs=None)
