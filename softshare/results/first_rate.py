"""What more time at the first learning rate does to the similarity of layers (Figure 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from softshare.paper.matching import unaltered, unlowered, varied
from softshare.recipe import PATHS, Recipe
from softshare.records import Run
from softshare.records.naming import full_label, length
from softshare.results.comparable import by_seed
from softshare.results.patterns import patterns
from softshare.results.settling import at_first_rate
from softshare.wording import seeded

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("mean", "chance", "drift", "chessboard")
_ABOUT = ("network", "trained on", "epochs", "at the first rate", "seeds", "epoch")


def families(runs: Sequence[Run]) -> list[list[list[Run]]]:
    """Shared networks of images that were kept at one learning rate, and the same lowering it.

    A list for each network; in it a list for each schedule, one that never lowers the rate first,
    then the longest; in that the seeds.

    Example:
        >>> families([])
        []
    """
    shared = [run for run in unaltered(runs) if run.coefficients and run.recipe.data != PATHS]
    found: dict[Recipe, list[list[Run]]] = {}
    for seeds in by_seed(run for run in shared if not varied(run.recipe)):
        alike = replace(seeds[0].recipe, seed=0, epochs=1, milestones=(), profile="paper")
        found.setdefault(alike, []).append(seeds)
    for each in found.values():
        each.sort(key=lambda seeds: (not unlowered(seeds[0].recipe), -seeds[0].recipe.epochs))
    return [each for each in found.values() if unlowered(each[0][0].recipe)]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each kept epoch of each schedule of each family.

    Returns:
        How many `epochs` there were, how many of them `at the first rate`, and over how many
        `seeds` and all their groups the rest is averaged, of which
        `softshare.results.patterns.patterns` tells the meaning.
    """
    import pandas as pd

    lines = []
    for seeds in (seeds for family in families(runs) for seeds in family):
        recipe = seeds[0].recipe
        about = (
            full_label(recipe),
            recipe.data,
            recipe.total_epochs,
            at_first_rate(recipe),
            len(seeds),
        )
        lines += [(*about, epoch, *row) for epoch, row in _means(seeds).iterrows()]
    return pd.DataFrame(lines, columns=[*_ABOUT, *COLUMNS])


def sentences(runs: Sequence[Run]) -> list[str]:
    """How similar layers become at the first rate, and what schedules that lower it end with."""
    lines = []
    for first, *others in families(runs):
        means = _means(first)
        last = means.iloc[-1]
        way = ", ".join(f"{mean:.2f} after epoch {epoch}" for epoch, mean in means["mean"].items())
        ends = "; ".join(map(_end, others))
        lines.append(
            f"{full_label(first[0])} ({first[0].data['name']}, {seeded([r.seed for r in first])}), "
            f"kept at its first learning rate: similarity {way} (by movement alone "
            f"{last['drift']:.2f}), with a chessboard of {last['chessboard']:+.2f} at the end."
            + (f" On schedules that lower the rate it ends at {ends}." if ends else "")
        )
    return lines or ["No network has been kept at its first learning rate yet."]


def _end(seeds: Sequence[Run]) -> str:
    recipe, last = seeds[0].recipe, _means(seeds).iloc[-1]
    return (
        f"{last['mean']:.2f} ({last['drift']:.2f}) with {last['chessboard']:+.2f} after "
        f"{length(recipe)}, {at_first_rate(recipe)} of them at that rate (n = {len(seeds)})"
    )


def _means(seeds: Sequence[Run]) -> pd.DataFrame:
    """By epoch, over all groups and seeds."""
    epochs = sorted({int(epoch) for run in seeds for epoch in run.coefficients})
    return patterns(seeds, epochs).groupby("epoch")[list(COLUMNS)].mean()
