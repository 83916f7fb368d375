"""Loops in a schedule: the smallest program of nested repeats that prints it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Union

Step = Union[int, "Repeat"]


@dataclass(frozen=True)
class Program:
    """Layers by number, and repeats of shorter programs, one after the other.

    Example:
        >>> program = Program((1, 2, Repeat(2, Program((3, 4)))))
        >>> str(program), program.unroll(), program.size
        ('1 2 2×(3 4)', (1, 2, 3, 4, 3, 4), 5)
    """

    steps: tuple[Step, ...]

    @property
    def size(self) -> int:
        """Numbers that have to be written down: one for each layer named and each count."""
        return sum(1 if isinstance(s, int) else 1 + s.body.size for s in self.steps)

    @property
    def calls(self) -> int:
        """Layers named, each time they are."""
        return sum(1 if isinstance(s, int) else s.body.calls for s in self.steps)

    @property
    def loops(self) -> tuple[Repeat, ...]:
        """All repeats, outer ones before those inside them."""
        found: list[Repeat] = []
        for step in self.steps:
            if isinstance(step, Repeat):
                found += [step, *step.body.loops]
        return tuple(found)

    def unroll(self) -> tuple[int, ...]:
        """The schedule that the program prints."""
        return tuple(self._printed())

    def _printed(self) -> Iterator[int]:
        for step in self.steps:
            if isinstance(step, int):
                yield step
            else:
                for _ in range(step.count):
                    yield from step.body._printed()

    def __str__(self) -> str:
        return " ".join(map(str, self.steps))


@dataclass(frozen=True)
class Repeat:
    """A program run `count` times, 2 or more.

    Example:
        >>> str(Repeat(3, Program((1,)))), str(Repeat(2, Program((1, Repeat(3, Program((2,)))))))
        ('3×1', '2×(1 3×2)')
    """

    count: int
    body: Program

    def __str__(self) -> str:
        alone = len(self.body.steps) == 1 and isinstance(self.body.steps[0], int)
        return f"{self.count}×{self.body}" if alone else f"{self.count}×({self.body})"


def smallest(schedule: Sequence[int]) -> Program:
    """The program of least `size` that prints a schedule.

    Among several of that size the one that names the fewest layers, then the one with the
    earliest repeat: ``1 1`` is ``2×1``. Found by dynamic programming over all parts of the
    schedule, O(L^3).

    Args:
        schedule: numbers of the ties, layer by layer.

    Returns:
        A `Program` with ``smallest(s).unroll() == tuple(s)``.

    Example:
        >>> str(smallest([1, 2, 3, 4, 3, 4, 1, 2, 3, 4])), str(smallest([1, 2, 2, 1, 2, 2]))
        ('1 2 2×(3 4) 1 2 3 4', '2×(1 2×2)')
        >>> str(smallest([1] * 6)), str(smallest([]))
        ('6×1', '')
        >>> str(smallest([1, 2, 3, 1, 2, 3, 1]))
        '2×(1 2 3) 1'
    """
    plan = tuple(schedule)
    cost: dict[tuple[int, int], tuple[int, int, int]] = {}  # size, calls, layers before a repeat
    chosen: dict[tuple[int, int], tuple[str, int]] = {}
    for length in range(1, len(plan) + 1):
        for i in range(len(plan) - length + 1):
            j = i + length
            if length == 1:
                cost[i, j], chosen[i, j] = (1, 1, 1), ("layer", 0)
                continue
            options = []
            for d in range(1, length // 2 + 1):
                if length % d == 0 and plan[i : j - d] == plan[i + d : j]:
                    size, calls, _ = cost[i, i + d]
                    options.append(((size + 1, calls, 0), ("repeat", d)))
            for m in range(i + 1, j):
                a, b = cost[i, m], cost[m, j]
                before = a[2] + (b[2] if a[2] == m - i else 0)
                options.append(((a[0] + b[0], a[1] + b[1], before), ("split", m)))
            cost[i, j], chosen[i, j] = min(options)
    return Program(tuple(_steps(plan, chosen, 0, len(plan))))


def _steps(
    plan: tuple[int, ...], chosen: dict[tuple[int, int], tuple[str, int]], i: int, j: int
) -> Iterator[Step]:
    if i == j:
        return
    kind, at = chosen[i, j]
    if kind == "layer":
        yield plan[i]
    elif kind == "repeat":
        yield Repeat((j - i) // at, Program(tuple(_steps(plan, chosen, i, i + at))))
    else:
        yield from _steps(plan, chosen, i, at)
        yield from _steps(plan, chosen, at, j)
