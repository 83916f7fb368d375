"""When a layer similarity matrix became what it is at the end (Figure 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from softshare.paper import value
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.naming import full_label, length
from softshare.results.comparable import by_seed

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("network", "trained on", "seed", "epoch", "of", "rate", "with the start", "with the end")


def likeness(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    r"""Correlation of the entries off the diagonals of two sets of matrices.

    .. math:: r = \mathrm{corr}_{g,\, i<j} \bigl(S^g_{ij}, S'^g_{ij}\bigr)

    Args:
        first: a matrix ``(L, L)`` for each group.
        second: the same groups at another time.

    Returns:
        Pearson's r in [-1, 1]; nan where either has no variation, as the identity and the LSM of
        a single template have none.

    Example:
        >>> S = torch.tensor([[1.0, 0.2, 0.9], [0.2, 1.0, 0.4], [0.9, 0.4, 1.0]])
        >>> round(likeness([S], [1 - S]), 6), likeness([S], [torch.eye(3)])
        (-1.0, nan)
    """
    x, y = (torch.cat([_pairs(S) for S in group]) for group in (first, second))
    if min(x.std(), y.std()) < 1e-6:
        return float("nan")
    return torch.corrcoef(torch.stack([x, y]))[0, 1].item()


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each kept epoch of each soft-shared run.

    Returns:
        `epoch`, `of` how many, the learning `rate` of that epoch, and the correlation of its LSMs
        `with the start` and `with the end`, by `likeness`.

    Example:
        >>> table([]).empty
        True
    """
    import pandas as pd

    lines = []
    for run in (run for run in runs if run.coefficients):
        kept = [int(epoch) for epoch in run.coefficients]
        start, end = (list(run.lsm(epoch).values()) for epoch in (kept[0], kept[-1]))
        for epoch in kept:
            now = list(run.lsm(epoch).values())
            rate = run.recipe.lr_at(max(0, epoch - 1))
            name = full_label(run), run.data["name"], run.seed
            lines.append((*name, epoch, kept[-1], rate, likeness(now, start), likeness(now, end)))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def sentences(runs: Sequence[Run]) -> list[str]:
    """How soon the matrices are those of the end, and how much of the end is the start.

    One sentence for each network with all its seeds.
    """
    lines = []
    for seeds in by_seed(run for run in runs if run.coefficients):
        recipe, n = seeds[0].recipe, len(seeds)
        means = table(seeds).groupby("epoch")["with the end"].mean().dropna()
        if len(means) < 2:
            continue
        each = ", ".join(f"{r:.2f} after epoch {epoch}" for epoch, r in means.iloc[:-1].items())
        text = (
            f"{full_label(recipe)} ({seeds[0].data['name']}, {length(recipe)}, profile "
            f"{recipe.profile}): the matrices correlate with those of the last epoch by {each} "
            f"(off the diagonal, all groups together{f', mean of {n} seeds' if n > 1 else ''}); "
            f"the learning rate {_fall(recipe)}."
        )
        if 0 in means:
            text += " What epoch 0 has in common with the end was drawn and not learned."
        lines.append(text)
    if lines:
        lines.append(
            f"The paper sees most patterns by epoch {value('figures/figure8/most_patterns_epoch')} "
            f"and all settled by epoch {value('figures/figure8/settled_epoch')}, of "
            f"{value('settings/cifar/epochs')}."
        )
    return lines or ["No soft-shared network whose similarities change is recorded yet."]


def at_first_rate(recipe: Recipe) -> int:
    """Epochs before the learning rate first falls.

    Example:
        >>> at_first_rate(Recipe("wrn-28-10")), at_first_rate(Recipe("wrn-28-10", milestones=()))
        (60, 200)
    """
    rates = [recipe.lr_at(epoch) for epoch in range(recipe.total_epochs)]
    return sum(rate == rates[0] for rate in rates)


def _fall(recipe: Recipe) -> str:
    first = at_first_rate(recipe)
    return "never falls" if first == recipe.total_epochs else f"first falls after epoch {first}"


def _pairs(S: Tensor) -> Tensor:
    return S[tuple(torch.triu_indices(len(S), len(S), 1))]


__all__ = ["at_first_rate", "likeness", "sentences", "table"]
