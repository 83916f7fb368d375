"""What the variants of Appendix B say of the paper's words, of the control, and of rounding."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from softshare import paper
from softshare.records import Run
from softshare.records.naming import label
from softshare.results.difference import BY_CHANCE, difference
from softshare.results.variant_results import by_variant, is_the_papers, own_rate
from softshare.results.variants import PLAIN, REFERENCE
from softshare.wording import plural


def variant_sentences(runs: Sequence[Run]) -> list[str]:
    """What the setting with most variants says of the paper's words and the control, then others.

    Demonstrations come after every other setting with a variant to tell of; of settings with as
    many variants, longer trainings come first.
    """
    sets = [groups for groups in by_variant(runs) if REFERENCE in groups]
    if not sets:
        return ["No network of Appendix B with the orthogonal start is recorded yet."]
    sets.sort(key=_merit, reverse=True)
    groups = sets[0]
    first = groups[REFERENCE][0]
    lines = [
        f"{label(first)} started orthogonally: {_error(groups[REFERENCE])} ({_where(first)})."
        + (" That is a demonstration, not a result." if first.profile == "smoke" else "")
    ]
    for name, words in {"inits_alike": "work as well", "inits_worse": "work worse"}.items():
        found = [init for init in paper.value(f"text/{name}") if init in groups]
        if found:
            told = "; ".join(f"{init} {_against(groups, init, REFERENCE)}" for init in found)
            lines.append(f"Starts that the paper says {words}: {told}.")
    lines += _control(groups)
    lines += [_elsewhere(other) for other in sets[1:] if len(other) > 1]
    if not any(is_the_papers(groups[REFERENCE][0]) for groups in sets):
        lines.append("That is not the paper's setting: it can hint at its words, not settle them.")
    return lines


def _merit(groups: dict[str, list[Run]]) -> tuple[bool, int, bool, int]:
    first = groups[REFERENCE][0]
    real, tells = first.profile != "smoke", bool(set(groups) - {PLAIN, REFERENCE})
    return real and tells, len(groups), real, first.recipe.total_epochs


def _control(groups: dict[str, list[Run]]) -> list[str]:
    """What is left of sharing where the rate is matched, and what rounding alone comes to."""
    free = groups[REFERENCE]
    lines = [f"Trained freely, the coefficients bring {_growth(free)}."]
    if {PLAIN, "unit"} <= set(groups):
        lines.append(
            f"Against the network without sharing, free coefficients: "
            f"{_against(groups, REFERENCE, PLAIN)}; with the rate matched: "
            f"{_against(groups, 'unit', PLAIN)}. Matched against free: "
            f"{_against(groups, 'unit', REFERENCE)}."
        )
    if _turned(groups):
        lines.append(_rounding(groups["fixed"], groups[PLAIN]))
    others = [runs for name, runs in groups.items() if name != REFERENCE]
    told = [difference(runs, free).seen for runs in others]
    if told:
        lines.append(
            f"Told apart from the orthogonal start: {len(told) - told.count('not told apart')} of "
            f"{plural(len(told), 'variant')}, where chance alone tells apart one in {BY_CHANCE} "
            "that are alike and have several seeds."
        )
    return lines


def _rounding(fixed: Sequence[Run], plain: Sequence[Run]) -> str:
    """By how much two trainings come apart that differ in nothing but rounding."""
    text = (
        "Fixed orthogonal coefficients train the network without sharing in other coordinates: "
        f"{_error(fixed)} where that has {_error(plain)}. They part by rounding, which grows from "
        "step to step"
    )
    errors = {run.seed: run.test_error for run in plain}
    apart = [run.test_error - errors[run.seed] for run in fixed if run.seed in errors]
    if not apart:
        return f"{text}."
    size = math.sqrt(statistics.fmean(d * d for d in apart))
    one, many = f"by {apart[0]:+.2f} points", "single runs less apart"
    if len(apart) > 1:
        each = ", ".join(f"{d:+.2f}" for d in apart)
        one = f"seed by seed by {each} points, {size:.2f} in the root mean square"
        many += f", or means of {len(apart)} less than {size / math.sqrt(len(apart)):.2f} apart,"
    return (
        f"{text}: {one}. That is the measure of every other difference among these: {many} say "
        "nothing."
    )


def _elsewhere(groups: dict[str, list[Run]]) -> str:
    told = "; ".join(f"{n} {_against(groups, n, REFERENCE)}" for n in groups if n != REFERENCE)
    free = groups[REFERENCE]
    rounding = f" {_rounding(groups['fixed'], groups[PLAIN])}" if _turned(groups) else ""
    return (
        f"Elsewhere ({label(free[0])}, {_where(free[0])}), against the orthogonal start at "
        f"{_error(free)}: {told}. "
        f"Its coefficients bring {_growth(free)}.{rounding}"
    )


def _turned(groups: dict[str, list[Run]]) -> bool:
    """Whether the plain network is there, and beside it the same in other coordinates."""
    return {PLAIN, "fixed"} <= set(groups)


def _growth(runs: Sequence[Run]) -> str:
    start, end = own_rate(runs)
    return f"the factor on a weight's own rate from {start:.2f} to {end:.2f}"


def _where(run: Run) -> str:
    return f"{run.data['name']}, {run.recipe.total_epochs} epochs, profile {run.profile}"


def _against(groups: dict[str, list[Run]], name: str, other: str) -> str:
    ours, others = groups[name], groups[other]
    apart = difference(ours, others)
    return f"{apart} ({apart.seen})"


def _error(runs: Sequence[Run]) -> str:
    errors = [run.test_error for run in runs]
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{statistics.fmean(errors):.2f}{spread} % (n = {len(errors)})"
