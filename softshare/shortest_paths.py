"""The synthetic task of Section 4.4: mark every cell on a shortest path between two queries.

The paper leaves open how a pair is drawn, what becomes of pairs that obstacles cut apart, and
how the network is judged. Here:

* obstacles fall independently on every cell but the two query cells;
* the first query is uniform over the grid, the second uniform over the other cells of the
  window around the first, clipped to the grid, so the two always differ;
* an example without a path is drawn again, obstacles included: every target holds both queries;
* the held-out set of a phase is drawn like its training set, from another seed.

Breadth-first search runs on all grids at once: a row of cells is one integer, a wave of the
search a few shifts and bitwise operations on (H, n) words, grown from both queries in turn.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["WINDOWS", "examples", "f1", "phase"]

WINDOWS = (5, 9, 13, 17, 21)
"""Cells across the window that holds both queries, for phases 1 to 5."""

_CHUNK = 1280  # grids searched together: the words of a wave stay in the cache of one core
_BITS = 20  # an obstacle probability is rounded to a multiple of 2**-20
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
        ends = _queries(window, size, generator)  # (2, H, chunk)
        queries = ends[0] | ends[1]  # (H, chunk)
        blocked = _obstacles(obstacles, size, generator) & ~queries
        paths, found = _shortest_paths(~blocked & _row(size), ends)
        kept = found.nonzero().flatten()[: n - done]
        rows = slice(done, done + len(kept))
        inputs[rows, 0] = _unpack(queries[:, kept], size)
        inputs[rows, 1] = _unpack(blocked[:, kept], size)
        targets[rows, 0] = _unpack(paths[:, kept], size)
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


def _word(size: int) -> torch.dtype:
    return torch.int32 if size <= 32 else torch.int64


def _row(size: int) -> int:
    """The word with all cells of a row set; -1 fills a word without overflow."""
    return -1 if size in (32, 64) else (1 << size) - 1


def _queries(window: int, size: int, generator: torch.Generator) -> Tensor:
    """Two query cells for each grid of a chunk, as words (2, H, chunk) of one bit each."""

    def draw(count: Tensor | int) -> Tensor:  # the modulus is uniform to 1 part in 2**50
        return torch.randint(2**62, (_CHUNK,), generator=generator, device=device) % count

    device, reach = generator.device, window // 2
    y, x = draw(size), draw(size)
    top, left = (y - reach).clamp(min=0), (x - reach).clamp(min=0)
    height = (y + reach).clamp(max=size - 1) - top + 1
    width = (x + reach).clamp(max=size - 1) - left + 1
    cell = draw(height * width - 1)
    cell += cell >= (y - top) * width + x - left  # skip the first query
    rows = torch.stack((y, top + cell // width))
    columns = torch.stack((x, left + cell % width)).to(_word(size))
    words = torch.zeros(2, size, _CHUNK, dtype=_word(size), device=device)
    return words.scatter_(1, rows[:, None], (torch.ones_like(columns) << columns)[:, None])


def _obstacles(probability: float, size: int, generator: torch.Generator) -> Tensor:
    """Words (H, chunk) whose bits are set independently with the given probability.

    Each bit compares a binary fraction of fair coins, one plane of words a digit, with the
    probability, from the last digit to the first.
    """
    shape = (size, _CHUNK * _word(size).itemsize // 8)
    plane = torch.empty(shape, dtype=torch.int64, device=generator.device)
    words = torch.zeros_like(plane)
    fraction = min(round(probability * 2**_BITS), 2**_BITS - 1)
    for digit in range(_BITS):
        plane.random_(-(2**63), None, generator=generator)
        words = words | plane if fraction >> digit & 1 else words & plane
    return words.view(_word(size)) & _row(size)


def _shortest_paths(free: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Path cells (H, n) as words and whether there is a path (n,), from free cells (H, n).

    The two ends grow in turn. When the fronts of example i first share cells, after step d,
    these lie ceil(d/2) moves from end 0 and floor(d/2) from end 1, and d is the distance; all
    other path cells are found by walking from them back to either end through the fronts.
    """
    reached = [ends[0], ends[1]]
    fronts = [[ends[0]], [ends[1]]]  # fronts[e][r]: the cells r moves from end e
    meetings = [torch.zeros_like(free)]  # meetings[d]: shared cells where the distance is d
    waiting = torch.ones_like(free[0], dtype=torch.bool)  # (n,)
    found = ~waiting
    step = 0
    while step % 8 or waiting.any():  # to ask costs a wait for the device: every 8 steps
        end = step % 2
        step += 1
        grown = _neighbours(reached[end]) & free | reached[end]
        fronts[end].append(grown ^ reached[end])
        reached[end] = grown
        shared = fronts[end][-1] & fronts[1 - end][-1] & -waiting.to(free.dtype)
        meetings.append(shared)
        met = shared.any(0)
        found |= met
        waiting &= ~met
        if step % 8 == 0:
            waiting &= fronts[0][-1].any(0) & fronts[1][-1].any(0)  # else an end is cut off
    paths = torch.zeros_like(free)
    meetings.append(paths)
    for end in (0, 1):
        cells = torch.zeros_like(free)
        for moves in range(len(fronts[end]) - 1, -1, -1):
            first = 2 * moves - 1 + end  # front r of end 0 is met at steps 2r - 1 and 2r
            start = meetings[max(first, 0)] | meetings[first + 1]
            cells = (_neighbours(cells) | start) & fronts[end][moves]
            paths = paths | cells
    return paths, found


def _neighbours(cells: Tensor) -> Tensor:
    """Cells one move away from those set in the words (H, n), with bits outside the row."""
    out = cells << 1 | cells >> 1
    out[1:] |= cells[:-1]
    out[:-1] |= cells[1:]
    return out


def _unpack(words: Tensor, size: int) -> Tensor:
    """Words (H, n) to cells (n, H, W) of 0 and 1, uint8, by a table of the 256 bytes."""
    bits = torch.arange(256, device=words.device)[:, None] >> torch.arange(8, device=words.device)
    table = (bits & 1).to(torch.uint8).view(torch.int64).flatten()  # eight cells an entry
    eights = words.t()[..., None].contiguous().view(torch.uint8)  # (n, H, bytes a word)
    cells = table.index_select(0, eights.int().flatten()).view(torch.uint8)
    return cells.view(*eights.shape[:2], -1)[..., :size]
