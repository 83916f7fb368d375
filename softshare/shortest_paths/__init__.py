"""The synthetic task of Section 4.4: mark every cell on a shortest path between two queries.

The paper leaves open how a pair is drawn, what becomes of pairs that obstacles cut apart, and
how the network is judged. Here:

* obstacles fall independently on every cell but the two query cells;
* the first query is uniform over the grid, the second uniform over the other cells of the
  window around the first, clipped to the grid, so the two always differ;
* an example without a path is drawn again, obstacles included: every target holds both queries;
* the held-out set of a phase is drawn like its training set, from another seed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softshare.shortest_paths.grids import obstacle_bits, query_bits
from softshare.shortest_paths.search import full_row, search, unpack

__all__ = ["WINDOWS", "examples", "f1", "phase"]

WINDOWS = (5, 9, 13, 17, 21)
"""Cells across the window that holds both queries, for phases 1 to 5."""

# grids searched together: 32 rows of them stay below the 32 768 elements from which PyTorch splits
# an operation over threads, slower at this size and far slower on a busy machine
_SEARCHED = 640
_SEEDS = 2**32  # PyTorch's CPU generator reads 32 bits of a seed


def examples(
    n: int,
    window: int,
    *,
    size: int = 32,
    obstacles: float = 0.1,
    seed: int = 0,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw n grids and, for each, the cells on shortest paths between its queries (Section 4.4).

    A cell c is in the target when d(a, c) + d(c, b) = d(a, b), with d the number of moves
    up, down, left or right around the obstacles and a, b the two queries.

    Examples on the CPU depend on the seed alone, not on threads or on n: the first m of n
    examples are the m examples of the same seed.

    Args:
        n: Number of examples, at least 1.
        window: Odd number of cells, from 3 to ``2 * size - 1``: the queries are at most
            ``window // 2`` rows and as many columns apart.
        size: Rows and columns of the grid, 2 to 64. Default 32, the paper's.
        obstacles: Probability in [0, 1) that a cell is blocked, before examples without a path
            are drawn again. Default 0.1, the paper's.
        seed: Seed of a CPU generator, 0 to 2**32 - 1. Default 0.
        generator: Takes the place of ``seed``; the examples are made on its device.

    Returns:
        Inputs (n, 2, size, size), channels (queries, obstacles), and targets
        (n, 1, size, size): zeros and ones, uint8.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> inputs, targets = examples(8, window=5, seed=1)
        >>> tuple(inputs.shape), tuple(targets.shape)
        ((8, 2, 32, 32), (8, 1, 32, 32))
        >>> inputs[:, 0].sum((1, 2)).tolist()
        [2, 2, 2, 2, 2, 2, 2, 2]
    """
    _check(n, window, size, obstacles)
    if generator is None:
        _check_seed(seed, _SEEDS)
        generator = torch.Generator().manual_seed(seed)
    inputs = torch.empty(n, 2, size, size, dtype=torch.uint8, device=generator.device)
    targets = torch.empty(n, 1, size, size, dtype=torch.uint8, device=generator.device)
    done = 0
    while done < n:
        ends = query_bits(window, size, generator)  # (2, H, chunk)
        queries = ends[0] | ends[1]  # (H, chunk)
        blocked = obstacle_bits(obstacles, size, generator) & ~queries
        free = ~blocked & full_row(size)
        parts = zip(free.split(_SEARCHED, 1), ends.split(_SEARCHED, 2), strict=True)
        searched = [search(*part) for part in parts]
        paths = torch.cat([cells for cells, _ in searched], 1)  # (H, chunk)
        found = torch.cat([met for _, met in searched])  # (chunk,)
        kept = found.nonzero().flatten()[: n - done]
        rows = slice(done, done + len(kept))
        inputs[rows, 0] = unpack(queries[:, kept], size)
        inputs[rows, 1] = unpack(blocked[:, kept], size)
        targets[rows, 0] = unpack(paths[:, kept], size)
        done += len(kept)
    return inputs, targets


def phase(p: int, n: int = 5000, *, seed: int = 0, held_out: bool = False) -> tuple[Tensor, Tensor]:
    """Examples of phase p of the curriculum: those of ``examples(n, WINDOWS[p - 1])``.

    Training and held-out sets of all phases and seeds are drawn from distinct seeds.

    Args:
        p: Phase, 1 to 5.
        n: Number of examples, at least 1. Default 5000, the paper's.
        seed: Seed of the run, 0 to 2**28 - 1. Default 0.
        held_out: Whether to draw the set for evaluation. Default False, the training set.

    Returns:
        Inputs (n, 2, 32, 32) and targets (n, 1, 32, 32), uint8 on the CPU.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> inputs, targets = phase(5, n=100, held_out=True)
        >>> bool((targets >= inputs[:, :1]).all())
        True
    """
    if not 1 <= p <= len(WINDOWS):
        raise ValueError(f"the task has phases 1 to {len(WINDOWS)}; got p={p}: pass one of them")
    _check_seed(seed, _SEEDS // 16)
    return examples(n, WINDOWS[p - 1], seed=16 * seed + 2 * p + held_out)


def f1(predicted: Tensor, targets: Tensor) -> Tensor:
    """F1 = 2 TP / (2 TP + FP + FN), counted over all cells of all examples together.

    The paper names the score, not the average; one count over all cells weighs every path cell
    alike. When nothing is to be found and nothing is predicted, F1 is 1.

    Args:
        predicted: Logits, or predictions as bool or 0 and 1, any shape: a cell counts as
            predicted where the value is above 0 (for probabilities pass ``p > 0.5``).
        targets: Zeros and ones, or bool, of the same shape.

    Returns:
        Float tensor of no dimension, in [0, 1], on the device of the arguments.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> f1(torch.tensor([2.0, 0.3, -1.0]), torch.tensor([1, 0, 0])).item()
        0.6666666865348816
    """
    if predicted.shape != targets.shape:
        raise ValueError(
            f"predictions and targets need one shape; got {tuple(predicted.shape)} "
            f"and {tuple(targets.shape)}: reshape one to the other"
        )
    positive, true = predicted > 0, targets > 0
    hits = 2 * (positive & true).sum()
    total = positive.sum() + true.sum()  # 2 TP + FP + FN
    return torch.where(total > 0, hits / total, 1.0)


def _check(n: int, window: int, size: int, obstacles: float) -> None:
    if n < 1:
        raise ValueError(f"at least one example must be drawn; got n={n}: pass n >= 1")
    if not 2 <= size <= 64:
        raise ValueError(f"a grid is 2 to 64 cells wide; got size={size}: pass, say, size=32")
    if window % 2 == 0 or not 3 <= window <= 2 * size - 1:
        raise ValueError(
            f"a window is an odd number of cells from 3 to 2 * size - 1 = {2 * size - 1}, "
            f"centred on a query; got window={window}: pass, say, one of {WINDOWS}"
        )
    if not 0 <= obstacles < 1:
        raise ValueError(
            f"an obstacle probability lies in [0, 1); got obstacles={obstacles}: pass, say, 0.1"
        )


def _check_seed(seed: int, limit: int) -> None:
    if not 0 <= seed < limit:
        raise ValueError(f"a seed lies in 0 to {limit - 1}; got seed={seed}: pass one in range")
