"""Random grids of the shortest-path task: queries and obstacles, rows of cells as words of bits.

The words are those of `softshare.shortest_paths.search`; chunks of grids are drawn together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softshare.shortest_paths.search import full_row, word

__all__ = ["DRAWN", "obstacle_bits", "query_bits"]

DRAWN = 1280
"""Grids of a chunk; part of what a seed means, so it stays as it is."""

_BITS = 20  # an obstacle probability is rounded to a multiple of 2**-20


def query_bits(window: int, size: int, generator: torch.Generator) -> Tensor:
    """Two query cells for each grid of a chunk, as words (2, H, chunk) of one bit each."""

    def draw(count: Tensor | int) -> Tensor:  # the modulus is uniform to 1 part in 2**50
        return torch.randint(2**62, (DRAWN,), generator=generator, device=device) % count

    device, reach = generator.device, window // 2
    y, x = draw(size), draw(size)
    top, left = (y - reach).clamp(min=0), (x - reach).clamp(min=0)
    height = (y + reach).clamp(max=size - 1) - top + 1
    width = (x + reach).clamp(max=size - 1) - left + 1
    cell = draw(height * width - 1)
    cell += cell >= (y - top) * width + x - left  # skip the first query
    rows = torch.stack((y, top + cell // width))
    columns = torch.stack((x, left + cell % width)).to(word(size))
    words = torch.zeros(2, size, DRAWN, dtype=word(size), device=device)
    return words.scatter_(1, rows[:, None], (torch.ones_like(columns) << columns)[:, None])


def obstacle_bits(probability: float, size: int, generator: torch.Generator) -> Tensor:
    """Words (H, chunk) whose bits are set independently with the given probability.

    Each bit compares a binary fraction of fair coins, one plane of words a digit, with the
    probability, from the last digit to the first.
    """
    shape = (size, DRAWN * word(size).itemsize // 8)
    plane = torch.empty(shape, dtype=torch.int64, device=generator.device)
    words = torch.zeros_like(plane)
    fraction = min(round(probability * 2**_BITS), 2**_BITS - 1)
    for digit in range(_BITS):
        plane.random_(-(2**63), None, generator=generator)
        words = words | plane if fraction >> digit & 1 else words & plane
    return words.view(word(size)) & full_row(size)
