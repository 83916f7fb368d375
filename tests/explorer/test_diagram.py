"""Boxes, arrows and outlines are the schedule's."""

from __future__ import annotations

import re
from itertools import pairwise, product

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softshare.explorer.diagram import WIDTH, Diagram, colours, edges
from softshare.explorer.outline import outlines
from softshare.folding import folding
from softshare.folding.program import smallest

schedules = st.lists(st.integers(1, 5), min_size=1, max_size=14)


def numbered(schedule: list[int]) -> list[int]:
    """The same schedule, its numbers in order of first appearance."""
    order = list(dict.fromkeys(schedule))
    return [order.index(tie) + 1 for tie in schedule]


@settings(max_examples=200, deadline=None)
@given(schedules)
def test_arrows_are_the_steps_of_the_schedule(schedule: list[int]) -> None:
    walked = numbered(schedule)
    program = smallest(walked)
    found = edges(program)
    assert {(e.source, e.target) for e in found} == set(pairwise([0, *walked, max(walked) + 1]))
    assert len({(e.source, e.target) for e in found}) == len(found)
    counts = [count for e in found for count in e.counts]
    assert set(counts) == {loop.count for loop in program.loops}


@settings(max_examples=100, deadline=None)
@given(schedules)
def test_boxes_and_lines_stay_in_the_picture_and_arrows_have_lanes_of_their_own(
    schedule: list[int],
) -> None:
    rows = torch.eye(5)[[tie - 1 for tie in schedule]]
    diagram = Diagram(folding(rows, 1.0))
    boxes = diagram.layers + diagram.weights
    assert [b.text for b in diagram.layers] == [str(i + 1) for i in range(len(schedule))]
    assert len(diagram.weights) == len(set(schedule)) and len(diagram.merges) == len(schedule)
    assert all(b.left >= 0 and b.left + b.width <= WIDTH for b in boxes)
    for row in (diagram.layers, diagram.weights):
        assert all(a.left + a.width < b.left for a, b in pairwise(row))
    drawn = [float(x) for a in diagram.arcs for x in re.findall(r"[MH]([\d.]+)", a.path)]
    assert all(0 <= x <= WIDTH for x in drawn)
    spans = [sorted(map(float, re.findall(r"[MH]([\d.]+)", a.path)[:2])) for a in diagram.arcs]
    for (a, one), (b, other) in product(zip(diagram.arcs, spans, strict=True), repeat=2):
        if a is not b and a.y == b.y:
            assert one[1] < other[0] or other[1] < one[0], "two arrows on top of each other"
    assert all(a.y < diagram.height() for a in diagram.arcs)


@settings(max_examples=100, deadline=None)
@given(schedules)
def test_outlines_enclose_exactly_the_tied_pairs(schedule: list[int]) -> None:
    folded = folding(torch.eye(5)[[tie - 1 for tie in schedule]], 1.0)
    lines = outlines(folded)
    tied = [tie for tie in folded.ties if len(tie) > 1]
    assert [line.colour for line in lines] == list(range(1, len(tied) + 1))
    assert [c for c in colours(folded) if c] == [line.colour for line in lines]
    for tie, line in zip(tied, lines, strict=True):
        sides = set()
        for x, y, way, end in re.findall(r"M(\d+) (\d+)([HV])(\d+)", line.path):
            x, y, end = int(x), int(y), int(end)
            assert end > (x if way == "H" else y)
            sides |= {(way, i, y) for i in range(x, end)} if way == "H" else set()
            sides |= {(way, x, i) for i in range(y, end)} if way == "V" else set()
        cells = set(product(tie, tie))
        expected = {("V", j, i) for i, j in cells if (i, j - 1) not in cells}
        expected |= {("V", j + 1, i) for i, j in cells if (i, j + 1) not in cells}
        expected |= {("H", j, i) for i, j in cells if (i - 1, j) not in cells}
        expected |= {("H", j, i + 1) for i, j in cells if (i + 1, j) not in cells}
        assert sides == expected


def test_colours_are_the_papers_red_green_and_blue_first() -> None:
    from softshare.explorer.markup import style

    light = style().split("}")[0]
    for number, strongest in enumerate((0, 1, 2), start=1):
        found = re.search(rf"--c{number}: #(..)(..)(..);", light)
        assert found
        channels = [int(value, 16) for value in found.groups()]
        assert channels.index(max(channels)) == strongest
