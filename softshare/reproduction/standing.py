"""Where the whole reproduction stands: what a reader wants to know first."""

from __future__ import annotations

from collections import Counter

from softshare import paper
from softshare.paper.matching import unaltered
from softshare.recipe import PROFILES
from softshare.records import load_runs
from softshare.reproduction.collection import reproduce
from softshare.reproduction.status import numbers
from softshare.results import curriculum_claims, patterns, table_claims
from softshare.results.equal_size import equal_size
from softshare.results.equal_size_claims import conclusion
from softshare.results.foremost import foremost
from softshare.wording import plural


def extent() -> list[str]:
    """How much is recorded: trained networks by profile, and numbers of the paper by verdict.

    Example:
        >>> extent()[1].startswith("Of the")
        True
    """
    profiles = Counter(run.profile for run in load_runs())
    verdicts = Counter(line["verdict"] for line, _ in numbers())
    trained = ", ".join(f"{profiles[name]} at profile {name}" for name in PROFILES)
    judged = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    return [
        f"{plural(profiles.total(), 'trained network')} recorded: {trained}.",
        f"Of the {verdicts.total()} numbers in the paper's tables whose networks this project "
        f"builds: {judged}.",
    ]


def conclusions() -> list[str]:
    """What the records say so far of each claim of a table, Figure 3, 5 or 7, demonstrations apart.

    With what it takes to conclude it.

    Example:
        >>> any(". The paper: " in line for line in conclusions())
        True
    """
    lines = []
    for name in table_claims.CLAIMS:
        pairs = reproduce(name, train=False).contrasts()
        told = table_claims.conclusions(pairs[pairs["profile"] != "smoke"], name)
        lines += [f"{paper.load()['tables'][name]['source']}. {line}" for line in told]
    sizes = equal_size(reproduce("figure3", train=False).runs)
    if not (counted := sizes[sizes["profile"] != "smoke"]).empty:
        lines.append(f"{paper.fact('figures/figure3/title').source}. {conclusion(counted)}")
    lines.append(table_claims.RULE)
    results = [run for run in foremost(unaltered(load_runs())) if run.profile != "smoke"]
    if found := patterns.chessboard_claim(results):
        lines.append(f"{paper.fact('figures/figure7/title').source}. {found}")
    runs = [run for run in reproduce("figure5", train=False).best() if run.profile != "smoke"]
    source = paper.fact("figures/figure5/title").source
    return lines + [f"{source}. {line}" for line in curriculum_claims.sentences(runs)]
