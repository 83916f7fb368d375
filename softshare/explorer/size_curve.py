"""Size and error against the threshold: the explorer's small curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from softshare.explorer.states import Moment
from softshare.wording import thousands

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 360, 50, 300, 10, 104
KINDS = {"folded": "", "recalibrated": "_recalibrated"}


@dataclass(frozen=True)
class Series:
    """A measured quantity: points in the picture, and the line through them."""

    kind: str
    points: Sequence[tuple[float, float]]

    @property
    def path(self) -> str:
        """The line, in SVG's words."""
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Curve:
    """A picture of one moment: from the left, unfolded, to all that folds."""

    size: str
    reference: float | None
    lines: Sequence[Series]
    labels: Sequence[tuple[str, float, float, str]]
    says: str
    left, right, top, bottom = LEFT, RIGHT, TOP, BOTTOM


def curve(moment: Moment, parameters: int, metric: str, score: Callable[[float], str]) -> Curve:
    """Lays out parameters as a falling step, and scores where they were measured.

    Args:
        moment: the states to draw.
        parameters: of the unfolded network: full height.
        metric: ``test_error``, ``f1`` or empty.
        score: writes a score.
    """
    states, names = moment.states, moment.thresholds
    across = [place(i, len(states)) for i in range(len(states))]
    steps = f"M{LEFT} {BOTTOM}"
    for x, state in zip(across, states, strict=True):
        steps += f"H{x:g}V{BOTTOM - state.parameters / parameters * (BOTTOM - TOP):.1f}"
    series = {
        kind: [
            (x, s.measured[key]) for x, s in zip(across, states, strict=True) if key in s.measured
        ]
        for kind, key in ((kind, metric + end) for kind, end in KINDS.items())
    }
    values = [value for points in series.values() for _, value in points]
    values += [] if moment.score is None else [moment.score]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    scale = (BOTTOM - TOP - 16) / (high - low) if high > low else 0.0
    heights = {value: round(BOTTOM - 8 - (value - low) * scale, 1) for value in values}
    shown = sorted({0, len(states) // 2, len(states) - 1})
    labels = [(names[i], across[i], BOTTOM + 13.0, "middle") for i in shown]
    labels += [
        (thousands(parameters), RIGHT + 5.0, TOP + 2.0, "start"),
        ("0", RIGHT + 5.0, BOTTOM - 2.0, "start"),
    ]
    labels += [(score(v), LEFT - 5.0, heights[v], "end") for v in sorted({low, high}) if values]
    lines = [
        Series(kind, [(x, heights[value]) for x, value in points])
        for kind, points in series.items()
        if points
    ]
    last = states[-1]
    n = len(series["folded"])
    says = (
        f"Parameters fall from {thousands(states[0].parameters)} to {thousands(last.parameters)} "
        f"as the threshold falls from 1; the score of the folded network is measured at {n} of "
        f"{len(states)} thresholds."
    )
    reference = None if moment.score is None else heights[moment.score]
    return Curve(f"{steps}H{RIGHT}V{BOTTOM}Z", reference, lines, labels, says)


def place(position: int, positions: int) -> float:
    """Where a threshold lies from left to right: in equal steps, as on the slider.

    Thresholds may crowd near 1 or 0, so an axis of their values would hide the steps.

    Example:
        >>> [place(i, 3) for i in range(3)] == [LEFT, (LEFT + RIGHT) / 2, RIGHT]
        True
    """
    return round(LEFT + position / max(1, positions - 1) * (RIGHT - LEFT), 1)
