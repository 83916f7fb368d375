"""How the library writes numbers, lists and errors in its sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Text", "bullets", "error_line", "listed", "plural", "thousands"]

_SHOWN = 8


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


def thousands(count: int) -> str:
    """A whole number with thin spaces between thousands.

    Example:
        >>> ascii(thousands(369606))
        "'369\\\\u202f606'"
    """
    return f"{count:,}".replace(",", "\u202f")


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
