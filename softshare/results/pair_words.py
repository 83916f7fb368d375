"""Two networks trained alike, in words: rows of `softshare.results.contrasts.contrasts`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from softshare.results.power import SURE, seeds_needed
from softshare.wording import p_value

if TYPE_CHECKING:
    import pandas as pd


def all_in_words(pairs: pd.DataFrame) -> str:
    """One pair after the other."""
    return "; ".join(in_words(row) for _, row in pairs.iterrows())


def in_words(row: Any) -> str:
    """By how much the two differ, how sure that is, and how they were trained."""
    return (
        f"{row['shared']} against {row['against']}: {row['ours']:+.2f} ± {row['s.e.']:.2f} "
        f"points, {row['here']} (p {p_value(row['p'])}; {row['trained on']}, "
        f"{row['epochs']} epochs, profile {row['profile']}, n = {row['n']})"
    )


def beside_the_paper(row: Any) -> str:
    """The paper's own difference, and what it would take to see as much."""
    own = row["pair in the paper"]
    return f" The paper has {row['paper']:+.2f} for {own}.{_needed(row)}" if own else ""


def _needed(row: Any) -> str:
    """What it would take to see as much, where seeds of both were too few."""
    counts = seeds(row["n"])
    printed = round(row["paper"], 2)
    if min(counts) < 2 or row["here"] != "not told apart" or not printed:
        return ""
    spread = row["s.e."] / math.sqrt(sum(1 / n for n in counts))
    return (
        f" To tell as much apart in {100 * SURE:g} % of all repetitions, at a spread of "
        f"{spread:.2f} points over seeds, takes {seeds_needed(printed, spread)} of each."
    )


def seeds(n: str) -> list[int]:
    """How many seeds a pair has of the one network and of the other.

    Example:
        >>> seeds("9 and 4")
        [9, 4]
    """
    return [int(count) for count in n.split(" and ")]
