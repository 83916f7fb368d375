"""The geometry of a folded group: boxes, the lines that merge them, and the arrows back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softshare.folding import Folding
from softshare.folding.program import Program

WIDTH = 360
COLOURS = 10
_SIDE = 24  # room for the arrows in and out
_TOP, _LAYER, _WEIGHT = 17, 24, 30  # y of the layers; heights of the boxes
_ROW = _TOP + _LAYER + 50  # y of the weights
_LANE = 19


@dataclass(frozen=True)
class Box:
    """A layer or a weight: centre, width, what is written in it, colour (0: shared by nobody)."""

    x: float
    width: float
    text: str
    colour: int

    @property
    def left(self) -> float:
        """Its left edge."""
        return round(self.x - self.width / 2, 1)


@dataclass(frozen=True)
class Line:
    """A path, its colour, and a count where it closes a loop."""

    path: str
    colour: int
    text: str = ""
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Edge:
    """From one weight to the next: 0 is the way in, one more than there are weights the way out.

    `counts` are those of the loops that it closes.
    """

    source: int
    target: int
    counts: tuple[int, ...] = ()


def edges(program: Program) -> list[Edge]:
    """Each step that a folded group takes from weight to weight, once, in order of first taking.

    Example:
        >>> from softshare.folding.program import smallest
        >>> for edge in edges(smallest([1, 2, 1, 2, 1, 2])):
        ...     print(edge.source, edge.target, edge.counts)
        0 1 ()
        1 2 ()
        2 1 (3,)
        2 3 ()
    """
    steps: list[tuple[int, int, int]] = []
    last = _walk(program, 0, steps)
    steps.append((last, max(program.unroll()) + 1, 0))
    counts: dict[tuple[int, int], list[int]] = {}
    for source, target, count in steps:
        counts.setdefault((source, target), []).extend([count] if count else [])
    return [Edge(*ends, tuple(dict.fromkeys(found))) for ends, found in counts.items()]


def colours(folded: Folding) -> list[int]:
    """The colour of each tie: 1, 2, ... for those of two layers or more, in order, else 0.

    Colours 1, 2 and 3 are the paper's red, green and blue (Figures 4 and 6).
    """
    found, shared = [], 0
    for tie in folded.ties:
        shared += len(tie) > 1
        found.append((shared - 1) % COLOURS + 1 if len(tie) > 1 else 0)
    return found


class Diagram:
    """A group before and after folding, in a picture `WIDTH` wide.

    Args:
        folded: the group at a threshold.
    """

    top, row, layer_height, weight_height = _TOP, _ROW, _LAYER, _WEIGHT

    def __init__(self, folded: Folding) -> None:
        colour = colours(folded)
        L, n = len(folded.layers), len(folded.ties)
        step = min((WIDTH - 2 * _SIDE) / L, 46)
        width = min(step - 3, 30)
        places = [WIDTH / 2 + (i - (L - 1) / 2) * step for i in range(L)]
        self.layers = [
            Box(round(x, 1), width, str(i + 1), colour[tie - 1])
            for i, (x, tie) in enumerate(zip(places, folded.schedule, strict=True))
        ]
        apart = min((WIDTH - 2 * _SIDE) / n, max(step, 76))
        wide = min(apart * 0.8 if apart < 30 else apart * 0.62, 40)
        centres = [WIDTH / 2 + (i - (n - 1) / 2) * apart for i in range(n)]
        self.weights = [
            Box(round(x, 1), round(wide, 1), str(i + 1), colour[i]) for i, x in enumerate(centres)
        ]
        y, below = _TOP + _LAYER, _ROW
        bend = (below - y) / 2
        self.merges = [
            Line(
                f"M{a.x:g} {y}C{a.x:g} {y + bend:g} {b.x:g} {y + bend:g} {b.x:g} {below}", a.colour
            )
            for a, b in zip(
                self.layers, (self.weights[t - 1] for t in folded.schedule), strict=True
            )
        ]
        self._draw(edges(folded.program))

    def _draw(self, found: Sequence[Edge]) -> None:
        n, middle = len(self.weights), _ROW + _WEIGHT / 2
        self.forward: list[str] = []
        arcs: list[tuple[float, float, Edge]] = []
        ends = [Box(0, 0, "", 0), *self.weights, Box(0, 0, "", 0)]
        for edge in found:
            a, b = ends[edge.source], ends[edge.target]
            if edge.target == edge.source + 1 and not edge.counts:
                start = a.left + a.width if edge.source else b.left - _SIDE
                end = b.left if edge.target <= n else start + _SIDE
                self.forward.append(_arrow(start, end, middle))
            else:
                outside = self.weights[-1].left + self.weights[-1].width + _SIDE / 2
                end = outside if edge.target > n else b.x - b.width * 0.36
                arcs.append((a.x + a.width * 0.36, end, edge))
        self.arcs, self.depth = [], 0
        taken: list[tuple[float, float, int]] = []
        for start, end, edge in sorted(arcs, key=lambda arc: abs(arc[0] - arc[1])):
            low, high = min(start, end), max(start, end)
            lane = max((m + 1 for a, b, m in taken if a < high + 1 and low < b + 1), default=0)
            taken.append((low, high, lane))
            self.depth = max(self.depth, lane + 1)
            y = _ROW + _WEIGHT + 15 + lane * _LANE
            colour = ends[edge.target].colour
            text = ", ".join(f"{count}×" for count in edge.counts)
            bottom = middle if edge.target > n else _ROW + _WEIGHT
            path = _around(start, end, _ROW + _WEIGHT, y, bottom)
            self.arcs.append(Line(path, colour, text, round((start + end) / 2, 1), y))

    def height(self, depth: int | None = None) -> int:
        """Height with room for so many arcs one below the other; by default for its own."""
        return _ROW + _WEIGHT + 8 + _LANE * (self.depth if depth is None else depth)


def _walk(program: Program, last: int, steps: list[tuple[int, int, int]]) -> int:
    """Adds the steps of a program that is entered from `last`; returns where it ends."""
    for part in program.steps:
        if isinstance(part, int):
            steps.append((last, part, 0))
            last = part
        else:
            start = len(steps)
            last = _walk(part.body, last, steps)
            steps.append((last, steps[start][1], part.count))
    return last


def _arrow(start: float, end: float, y: float) -> str:
    return f"M{start:g} {y:g}" + _head(end)


def _around(start: float, end: float, top: float, y: float, bottom: float) -> str:
    """Down, across with round corners, up again into an arrowhead; on its way out, to the right."""
    turn = 1 if end > start else -1
    r = min(6.0, abs(end - start) / 2)
    path = (
        f"M{start:g} {top:g}V{y - r:g}Q{start:g} {y:g} {start + turn * r:g} {y:g}"
        f"H{end - turn * r:g}Q{end:g} {y:g} {end:g} {y - r:g}"
    )
    if bottom < top:
        return f"{path}V{bottom + r:g}Q{end:g} {bottom:g} {end + r:g} {bottom:g}" + _head(end + 14)
    return f"{path}V{bottom + 1:g}m-3.5 4.5l3.5 -4.5l3.5 4.5"


def _head(x: float) -> str:
    """On to x, into an arrowhead that points right."""
    return f"H{x:g}m-4.5 -3.5l4.5 3.5l-4.5 3.5"
