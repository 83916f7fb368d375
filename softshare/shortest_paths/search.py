"""Shortest paths on thousands of grids at once, for the task of Section 4.4.

A row of cells is one integer: bit x of word (y, i) is the cell in row y, column x of grid i. A
wave of breadth-first search is then a few shifts and bitwise operations on (H, n) words.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["full_row", "search", "unpack", "word"]


def word(size: int) -> torch.dtype:
    """The integer type that holds a row of up to 64 cells."""
    return torch.int32 if size <= 32 else torch.int64


def full_row(size: int) -> int:
    """The word with all cells of a row set; -1 fills a word without overflow."""
    return -1 if size in (32, 64) else (1 << size) - 1


def search(free: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Find the cells of grid i that lie on some shortest path between its two ends.

    The two ends grow in turn. When the fronts of example i first share cells, after step d,
    these lie ceil(d/2) moves from end 0 and floor(d/2) from end 1, and d is the distance; all
    other path cells are found by walking from them back to either end through the fronts.

    Args:
        free: Words (H, n) of the cells that may be entered, both ends among them.
        ends: Words (2, H, n) of one bit a grid and end, two different cells.

    Returns:
        Words (H, n) of the path cells, none where obstacles part the ends, and whether there is
        a path, bool (n,).

    Example:
        >>> free = torch.tensor([[0b111], [0b001], [0b111]])  # one grid of 3 x 3, an end a side
        >>> ends = torch.tensor([[[0b100], [0], [0]], [[0], [0], [0b010]]])
        >>> paths, found = search(free, ends)
        >>> [f"{row:03b}" for row in paths.flatten().tolist()], found.tolist()
        (['111', '001', '011'], [True])
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
    """Cells one move away from those set in the words (H, n), with bits outside the row.

    A shifted sign bit also stays where it was. Callers mask what is not free, or not in the next
    front, and so drop both.
    """
    out = cells << 1 | cells >> 1
    out[1:] |= cells[:-1]
    out[:-1] |= cells[1:]
    return out


def unpack(words: Tensor, size: int) -> Tensor:
    """Words (H, n) to cells (n, H, W) of 0 and 1, uint8, by a table of the 256 bytes."""
    bits = torch.arange(256, device=words.device)[:, None] >> torch.arange(8, device=words.device)
    table = (bits & 1).to(torch.uint8).view(torch.int64).flatten()  # eight cells an entry
    eights = words.t()[..., None].contiguous().view(torch.uint8)  # (n, H, bytes a word)
    cells = table.index_select(0, eights.int().flatten()).view(torch.uint8)
    return cells.view(*eights.shape[:2], -1)[..., :size]
