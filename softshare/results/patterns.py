"""What there is to see in a layer similarity matrix, as numbers (Figures 7 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from softshare.records import Run
from softshare.records.naming import label
from softshare.sharing.similarity import chance_level

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("network", "seed", "epoch", "group", "mean", "chance", "chessboard", "p")


def brightness(S: Tensor) -> float:
    """Mean similarity of two different layers.

    Example:
        >>> brightness(torch.ones(4, 4)), brightness(torch.eye(4))
        (1.0, 0.0)
    """
    L = len(S)
    if L < 2:
        raise ValueError(f"Two layers or more can be alike; got a matrix of {L}.")
    return ((S.sum() - S.trace()) / (L * (L - 1))).item()


def chessboard(S: Tensor) -> float:
    r"""How much more alike layers are that lie an even number of steps apart (Appendix A).

    .. math:: \overline{S_{ij}}_{|i-j| = 2, 4, \ldots} - \overline{S_{ij}}_{|i-j| = 1, 3, \ldots}

    With two convolutions a residual block, layers an even number of steps apart have the same
    place in their blocks; folded, they make a loop over whole blocks.

    Args:
        S: a similarity matrix, ``(L, L)``, L 3 or more.

    Returns:
        A number between -1 and 1; 0 where there is no such pattern.

    Raises:
        ValueError: fewer than three layers.

    Example:
        >>> i = torch.arange(6)
        >>> chessboard(((i[:, None] - i) % 2 == 0).float())
        1.0
    """
    even, odd = _parity(len(S))
    return (S[even].mean() - S[odd].mean()).item()


def chessboard_chance(*matrices: Tensor, draws: int = 10_000, seed: int = 0) -> float:
    """How often layers in random order show a chessboard at least as strong: a permutation test.

    A group of six layers has only ten ways to be split as a chessboard splits it, so that alone
    it never comes below a tenth; several groups, each in an order of its own, say more together.

    Args:
        *matrices: similarity matrices of the groups, as in `chessboard`, whose mean is tested.
        draws: random orders, 1 or more.
        seed: of these.

    Returns:
        A p-value in (0, 1]; the order found counts as one of the draws.

    Raises:
        ValueError: no draws, no matrix, or one of fewer than three layers.

    Example:
        >>> i = torch.arange(6)
        >>> S = ((i[:, None] - i) % 2 == 0).float()
        >>> round(chessboard_chance(S), 1), chessboard_chance(S, S, S) < 0.01
        (0.1, True)
        >>> chessboard_chance(torch.eye(10))
        1.0
    """
    if draws < 1 or not matrices:
        raise ValueError(
            f"A permutation test needs a matrix and 1 or more draws; got {len(matrices)} and "
            f"{draws}."
        )
    generator = torch.Generator().manual_seed(seed)
    found, drawn = torch.zeros(()).double(), torch.zeros(draws).double()
    for matrix in matrices:
        S = matrix.detach().double().cpu()
        even, odd = _parity(len(S))
        contrast = even / even.sum() - odd / odd.sum()  # (L, L)
        orders = torch.rand(draws, len(S), generator=generator).argsort(1)
        found += (S * contrast).sum()
        drawn += (S[orders[:, :, None], orders[:, None, :]] * contrast).sum((1, 2))  # (draws,)
    return (1 + int((drawn >= found - 1e-9).sum())) / (1 + draws)


def patterns(runs: Sequence[Run], epochs: Sequence[int] | None = None) -> pd.DataFrame:
    """The numbers of every group of every run.

    Args:
        runs: runs of soft-shared networks; others are left out.
        epochs: of which epochs, as far as they were kept. Default: the last.

    Returns:
        A row for each run, epoch and group of three or more layers: `mean`, by `brightness`,
        beside `chance`, by `softshare.chance_level`; `chessboard` and, in `p`, how often a random
        order of the layers shows as much.

    Example:
        >>> patterns([]).empty
        True
    """
    import pandas as pd

    lines = []
    for run in (run for run in runs if run.coefficients):
        kept = [int(epoch) for epoch in run.coefficients]
        for epoch in [kept[-1]] if epochs is None else [e for e in epochs if e in kept]:
            for group, S in run.lsm(epoch).items():
                k = len(run.coefficients[str(epoch)][group][0])
                if len(S) > 2:
                    chance = chance_level(len(S), k, run.recipe.init, draws=500)
                    found = chessboard(S), chessboard_chance(S)
                    line = (label(run), run.seed, epoch, group, brightness(S), chance, *found)
                    lines.append(line)
    return pd.DataFrame(lines, columns=list(COLUMNS))


def pattern_sentences(runs: Sequence[Run]) -> list[str]:
    """What the matrices after the last epoch show, beside what chance shows."""
    table = patterns(runs)
    if table.empty:
        return ["No soft-shared network of this figure is recorded yet."]
    lines = []
    for run in (run for run in runs if run.coefficients):
        rows = table[(table["network"] == label(run)) & (table["seed"] == run.seed)]
        matrices = [S for S in run.lsm().values() if len(S) > 2]
        lines.append(
            f"{label(run)}, seed {run.seed}: mean similarity of two layers "
            f"{rows['mean'].mean():.2f}, where chance alone gives {rows['chance'].mean():.2f}; "
            "layers an even number of steps apart are more alike than the others by "
            f"{rows['chessboard'].mean():+.2f} (p = {chessboard_chance(*matrices):.2g}: how often "
            "the same layers in random order show as much)."
        )
    return lines


def _parity(L: int) -> tuple[Tensor, Tensor]:
    """Masks of the pairs of different layers an even and an odd number of steps apart."""
    if L < 3:
        raise ValueError(f"A chessboard needs three layers or more; got {L}.")
    i = torch.arange(L)
    apart = (i[:, None] - i).abs()
    return (apart % 2 == 0) & (apart > 0), apart % 2 == 1
