"""What the paper says with each of its tables, and whether our pairs bear it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from softshare.paper import value
from softshare.recipe import PROFILES
from softshare.records import Run
from softshare.results.contrasts import contrasts
from softshare.results.difference import BY_CHANCE, LEVEL
from softshare.results.pair_words import all_in_words, beside_the_paper, in_words, seeds
from softshare.wording import plural

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
RULE = (
    f"Told apart is what has p below {LEVEL}. Where both networks have several seeds, that is "
    f"Welch's t-test over these, and of networks that are alike one comparison in {BY_CHANCE} is "
    "told apart by chance. Of a single run what the seed does is unknown: the number of test "
    "images stands in for it, and how often chance tells such runs apart nobody knows."
)


def conclusions(pairs: pd.DataFrame, table: str, where: str = "Here") -> list[str]:
    """A sentence for each claim of a table: what our pairs nearest the paper's say of it.

    Those at the best profile, of these the longest trained up to the paper's schedule, of these
    the paper's own or else the widest, on any data set. Behind it stands what other widths say,
    and what the same networks say that were trained otherwise, with more seeds.

    Args:
        pairs: rows of `softshare.results.contrasts.contrasts`.
        table: ``table1`` to ``table4``.
        where: how our side of each sentence begins.
    """
    return [f"The paper: {claim.words}. {where} {_found(claim, pairs)}" for claim in CLAIMS[table]]


def table_sentences(runs: Sequence[Run], table: str) -> list[str]:
    """The conclusions on a table, how they were reached, and each pair.

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
    left = len(pairs) - len(counted)
    told = f"; the table above has {left} more, demonstrations that do not count" if left else ""
    lines = [
        *conclusions(counted, table, where),
        RULE,
        f"{plural(len(counted), 'comparison')} in all, listed below{told}. Those that share a "
        "network move together, and that there are several is not corrected for.",
    ]
    if any("(quoted)" in printed for printed in counted["pair in the paper"]):
        lines.append(
            "The paper's differences against a number marked as quoted set means of its own runs "
            "beside what it most likely took over from others: not networks trained alike."
        )
    return lines + [f"{in_words(row)}." + beside_the_paper(row) for _, row in counted.iterrows()]


def _found(claim: Claim, pairs: pd.DataFrame) -> str:
    import pandas as pd

    chosen = [
        _shape(shared)[1] == claim.templates and other.partition(" ")[0] == claim.family
        for shared, other in zip(pairs["shared"], pairs["against"], strict=True)
    ]
    found = pairs[chosen]
    if found.empty:
        return "no such pair has been trained alike yet."
    width = found["shared"].map(lambda shared: _shape(shared)[0])
    nearest = _nearest(found)
    less, more = (int((nearest["here"] == word).sum()) for word in ("better", "worse"))
    rest = found[~width.isin(width[nearest.index])]
    others = [_nearest(same) for _, same in rest.groupby(-width)]  # the widest first
    told = pd.concat([nearest, *others])
    text = f"**{_verdict(claim, less, more)}**: {all_in_words(nearest)}."
    if others:
        text += f" At other widths: {all_in_words(told.drop(nearest.index))}."
    if surer := _surer(found, told):
        text += f" Trained otherwise, with more seeds: {'; '.join(map(all_in_words, surer))}."
    return text


def _surer(pairs: pd.DataFrame, told: pd.DataFrame) -> list[pd.DataFrame]:
    """Of each pair told of, the training with most seeds, where none of those told has as many."""
    found = []
    least = pairs["n"].map(lambda n: min(seeds(n)))
    for (shared, against), rows in told.groupby(["shared", "against"], sort=False):
        same = least[(pairs["shared"] == shared) & (pairs["against"] == against)]
        if same.max() > least[rows.index].max():
            found.append(_nearest(pairs.loc[same.index[same == same.max()]]))
    return found


def _nearest(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs that `_merit` sets above all others."""
    merits = [_merit(row) for _, row in pairs.iterrows()]
    return pairs[[merit == max(merits) for merit in merits]]


def _merit(row: Any) -> tuple[int, int, bool, int]:
    """How near a pair is to the paper's; pairs of its own are equally near at every width."""
    own = row["pair in the paper"].startswith(f"{row['shared']} against {row['against']}")
    width = 0 if own else _shape(row["shared"])[0]
    epochs = min(row["epochs"], value("settings/cifar/epochs"))
    return -PROFILES.index(row["profile"]), epochs, own, width


def _verdict(claim: Claim, less: int, more: int) -> str:
    if less and more:
        return "the pairs disagree"
    if claim.gain:
        return "it does" if less else "the opposite is seen" if more else "it is undecided"
    return "a loss is seen" if more else "a gain is seen" if less else "no loss is seen or excluded"


def _shape(name: str) -> tuple[int, int]:
    """Of a label: the width, and the templates a group, 0 where it names none.

    Example:
        >>> _shape("SWRN 28-10-2*"), _shape("SWRN 28-10")
        ((10, 2), (10, 0))
    """
    width, *templates = name.removesuffix("*").split("-")[1:]
    return int(width), int(templates[0]) if templates else 0
