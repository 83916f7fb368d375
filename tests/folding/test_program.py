"""The smallest program of repeats that prints a schedule, against all that do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softshare.folding.program import Program, Repeat, smallest


def programs(schedule: tuple[int, ...]) -> Iterator[Program]:
    """All programs that print a schedule."""
    if not schedule:
        yield Program(())
        return
    for end in range(1, len(schedule) + 1):
        head = schedule[:end]
        starts: list[int | Repeat] = [head[0]] if end == 1 else []
        for count in range(2, end + 1):
            if end % count == 0 and head == head[: end // count] * count:
                starts += [Repeat(count, body) for body in programs(head[: end // count])]
        for start in starts:
            for rest in programs(schedule[end:]):
                yield Program((start, *rest.steps))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=7))
def test_no_program_that_prints_the_schedule_is_smaller(schedule: list[int]) -> None:
    found = smallest(schedule)
    assert found.unroll() == tuple(schedule)
    every = list(programs(tuple(schedule)))
    assert found in every
    assert (found.size, found.calls) == min((p.size, p.calls) for p in every)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 4), max_size=24))
def test_a_program_prints_its_schedule(schedule: list[int]) -> None:
    assert smallest(schedule).unroll() == tuple(schedule)
    assert smallest(schedule).size <= len(schedule)


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        ([1, 2, 3, 4, 3, 4, 1, 2, 3, 4], "1 2 2×(3 4) 1 2 3 4"),  # Figure 6
        ([1, 2, 1, 2, 1, 2], "3×(1 2)"),
        ([1] * 20, "20×1"),
        ([1, 1], "2×1"),
        ([1, 1, 2, 1, 1, 2, 3], "2×(2×1 2) 3"),
        ([1, 2, 3], "1 2 3"),
    ],
)
def test_programs_as_one_would_write_them(schedule: list[int], text: str) -> None:
    assert str(smallest(schedule)) == text
