"""What there is to see in a layer similarity matrix, as numbers (Figures 7 and 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from softshare.records import Run
from softshare.records.naming import full_label
from softshare.results import drift
from softshare.results.chessboard import chessboard, chessboard_chance
from softshare.results.comparable import by_seed
from softshare.sharing.similarity import chance_level

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("network", "seed", "epoch", "group", "mean", "chance", "drift", "chessboard", "p")


def brightness(S: Tensor) -> float:
    """Mean similarity of two different layers.

    Example:
        >>> brightness(torch.ones(4, 4)), brightness(torch.eye(4))
        (1.0, 0.0)
    """
    if len(S) < 2:
        raise ValueError(f"Two layers or more can be alike; got a matrix of {len(S)}.")
    return _brightnesses(S[None]).item()


def patterns(runs: Sequence[Run], epochs: Sequence[int] | None = None) -> pd.DataFrame:
    """The numbers of every group of every run.

    Args:
        runs: runs of soft-shared networks; others are left out.
        epochs: of which epochs, as far as they were kept. Default: the last.

    Returns:
        A row for each run, epoch and group of three or more layers: `mean`, by `brightness`,
        beside `chance`, by `softshare.chance_level`, and `drift`, the same mean for layers that
        moved as far in random directions, by `softshare.results.drift`; `chessboard` and, in `p`,
        how often a random order of the layers shows as much.

    Example:
        >>> patterns([]).empty
        True
    """
    import pandas as pd

    lines = []
    for run in (run for run in runs if run.coefficients):
        kept = [int(epoch) for epoch in run.coefficients]
        for epoch in [kept[-1]] if epochs is None else [e for e in epochs if e in kept]:
            moved = drift.matrices(run, epoch)
            for group, S in run.lsm(epoch).items():
                if len(S) > 2:
                    k = len(run.coefficients[str(epoch)][group][0])
                    found = chessboard(S), chessboard_chance(S)
                    drawn = brightness(moved[group].mean(0)) if group in moved else math.nan
                    means = brightness(S), chance_level(len(S), k, run.recipe.init), drawn
                    lines.append((full_label(run), run.seed, epoch, group, *means, *found))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def pattern_sentences(runs: Sequence[Run]) -> list[str]:
    """What the matrices after the last epoch show, beside what chance shows.

    A sentence for each run, and of a network with several seeds one for all of them.
    """
    lines = []
    for seeds in by_seed(run for run in runs if any(len(S) > 2 for S in _last(run))):
        name, data = full_label(seeds[0]), seeds[0].data["name"]
        lines += [f"{name} ({data}), seed {run.seed}: {_sentence(run)}" for run in seeds]
        if len(seeds) > 1:
            matrices = [S for run in seeds for S in _last(run)]
            p = chessboard_chance(*matrices)
            mean = sum(map(chessboard, matrices)) / len(matrices)
            lines.append(
                f"{name} ({data}), all {len(seeds)} seeds together, which answers the question: "
                f"{_verdict(p)} ({mean:+.2f}, p = {p:.2g})."
            )
    return lines or ["No soft-shared network of this figure is recorded yet."]


def _sentence(run: Run) -> str:
    matrices = [S for S in _last(run) if len(S) > 2]
    means = torch.tensor([brightness(S) for S in matrices])
    shapes = [(len(A), len(A[0])) for A in list(run.coefficients.values())[-1].values()]
    levels = [chance_level(L, k, run.recipe.init) for L, k in shapes if L > 2]
    p = chessboard_chance(*matrices)
    return (
        f"mean similarity of two layers {means.mean():.2f}; {sum(levels) / len(levels):.2f} before "
        f"training{_drift(run, means.mean().item())}; layers an even number of steps apart are "
        f"more alike than the others by {sum(map(chessboard, matrices)) / len(matrices):+.2f} "
        f"(p = {p:.2g}: how often the same layers in random order show as much)."
    )


def _drift(run: Run, mean: float) -> str:
    """The mean similarity under drift, and how often it is as large as the one found."""
    moved = [_brightnesses(S) for S in drift.matrices(run).values() if S.shape[1] > 2]
    if not moved:
        return ""
    drawn = torch.stack(moved).mean(0)  # (draws,)
    p = (1 + int((drawn >= mean - 1e-6).sum())) / (1 + len(drawn))
    return (
        f", {drawn.mean():.2f} where coefficients move as far in random directions (p = {p:.2g}: "
        "how often these come out as alike)"
    )


def _verdict(p: float) -> str:
    """Both ends count: a pattern may also be the opposite of a chessboard."""
    if p <= 0.025:
        return "a chessboard beyond chance"
    return "the opposite of a chessboard beyond chance" if p >= 0.975 else "no chessboard to see"


def _brightnesses(S: Tensor) -> Tensor:
    """`brightness` of each of several matrices, ``(draws, L, L)``."""
    L = S.shape[1]
    return (S.sum((1, 2)) - S.diagonal(dim1=1, dim2=2).sum(1)) / (L * (L - 1))


def _last(run: Run) -> list[Tensor]:
    return list(run.lsm().values()) if run.coefficients else []
