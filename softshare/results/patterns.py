"""What there is to see in a layer similarity matrix, as numbers (Figures 7 and 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from softshare import paper
from softshare.paper.matching import kind, varied
from softshare.recipe import PATHS
from softshare.records import Run
from softshare.records.naming import full_label, length
from softshare.results import drift
from softshare.results.chessboard import chessboard, chessboard_chance
from softshare.results.comparable import by_seed
from softshare.results.difference import LEVEL
from softshare.sharing.similarity import chance_level
from softshare.wording import p_value, seeded

if TYPE_CHECKING:
    import pandas as pd

MEANING = (
    "*By drift*: had the coefficients of each layer moved as far in a random direction; its p says "
    "how often layers then come out as alike. The chessboard is how much more alike layers are an "
    "even number of steps apart; its p says how often the same layers in random order show as "
    f"much, one way or the other, and up to {LEVEL} is beyond chance."
)
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
        A row for each run, epoch and group of three or more layers and several templates, as
        layers of a single one are all alike: `mean`, by `brightness`, beside `chance`, by
        `softshare.chance_level`, and `drift`, the same mean for layers that moved as far in
        random directions, by `softshare.results.drift`; `chessboard` and, in `p`, how often a
        random order of the layers shows as much.

    Example:
        >>> patterns([]).empty
        True
    """
    import pandas as pd

    lines = []
    for run in (run for run in runs if run.coefficients):
        kept = [int(epoch) for epoch in run.coefficients]
        for epoch in [kept[-1]] if epochs is None else [e for e in epochs if e in kept]:
            moved, similar = drift.matrices(run, epoch), run.lsm(epoch)
            for group, A in _telling(run, epoch).items():
                S = similar[group]
                found = chessboard(S), chessboard_chance(S)
                drawn = brightness(moved[group].mean(0)) if group in moved else math.nan
                means = brightness(S), chance_level(len(A), len(A[0]), run.recipe.init), drawn
                lines.append((full_label(run), run.seed, epoch, group, *means, *found))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def pattern_sentences(runs: Sequence[Run]) -> list[str]:
    """What the matrices of each network after the last epoch show, beside what chance shows.

    All groups of all its seeds together, as each by itself has few layers.
    """
    lines = []
    for seeds in by_seed(run for run in runs if _matrices([run])):
        which = seeded([run.seed for run in seeds])
        name = f"{full_label(seeds[0])} ({seeds[0].data['name']}, {which})"
        lines.append(f"{name}: {_alikeness(seeds)}; {_pattern(seeds)}.")
    if not lines:
        return ["No soft-shared network of several templates is recorded yet."]
    return [*lines, MEANING]


def chessboard_claim(runs: Sequence[Run]) -> str:
    """The claim of Figure 7 beside what these networks show; nothing without any.

    The widest stand first. Left out are networks of shortest paths, which have other layers, and
    those whose coefficients were treated otherwise than the paper's.
    """
    shared = [run for run in runs if run.recipe.data != PATHS and not varied(run.recipe)]
    shared = [run for run in shared if _matrices([run])]
    each = sorted(by_seed(shared), key=lambda seeds: -kind(seeds[0].recipe.model)[1])
    if not each:
        return ""
    found = "; ".join(
        f"{_pattern(seeds)} in {full_label(seeds[0])} ({seeds[0].data['name']}, "
        f"{length(seeds[0].recipe)}, n = {len(seeds)})"
        for seeds in each
    )
    printed = paper.fact("figures/figure7/period")
    return (
        f"The paper: layers i and i + {printed.value} tend to agree, a chessboard, in each of "
        f"{paper.value('figures/figure7/seeds')} seeds of one network ({printed.source}). "
        f"Ours, in networks of images: {found}. The number is how much more alike layers are an "
        "even number of steps apart than an odd one; p says how often the same layers in random "
        f"order show as much, one way or the other, and up to {LEVEL} is beyond chance."
    )


def _alikeness(seeds: Sequence[Run]) -> str:
    """The mean similarity, before training and after, and beside it that under drift."""
    mean = torch.tensor([brightness(S) for S in _matrices(seeds)]).mean().item()
    last = [A for run in seeds for A in _telling(run).values()]
    levels = [chance_level(len(A), len(A[0]), seeds[0].recipe.init) for A in last]
    text = f"similarity {mean:.2f} in the mean, {sum(levels) / len(levels):.2f} before training"
    moved = [
        _brightnesses(S)
        for run in seeds
        for group, S in drift.matrices(run).items()
        if group in _telling(run)
    ]
    if len(moved) < len(last):
        return text  # a start was not kept
    drawn = torch.stack(moved).mean(0)  # (draws,)
    p = (1 + int((drawn >= mean - 1e-6).sum())) / (1 + len(drawn))
    return f"{text} and {drawn.mean():.2f} by drift (p {p_value(p)})"


def _pattern(seeds: Sequence[Run]) -> str:
    """Whether there is a chessboard, or its opposite: layers an odd number of steps apart alike."""
    S = _matrices(seeds)
    there, opposite = chessboard_chance(*S), chessboard_chance(*(-one for one in S))
    p = min(1.0, 2 * min(there, opposite))
    found = "a chessboard" if there < opposite else "the opposite of a chessboard"
    verdict = f"{found} beyond chance" if p <= LEVEL else "no chessboard to see"
    return f"{verdict} ({sum(map(chessboard, S)) / len(S):+.2f}, p {p_value(p)})"


def _brightnesses(S: Tensor) -> Tensor:
    """`brightness` of each of several matrices, ``(draws, L, L)``."""
    L = S.shape[1]
    return (S.sum((1, 2)) - S.diagonal(dim1=1, dim2=2).sum(1)) / (L * (L - 1))


def _matrices(runs: Sequence[Run]) -> list[Tensor]:
    """Those of the last epoch, of groups that can tell something."""
    shared = (run for run in runs if run.coefficients)
    return [S for run in shared for group, S in run.lsm().items() if group in _telling(run)]


def _telling(run: Run, epoch: int | None = None) -> dict[str, list[list[float]]]:
    """Coefficients, by default the last, of groups of 3 or more layers and several templates."""
    if not run.coefficients:
        return {}
    kept = run.coefficients[str(epoch) if epoch is not None else list(run.coefficients)[-1]]
    return {group: A for group, A in kept.items() if len(A) > 2 and len(A[0]) > 1}
