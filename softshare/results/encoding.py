"""What lossy images cost: networks trained alike on a set and on the same set after JPEG."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from softshare.data.compression import quality, steps
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.naming import full_label, length
from softshare.results.difference import difference
from softshare.wording import p_value

if TYPE_CHECKING:
    import pandas as pd

_NONE = (math.nan, math.nan, math.nan, "")
COLUMNS = (
    *("network", "trained on", "steps", "profile", "epochs", "n", "error", "spread"),
    *("difference", "s.e.", "p", "here"),
)


def families(runs: Sequence[Run]) -> list[list[list[Run]]]:
    """Runs on encoded sets beside those on the set itself, trained alike; a list a set.

    In a family the set itself comes first, then the finest steps. Networks that the set itself
    has no run of are left out.

    Example:
        >>> families([])
        []
    """
    found: dict[Recipe, dict[str, list[Run]]] = {}
    for run in runs:
        base, _ = quality(run.recipe.data)
        alike = replace(run.recipe, seed=0, data=base)
        found.setdefault(alike, {}).setdefault(run.recipe.data, []).append(run)
    ordered = [
        [sets[name] for name in sorted(sets, key=lambda n: (n != alike.data, steps(n)))]
        for alike, sets in found.items()
        if alike.data in sets
    ]
    return [family for family in ordered if len(family) > 1]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each set of each family.

    Returns:
        `steps`, how coarse the encoding is, by `softshare.data.compression.steps`; `error`, the
        mean over `n` seeds in per cent, and its `spread`; `difference` from the set itself, its
        `s.e.`, `p` and what is seen `here`, by `softshare.results.difference`.
    """
    import pandas as pd

    lines = []
    for family in families(runs):
        for seeds in family:
            first, errors = seeds[0], [run.test_error for run in seeds]
            apart = difference(seeds, family[0]) if seeds is not family[0] else None
            lines.append(
                (
                    *(full_label(first), first.recipe.data, steps(first.recipe.data)),
                    *(first.profile, first.recipe.total_epochs, len(seeds)),
                    statistics.fmean(errors),
                    statistics.stdev(errors) if len(errors) > 1 else math.nan,
                    *((apart.points, apart.error, apart.p, apart.seen) if apart else _NONE),
                )
            )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def sentences(runs: Sequence[Run]) -> list[str]:
    """What each encoding costs, and from that what the set's own may have cost."""
    lines = [" ".join(filter(None, (_rises(f), _own(f), _straight(f)))) for f in families(runs)]
    return lines or ["No network has been trained on a set and on the same set after JPEG yet."]


def _rises(family: Sequence[Sequence[Run]]) -> str:
    plain, *lossy = family
    first = plain[0]
    costs = []
    for seeds in lossy:
        apart = difference(seeds, plain)
        seen = f"{apart.seen}, p {p_value(apart.p)}, n = {len(seeds)}"
        costs.append(f"{apart} at quality {_quality(seeds)} ({seen})")
    return (
        f"{full_label(first)} ({length(first.recipe)}, profile {first.profile}) has an error of "
        f"{_mean(plain):.2f} % on {first.recipe.data} (n = {len(plain)}). One more encoding "
        f"changes it by {' and by '.join(costs)}."
    )


def _own(family: Sequence[Sequence[Run]]) -> str:
    """The way back to images never encoded, in proportion to the first step away from them."""
    plain, coarser = family[0], _coarser(family)
    own = steps(plain[0].recipe.data)
    if not own or not coarser:
        return ""
    further = steps(coarser[0][0].recipe.data) - own
    apart, share = difference(coarser[0], plain), own / further
    return (
        f"The files of {plain[0].recipe.data} are themselves JPEG, rounded to {own:g} of the "
        f"standard's steps, and quality {_quality(coarser[0])} rounds to {own + further:g}. Were "
        f"errors to rise in proportion all the way from images never encoded, "
        f"{share * apart.points:.2f} ± {share * apart.error:.2f} points of the error would come "
        f"from that rounding."
    )


def _straight(family: Sequence[Sequence[Run]]) -> str:
    """Whether errors rise in proportion where that can be seen."""
    coarser = _coarser(family)
    if len(coarser) < 2:
        return ""
    sets = [family[0], *coarser]
    at = [steps(seeds[0].recipe.data) for seeds in sets]
    first, last = difference(sets[1], sets[0]), difference(sets[-1], sets[-2])
    ratio = (at[-1] - at[-2]) / (at[1] - at[0])
    more = "more" if last.points < ratio * first.points else "less"
    return (
        f"From quality {_quality(sets[-2])} to {_quality(sets[-1])} they change by {last}, where "
        f"{ratio * first.points:+.2f} ± {ratio * first.error:.2f} would be in proportion. If "
        f"errors bend so from the start, {more} than that share comes from the rounding."
    )


def _coarser(family: Sequence[Sequence[Run]]) -> list[Sequence[Run]]:
    own = steps(family[0][0].recipe.data)
    return [seeds for seeds in family[1:] if steps(seeds[0].recipe.data) > own]


def _quality(seeds: Sequence[Run]) -> int | None:
    return quality(seeds[0].recipe.data)[1]


def _mean(runs: Sequence[Run]) -> float:
    return statistics.fmean(run.test_error for run in runs)
