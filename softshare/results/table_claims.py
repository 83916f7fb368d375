"""What the paper says with each of its tables, and how many of our pairs bear it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from softshare.records import Run
from softshare.records.provenance import plural
from softshare.results.difference import BY_CHANCE
from softshare.results.findings import contrasts

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Claim:
    """A statement on pairs of networks.

    Attributes:
        words: what the paper says.
        templates: of the shared network's groups; 0 for as many as layers.
        family: of its twin, ``WRN`` without sharing or ``SWRN`` with all templates.
        gain: whether the shared network is to err less, or else to lose little.
    """

    words: str
    templates: int
    family: str
    gain: bool


_EQUAL_SIZE = Claim("SWRN L-w errs less than WRN L-w, at equal size", 0, "WRN", gain=True)
_ONE = Claim(
    "SWRN L-w-1, one template a group, does nearly as well as WRN L-w", 1, "WRN", gain=False
)
_TWO = Claim("SWRN L-w-2 loses little against its full twin SWRN L-w", 2, "SWRN", gain=False)
CLAIMS = {
    "table1": (_EQUAL_SIZE, _ONE),
    "table2": (_TWO,),
    "table3": (_EQUAL_SIZE,),
    "table4": (_EQUAL_SIZE, _TWO),
}


def conclusions(pairs: pd.DataFrame, table: str, where: str = "Here") -> list[str]:
    """A sentence for each claim of a table: what our pairs say of it.

    Args:
        pairs: rows of `softshare.results.findings.contrasts`.
        table: ``table1`` to ``table4``.
        where: how our side of each sentence begins.
    """
    return [f"The paper: {claim.words}. {where} {_found(claim, pairs)}" for claim in CLAIMS[table]]


def table_sentences(runs: Sequence[Run], table: str) -> list[str]:
    """The conclusions on a table, what chance makes of them, and each pair.

    Demonstrations, at ``smoke``, are left out where any other pair has been trained alike.

    Args:
        runs: runs of a table.
        table: ``table1`` to ``table4``.

    Example:
        >>> table_sentences([], "table2")
        ['No soft-shared network and a twin of it have been trained alike yet.']
    """
    pairs = contrasts(runs, table)
    if pairs.empty:
        return ["No soft-shared network and a twin of it have been trained alike yet."]
    results = pairs[pairs["profile"] != "smoke"]
    counted = pairs if results.empty else results
    where = "Here, in demonstrations alone," if results.empty else "Here"
    lines = conclusions(counted, table, where)
    left = len(pairs) - len(counted)
    told = f"; the table above has {left} more, demonstrations that do not count" if left else ""
    lines.append(
        f"{plural(len(counted), 'comparison')} in all, listed below{told}. Of networks that are "
        f"alike, one comparison in {BY_CHANCE} would be told apart by chance; comparisons that "
        "share a network move together."
    )
    if any("(quoted)" in pair for pair in counted["pair in the paper"]):
        lines.append(
            "The paper's differences against a number marked as quoted set means of its own runs "
            "beside what it most likely took over from others: not networks trained alike."
        )
    return lines + [_pair(row) for _, row in counted.iterrows()]


def _found(claim: Claim, pairs: pd.DataFrame) -> str:
    chosen = [
        _templates(shared) == claim.templates and other.partition(" ")[0] == claim.family
        for shared, other in zip(pairs["shared"], pairs["against"], strict=True)
    ]
    found = pairs[chosen]
    if found.empty:
        return "no such pair has been trained alike yet."
    words = ("better", "worse", "not told apart")
    less, more, apart = (int((found["here"] == word).sum()) for word in words)
    settings = zip(found["trained on"], found["epochs"], strict=True)
    where = "; ".join(dict.fromkeys(f"{data}, {epochs} epochs" for data, epochs in settings))
    low, high = found["ours"].min(), found["ours"].max()
    span = f"{low:+.2f}" + (f" to {high:+.2f}" if len(found) > 1 else "")
    return (
        f"**{_verdict(claim, less, more)}**. Of {plural(len(found), 'pair')} ({where}) the first "
        f"errs less in {less} and more in {more}; not told apart: {apart}. The difference is "
        f"{span} points."
    )


def _verdict(claim: Claim, less: int, more: int) -> str:
    if less and more:
        return "the pairs disagree"
    if claim.gain:
        return "it does" if less else "the opposite is seen" if more else "it is undecided"
    return "a loss is seen" if more else "a gain is seen" if less else "no loss is seen or excluded"


def _pair(row: Any) -> str:
    text = (
        f"{row['shared']} against {row['against']}: {row['ours']:+.2f} ± {row['uncertainty']:.2f} "
        f"points, {row['here']} ({row['trained on']}, {row['epochs']} epochs, profile "
        f"{row['profile']}, n = {row['n']})."
    )
    if row["pair in the paper"]:
        text += f" The paper has {row['paper']:+.2f} for {row['pair in the paper']}."
    return text


def _templates(name: str) -> int:
    """Of a label: the templates a group, 0 where it names none.

    Example:
        >>> _templates("SWRN 28-10-2*"), _templates("SWRN 28-10")
        (2, 0)
    """
    parts = name.removesuffix("*").split("-")
    return int(parts[2]) if len(parts) == 3 else 0
