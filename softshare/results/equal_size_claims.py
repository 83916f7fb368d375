"""What the paper says with Figure 3, and whether our networks of equal size bear it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softshare.paper import value
from softshare.recipe import PROFILES
from softshare.records import Run
from softshare.records.naming import label, length
from softshare.results.equal_size import equal_size, unmatched
from softshare.results.table_claims import RULE
from softshare.wording import p_value, plural

if TYPE_CHECKING:
    import pandas as pd

CLAIM = "soft-shared networks err less than plain ones of equal size"
_BETWEEN = (
    "Where no plain network is as large, two are taken, one smaller and one larger. If errors fall "
    "with the logarithm of the parameters, and ever more slowly, the plain error at that size lies "
    "between that of the larger and the straight line from one to the other. What lies within is "
    "not told apart; what lies outside is counted from the nearer end."
)


def equal_size_sentences(runs: Sequence[Run]) -> list[str]:
    """What is seen of the figure's claim, each network in words, and what had no plain one beside.

    Demonstrations, at ``smoke``, are left out where there is anything else.

    Args:
        runs: runs of any kind.

    Example:
        >>> equal_size_sentences([])
        ['No soft-shared network and plain one of its size have been trained alike yet.']
    """
    pairs = equal_size(runs)
    results = pairs[pairs["profile"] != "smoke"]
    counted = pairs if results.empty else results
    if counted.empty:
        return ["No soft-shared network and plain one of its size have been trained alike yet."]
    where = "Here, in demonstrations alone" if results.empty else "Here"
    lines = [conclusion(counted, where), RULE]
    if counted["against"].str.contains(" to ").any():
        lines.append(_BETWEEN)
    lines += [f"{_in_words(row)}." for _, row in counted.iterrows()]
    if alone := _alone(runs):
        lines.append(f"With no plain network of such a size beside them: {'; '.join(alone)}.")
    return lines


def conclusion(pairs: pd.DataFrame, where: str = "Here") -> str:
    """What the foremost training says: the best profile, the longest up to the paper's schedule.

    Args:
        pairs: rows of `equal_size`.
        where: how our side of the sentence begins.
    """
    import pandas as pd

    longest = pairs["epochs"].clip(upper=value("settings/cifar/epochs"))
    ranks = pd.Series(list(zip(-pairs["profile"].map(PROFILES.index), longest, strict=True)))
    chosen = pairs[(ranks == max(ranks)).to_numpy()]
    less, more = (int((chosen["here"] == word).sum()) for word in ("better", "worse"))
    apart = chosen[chosen["here"] != "not told apart"]
    told = "".join(f"; {_in_words(row)}" for _, row in apart.iterrows())
    sets, first = " and ".join(dict.fromkeys(chosen["trained on"])), chosen.iloc[0]
    return (
        f"The paper: {CLAIM}. {where}, of {plural(len(chosen), 'network')} ({sets}, "
        f"{first['epochs']} epochs, profile {first['profile']}), **{less} "
        f"{'errs' if less == 1 else 'err'} less, {more} more, and {len(chosen) - less - more} "
        f"cannot be told apart**{told.replace(';', ':', 1)}."
    )


def _in_words(row: Any) -> str:
    """A network and its plain one, how far apart they are, and how they were trained."""
    between = " to " in row["against"]
    within = between and not row["ours"]
    apart = f"{row['ours']:+.2f} ± {row['s.e.']:.2f} points, {row['here']} (p {p_value(row['p'])}; "
    times = f"{row['MACs']:.1f}"
    whose = " of the larger" if between else ""
    costs = f" for {times} times the operations{whose}" if times != "1.0" else ""
    return (
        f"{row['shared']} with {row['parameters']:,} parameters, {row['error']:.2f} % errors"
        f"{costs}, against {row['against']}, {row['plain']} %: "
        f"{'within these (' if within else apart}"
        f"{row['trained on']}, {row['epochs']} epochs, profile {row['profile']}, n = {row['n']})"
    )


def _alone(runs: Sequence[Run]) -> list[str]:
    """Networks that no row is about, demonstrations apart."""
    return [
        f"{label(ours[0])} ({ours[0].data['name']}, {length(ours[0].recipe)}, n = {len(ours)})"
        for ours in unmatched(runs)
        if ours[0].profile != "smoke"
    ]
