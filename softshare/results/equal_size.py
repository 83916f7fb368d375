"""Soft-shared networks beside plain ones of as many parameters, trained alike (Figure 3)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softshare.recipe import PROFILES
from softshare.records import Run
from softshare.records.naming import label
from softshare.results.comparable import training
from softshare.results.difference import Difference, difference, weighted
from softshare.results.efficiency import shows

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("shared", "parameters", "error", "against", "plain", "MACs", "trained on", "profile"),
    *("epochs", "n", "ours", "s.e.", "p", "here"),
)
SAME = 0.01  # sizes that differ by less, as a share, count as equal


def equal_size(runs: Sequence[Run]) -> pd.DataFrame:
    r"""Each soft-shared network against plain ones of its size, trained alike.

    Beside plain networks a and b, smaller and larger, one of P parameters has for an upper end

    .. math:: e_a + \frac{\log P - \log P_a}{\log P_b - \log P_a} (e_b - e_a)

    and for a lower end :math:`e_b`.

    Args:
        runs: runs of any kind; those that `softshare.results.efficiency.shows` refuses are left
            out, and so are networks smaller or larger than all plain ones.

    Returns:
        A row a network, the best profile first, then the longest training, then the smallest
        network: its `error` in per cent; the `plain` one's, or its two ends; how many times its
        `MACs` the shared one does, or those of the larger; `n`, runs of each; `ours`, the
        difference, 0 between the ends, its `s.e.` and `p`, and what is seen `here`, by
        `softshare.results.difference`.

    Example:
        >>> equal_size([]).empty
        True
    """
    import pandas as pd

    lines = []
    for ours, beside in _beside_plain(runs):
        if not beside:
            continue
        apart, ends = _apart(ours, beside)
        lines.append(
            (
                *(label(ours[0]), ours[0].model["parameters"], _mean(ours)),
                *(" to ".join(label(others[0]) for others in beside), ends),
                ours[0].model["macs"] / beside[-1][0].model["macs"],
                *(ours[0].data["name"], ours[0].profile, ours[0].recipe.total_epochs),
                " and ".join(str(len(group)) for group in (ours, *beside)),
                *(apart.points, apart.error, apart.p, apart.seen),
            )
        )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def unmatched(runs: Sequence[Run]) -> list[list[Run]]:
    """The soft-shared networks that are smaller or larger than all plain ones trained alike.

    Example:
        >>> unmatched([])
        []
    """
    return [ours for ours, beside in _beside_plain(runs) if not beside]


def _beside_plain(runs: Sequence[Run]) -> list[tuple[list[Run], list[list[Run]]]]:
    """Each soft-shared network, and what `_beside` finds among the plain ones trained alike."""
    found: dict[Any, dict[str, list[Run]]] = {}
    for run in sorted(filter(shows, runs), key=lambda run: run.model["parameters"]):
        key = training(run), run.recipe.dropout
        found.setdefault(key, {}).setdefault(label(run), []).append(run)
    pairs = []
    for models in sorted(found.values(), key=_rank):
        plain = [group for name, group in models.items() if not name.startswith("SWRN")]
        shared = [group for name, group in models.items() if name.startswith("SWRN")]
        pairs += [(ours, _beside(ours[0].model["parameters"], plain)) for ours in shared]
    return pairs


def _rank(models: Mapping[str, list[Run]]) -> tuple[int, int, str]:
    run = next(iter(models.values()))[0]
    return PROFILES.index(run.profile), -run.recipe.total_epochs, run.data["name"]


def _beside(size: int, plain: Sequence[list[Run]]) -> list[list[Run]]:
    """The plain network of this size, or the next smaller and the next larger; else none."""
    sizes = [group[0].model["parameters"] for group in plain]
    ratios = [abs(other / size - 1) for other in sizes]
    if ratios and min(ratios) <= SAME:
        return [plain[ratios.index(min(ratios))]]
    larger = sum(other < size for other in sizes)
    return list(plain[larger - 1 : larger + 1]) if 0 < larger < len(sizes) else []


def _apart(ours: list[Run], beside: Sequence[list[Run]]) -> tuple[Difference, str]:
    """How far a network lies from the plain one, or from what one of its size may have."""
    if len(beside) == 1:
        return difference(ours, beside[0]), f"{_mean(beside[0]):.2f}"
    logs = [math.log(group[0].model["parameters"]) for group in (ours, *beside)]
    share = (logs[0] - logs[1]) / (logs[2] - logs[1])
    line = weighted([(1, ours), (share - 1, beside[0]), (-share, beside[1])])
    larger = difference(ours, beside[1])
    low, high = sorted(_mean(ours) - end.points for end in (line, larger))
    ends = f"{low:.2f} to {high:.2f}"
    nearer = min((line, larger), key=lambda end: abs(end.points))
    if line.points * larger.points < 0:
        return Difference(0.0, nearer.error, 1.0), ends
    return nearer, ends


def _mean(runs: Sequence[Run]) -> float:
    return statistics.fmean(run.test_error for run in runs)
