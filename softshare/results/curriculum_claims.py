"""What the paper reads off its curves of F1 (Section 4.4), and what ours say."""

from __future__ import annotations

from collections.abc import Sequence

from softshare import paper
from softshare.records import Run
from softshare.records.naming import label
from softshare.results.curriculum import ANEW, folded_whole, steadiest
from softshare.results.curriculum_comparison import CLAIMS, Comparison, comparisons, names
from softshare.results.difference import BY_CHANCE, LEVEL, holm
from softshare.wording import plural

_ALIKE = 0.99


def sentences(runs: Sequence[Run]) -> list[str]:
    """A sentence for each claim: in ours it is seen, the opposite is, or neither can be told.

    Args:
        runs: runs of the task, trained alike.
    """
    if not runs:
        return ["No run of the shortest-path task is recorded yet."]
    metric = steadiest(runs)
    found = comparisons(runs, metric)
    lines = [
        *(_sentence(name, runs, found[name]) for name in CLAIMS),
        *_recurrent(runs, metric),
        _how_judged(metric, [each.p for claim in found.values() for each in claim]),
    ]
    if metric != "f1":
        as_it_stood = [each for claim in comparisons(runs, "f1").values() for each in claim]
        words = "; ".join(each.short for each in as_it_stood) or "none"
        lines.append(f"The same comparisons by F1 as training left it: {words}.")
    epochs = paper.value("settings/shortest_paths/epochs")
    if any(run.recipe.epochs != epochs for run in runs):
        lines.append(
            f"These runs had {plural(runs[0].recipe.epochs, 'epoch')} a phase where the paper has "
            f"{epochs}: they can hint at its claims, not settle them."
        )
    return lines


def _sentence(name: str, runs: Sequence[Run], found: Sequence[Comparison]) -> str:
    """The claim, then each way to measure it with both networks' numbers."""
    fact = paper.fact(f"figures/figure5/{name}")
    first, second = names(fact.value)
    text = f"The paper: {first} {CLAIMS[name][0]} {second} ({fact.source}). Ours: "
    trained = {run.recipe.model for run in runs}
    if missing := names([model for model in fact.value if model not in trained]):
        return f"{text}no run of {' or '.join(missing)}."
    return text + ("; ".join(map(str, found)) or "no second phase") + "."


def _how_judged(metric: str, chances: Sequence[float | None]) -> str:
    by = "F1" if metric == "f1" else f"F1, {ANEW},"
    text = (
        f"All by {by} as mean ± standard deviation over n seeds. *Seen* and *the opposite* are "
        f"what Welch's t-test tells apart at {LEVEL}; the bounds of a difference are those of its "
        f"{100 * (1 - LEVEL):.0f} % confidence interval. Seed by seed the networks are given the "
        "same examples, which that test leaves unused: the second p, *by seed*, is of the paired "
        "t-test, which does not, and no verdict rests on it. Of networks that are alike, one "
        f"comparison in {BY_CHANCE} is told apart by chance."
    )
    judged = [p for p in chances if p is not None]
    if not judged:
        return text
    return text + (
        f" Here {plural(len(judged), 'comparison')} {'is' if len(judged) == 1 else 'are'} made; by "
        f"Holm's rule, which allows for that, {holm(judged) or 'none'} of them "
        f"{'is' if holm(judged) < 2 else 'are'} told apart."
    )


def _recurrent(runs: Sequence[Run], metric: str) -> list[str]:
    """From when on the layers of a model are one, and what it costs to make them one."""
    fact = paper.fact("figures/figure5/recurrent")
    (model,) = fact.value
    found = [run for run in runs if run.recipe.model == model and run.coefficients]
    if not found:
        return []
    since = [epoch for run in found if (epoch := _alike_since(run)) is not None]
    quick = len(since) == len(found) and max(since) <= min(run.recipe.epochs for run in found)
    text = (
        f"The paper: all similarities of {label(found[0])} quickly come to be 1, as in a recurrent "
        f"network ({fact.source}). Ours: in {len(since)} of {plural(len(found), 'run')} all of "
        f"them are {_ALIKE} or more at the end"
    )
    if since:
        text += f" and at every look from epoch {max(since)} of {found[0].recipe.total_epochs} on"
    looks = ", ".join(epoch for epoch in found[0].coefficients if epoch != "0")
    text += f" (looks after epochs {looks}). Quickly, if within the first phase: "
    text += f"**{'seen' if quick else 'not seen'}**"
    if words := folded_whole(found, metric):
        text += f". With all its layers folded into one: {words}"
    return [text + "."]


def _alike_since(run: Run) -> int | None:
    """The first kept epoch from which on all layers are alike; None if they are not at the end."""
    since = None
    for epoch in map(int, reversed(run.coefficients)):
        if run.lsm(epoch)["body"].min() < _ALIKE:
            break
        since = epoch
    return since
