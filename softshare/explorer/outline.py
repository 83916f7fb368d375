"""The outlines of tied pairs in a similarity matrix."""

from __future__ import annotations

from collections.abc import Collection

from softshare.explorer.diagram import Line, colours
from softshare.folding import Folding


def outlines(folded: Folding) -> list[Line]:
    """A line for each tie of two layers or more, around its cells, in units of one cell.

    Example:
        >>> import torch
        >>> from softshare.folding import folding
        >>> [line.path for line in outlines(folding(torch.ones(2, 1), 1.0))]
        ['M0 0H2M0 0V2M0 2H2M2 0V2']
    """
    return [
        Line(_border(tie), colour)
        for tie, colour in zip(folded.ties, colours(folded), strict=True)
        if colour
    ]


def _border(tie: Collection[int]) -> str:
    """The border of the cells (i, j) of all i and j of a tie; runs of cells have one line."""
    spans = _runs(sorted(tie))
    sides = {(a, c, d) for a, b in spans for c, d in spans} | {
        (b, c, d) for a, b in spans for c, d in spans
    }
    paths = [f"M{x} {c}V{d}" for x, c, d in sides] + [f"M{c} {y}H{d}" for y, c, d in sides]
    return "".join(sorted(paths))


def _runs(layers: list[int]) -> list[tuple[int, int]]:
    """First and one past the last of each run of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for i in layers:
        start = runs.pop()[0] if runs and runs[-1][1] == i else i
        runs.append((start, i + 1))
    return runs
