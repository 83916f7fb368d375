"""What the recurrence regulariser does to networks of images, which the paper never gave it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from softshare.explorer.states import State, network
from softshare.paper import value
from softshare.paper.matching import regularised, varied
from softshare.recipe import PATHS
from softshare.records import Run
from softshare.records.naming import label, length
from softshare.results.comparable import by_seed, setting
from softshare.results.difference import difference
from softshare.results.folding_results import AGAIN, FEW, chance_of, cost, furthest, score, unfolded
from softshare.results.foremost import proper
from softshare.results.patterns import brightness
from softshare.results.printed_foldings import depth, tied
from softshare.wording import p_value, thousands

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("network", "λ_R", "trained on", "epochs", "seed", "mean", "chance", "ours (%)"),
    *("layers", "params", "folded (%)", "recal. (%)", "cheap"),
)


def families(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs with the regulariser, each beside all soft-shared networks trained alike without it.

    These have its depth and width and any number of templates: a network with fewer is what a
    folded one competes with. Demonstrations, at ``smoke``, are left out where there is anything
    else.

    Example:
        >>> families([])
        []
    """
    pulled = proper([run for run in runs if regularised(run.recipe)])
    images = [run for run in runs if run.coefficients and run.recipe.data != PATHS]
    free = [run for run in images if not varied(run.recipe) and not run.recipe.tune]
    found: dict[Any, list[Run]] = {}
    for run in pulled:
        found.setdefault(_training(run), []).append(run)
    return [[*(r for r in free if _training(r) == key), *own] for key, own in found.items()]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a run of each family, the weakest regulariser first.

    Returns:
        `mean` similarity of two layers of a group, beside its `chance` level before
        training, and the error, `ours`; then of the network folded at Figure 6's similarity the
        `layers` and parameters, `params`, that are left and the error, `folded` as it is and
        `recal.`, with batch statistics estimated anew; and the layers left, `cheap`, by the
        furthest folding that then costs no more points than the paper allows in Figure 6.
    """
    import pandas as pd

    lines = []
    for family in families(runs):
        for run in sorted(family, key=lambda r: (r.recipe.recurrence, r.recipe.model, r.seed)):
            small = _folded(run)
            scores = [small.measured.get(run.metric + end, math.nan) for end in ("", AGAIN)]
            lines.append(
                (
                    *(label(replace(run.recipe, recurrence=0.0)), f"{run.recipe.recurrence:g}"),
                    *(run.data["name"], run.recipe.total_epochs, run.seed),
                    *(similarity(run), chance_of(run), run.test_error, _left(run, small)),
                    *(thousands(small.parameters), *scores, _cheap(run)),
                )
            )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def sentences(runs: Sequence[Run]) -> list[str]:
    """What each regularised network became, beside the same one without the regulariser."""
    lines = []
    for family in families(runs):
        for seeds in by_seed(run for run in family if regularised(run.recipe)):
            twin = replace(seeds[0].recipe, recurrence=0.0, seed=0)
            free = [run for run in family if replace(run.recipe, seed=0) == twin]
            prices = [_price(run) for run in seeds]
            rivals = dict.fromkeys(_rival(run, family) for run in seeds)  # seeds may share one
            lines.append(" ".join(filter(None, [_became(seeds, free), *prices, *rivals])))
    return lines or ["No network of images has been trained with the regulariser yet."]


def similarity(run: Run) -> float:
    """Of two different layers of a group, in the mean over groups after the last epoch."""
    return statistics.fmean(brightness(S) for S in run.lsm().values() if len(S) > 1)


def _became(seeds: Sequence[Run], free: Sequence[Run]) -> str:
    first = seeds[0]
    text = (
        f"{label(first)} ({first.data['name']}, {length(first.recipe)}, profile {first.profile}): "
        f"similarity {_mean(seeds):.2f}"
    )
    if not free:
        return f"{text}; it has not been trained without the regulariser."
    apart = difference(seeds, free)
    return (
        f"{text} where it is {_mean(free):.2f} without the regulariser; its error lies {apart} "
        f"from there ({apart.seen}, p {p_value(apart.p)}, n = {len(seeds)} and {len(free)})."
    )


def _price(run: Run) -> str:
    small, t = _folded(run), value("figures/figure6/similarity")
    text = (
        f"Folded at similarity {t:g}, seed {run.seed} has {_left(run, small)} of {depth(run)} "
        f"layers and {thousands(small.parameters)} of {thousands(run.model['parameters'])} "
        "parameters"
    )
    if not small.measured:
        return f"{text}; what that costs is not measured."
    costs = [cost(run, small.measured[run.metric + end], end) for end in ("", AGAIN)]
    return (
        f"{text}, for {costs[0]:+.2f} points, and for {costs[1]:+.2f} from "
        f"{score(run, unfolded(run, AGAIN))} with batch statistics estimated anew."
    )


def _rival(run: Run, family: Sequence[Run]) -> str:
    """The network without the regulariser that is nearest in size, if folding makes it smaller."""
    sizes = {r.model["parameters"] for r in family if not regularised(r.recipe)}
    small = _folded(run).parameters
    if not sizes or small > (1 - FEW) * run.model["parameters"]:
        return ""
    nearest = min(sizes, key=lambda size: abs(size - small))
    rivals = [r for r in family if not regularised(r.recipe) and r.model["parameters"] == nearest]
    error = statistics.fmean(rival.test_error for rival in rivals)
    return (
        f"Without the regulariser {label(rivals[0])} is nearest in size, with "
        f"{thousands(nearest)} parameters, and has {error:.2f} % (n = {len(rivals)})."
    )


def _mean(runs: Sequence[Run]) -> float:
    return statistics.fmean(map(similarity, runs))


def _folded(run: Run) -> State:
    """All groups at Figure 6's similarity."""
    t = value("figures/figure6/similarity")
    return [state for state in _states(run) if state.threshold >= t][-1]


def _cheap(run: Run) -> int | str:
    best = furthest(run, value("figures/figure6/error_increase"), AGAIN)
    states = [s for s in _states(run) if best and s.measured.get("threshold") == best["threshold"]]
    return _left(run, states[0]) if states else ""


def _states(run: Run) -> Sequence[State]:
    return network(run).moments[-1].states


def _left(run: Run, small: State) -> int:
    return depth(run) - tied(small.foldings)


def _training(run: Run) -> Any:
    """What runs of a family have in common."""
    free = replace(run, recipe=replace(run.recipe, recurrence=0.0))
    return depth(run), setting(free)
