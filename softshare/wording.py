"""How the library writes numbers, lists and errors in its sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = [
    "Text",
    "bullets",
    "error_line",
    "listed",
    "p_value",
    "plural",
    "seeded",
    "span",
    "thousands",
]

_SHOWN = 8
_LEAST = 1e-4  # of a p that is told
_UNITS = (  # of time: each with its seconds, and how many of it are said
    ("s", 1, 60),
    ("min", 60, 600),
    ("h", 3600, 100),
    ("days", 86_400, 1000),
    ("years", 365.25 * 86_400, float("inf")),
)


class Text(str):
    """A sentence or more that a notebook shows as Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


def bullets(sentences: Iterable[str]) -> Text:
    """Sentences as a list.

    Example:
        >>> print(bullets(["One.", "Two."]))
        - One.
        - Two.
    """
    return Text("\n".join(f"- {sentence}" for sentence in sentences))


def plural(count: int, thing: str) -> str:
    """A number and its noun.

    Example:
        >>> plural(1, "run"), plural(2, "run")
        ('1 run', '2 runs')
    """
    return f"{count} {thing}" + ("" if count == 1 else "s")


def seeded(seeds: Sequence[int]) -> str:
    """Which seed, or how many, a sentence speaks of.

    Example:
        >>> seeded([4]), seeded([0, 1, 2])
        ('seed 4', '3 seeds')
    """
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"


def thousands(count: int) -> str:
    """A whole number with thin spaces between thousands.

    Example:
        >>> ascii(thousands(369606))
        "'369\\\\u202f606'"
    """
    return f"{count:,}".replace(",", "\u202f")


def p_value(p: float) -> str:
    """What follows the p of a test: equal to two digits, or below what is told.

    Example:
        >>> p_value(0.0671), p_value(1.0), p_value(3e-9)
        ('= 0.067', '= 1', '< 0.0001')
    """
    return f"= {p:.2g}" if p >= _LEAST else f"< {_LEAST:.4f}"


def span(seconds: float) -> str:
    """A time for people.

    Example:
        >>> span(8), span(95), span(5000), span(300_000)
        ('8 s', '1.6 min', '83 min', '83 h')
        >>> span(1e6), span(5e7), span(4e8)
        ('12 days', '579 days', '13 years')
    """
    unit, size, _ = next(unit for unit in _UNITS if seconds < unit[1] * unit[2])
    number = seconds / size
    return f"{number:.1f} {unit}" if unit != "s" and number < 10 else f"{number:.0f} {unit}"


def listed(names: Sequence[str]) -> str:
    """The first eight names of some.

    Example:
        >>> listed(["0.weight", "2.weight"])
        '0.weight, 2.weight'
    """
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def error_line(error: BaseException) -> str:
    """An error in one line.

    Example:
        >>> error_line(OSError(28, "No space left on device", "data/runs"))
        'No space left on device: data/runs'
    """
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}"
    return " ".join(str(error).split()) or type(error).__name__
