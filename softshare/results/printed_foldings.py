"""Ways to fold a network for which the paper prints a result (Figures 4 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from softshare.explorer.states import at, network
from softshare.folding import Folding
from softshare.folding.program import Program, smallest
from softshare.paper import value
from softshare.records import Run

STAGE = "stage2"  # of which both figures print how it runs


@dataclass(frozen=True)
class Folded:
    """A network folded at a threshold, in all groups or in one, and its measured scores."""

    threshold: float
    foldings: Mapping[str, Folding]
    measured: Mapping[str, float]

    @property
    def tied(self) -> int:
        """How many layers fewer it has."""
        return tied(self.foldings)


@dataclass(frozen=True)
class Claim:
    """A way to fold for which the paper prints something, and what it prints.

    Attributes:
        how: in words.
        chosen: of a network's foldings, threshold falling, and its depth: the one so made.
        layers: as printed; empty where they are not.
        alone: the one group that is folded; empty for all of them at one threshold.
        program: of stage 2.
        points: by how much the error rises.
    """

    how: str
    chosen: Callable[[Sequence[Folded], int], Folded]
    layers: str
    program: Program
    points: str
    alone: str = ""


def claims(figure: str) -> list[Claim]:
    """The claims of ``figure4`` or ``figure6``.

    Raises:
        ValueError: another figure.

    Example:
        >>> for claim in claims("figure6"):
        ...     print(claim.how, "|", claim.layers, "|", claim.program, "|", claim.points)
        at similarity 0.8 | 40 → 24 | 1 2 2×(3 4) 1 2 3 4 | < +0.30
        onto 24 layers | 40 → 24 | 1 2 2×(3 4) 1 2 3 4 | < +0.30
    """
    if figure == "figure4":
        loop, turns = value("text/fold_stage2_loop"), value("figures/figure4/stage2_iterations")
        return [
            Claim(
                f"stage 2 alone onto {loop} weights",
                lambda found, depth: next(f for f in found if len(f.foldings[STAGE].ties) <= loop),
                "",
                smallest(list(range(1, loop + 1)) * turns),
                f"{value('text/fold_stage2_error_increase'):+.2f}",
                STAGE,
            )
        ]
    if figure != "figure6":
        raise ValueError(f"The paper folds the networks of figure4 and figure6; got {figure!r}.")
    t, fewest = value("figures/figure6/similarity"), value("figures/figure6/folded_layers")
    printed = (
        f"{value('figures/figure6/layers')} → {fewest}",
        smallest(value("figures/figure6/stage2_schedule")),
        f"< {value('figures/figure6/error_increase'):+.2f}",
    )
    return [
        Claim(
            f"at similarity {t:g}",
            lambda found, _: [f for f in found if f.threshold >= t][-1],
            *printed,
        ),
        Claim(
            f"onto {fewest} layers",
            lambda found, depth: next(f for f in found if depth - f.tied <= fewest),
            *printed,
        ),
    ]


def folded(run: Run, claim: Claim) -> Folded:
    """A run's network after its last epoch, folded as a claim is."""
    states = network(run).moments[-1].states
    found = [Folded(s.threshold, s.foldings, s.measured) for s in states]
    if claim.alone:
        whole = dict(states[0].foldings)
        each = {s.foldings[claim.alone].threshold: s.foldings[claim.alone] for s in states}
        lines = run.folded_alone.get(claim.alone, [])
        found = [
            Folded(t, whole | {claim.alone: folding}, at(lines, t)) for t, folding in each.items()
        ]
    return claim.chosen(found, depth(run))


def tied(foldings: Mapping[str, Folding]) -> int:
    """How many layers fewer a network so folded has, each tie counted as one layer."""
    return sum(len(f.layers) - len(f.ties) for f in foldings.values())


def depth(run: Run) -> int:
    """Layers of a run's network, as the paper counts them."""
    return int(run.recipe.model.split("-")[1])
