"""What there is for one table or figure, and the ways to show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from softshare import paper
from softshare.explorer import Explorer
from softshare.plots import curve_plot, folding_plot, similarity_plot
from softshare.recipe import Recipe
from softshare.records import Run, provenance
from softshare.records.naming import label
from softshare.reproduction import display, overview
from softshare.reproduction.again import again
from softshare.reproduction.showcase import showcase
from softshare.results import (
    comparable,
    contrasts,
    curriculum_claims,
    efficiency,
    equal_size_claims,
    folding_claims,
    folding_results,
    folding_sentences,
    patterns,
    settling,
    table_claims,
    variant_claims,
)
from softshare.results.curriculum import curve_sentences, phase_scores
from softshare.results.foremost import foremost
from softshare.wording import Text, bullets

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Reproduction:
    """What there is for one table or figure.

    Attributes:
        target: ``table1`` and so on.
        runs: records, best profile first.
        missing: recipes of the paper that nobody has trained yet.
        trained: paths of the records that were made just now.
        lacking: recipes asked for by parameters that have no record.
    """

    target: str
    runs: list[Run] = field(default_factory=list)
    missing: list[Recipe] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)
    lacking: list[Recipe] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """The paper's numbers beside ours, by `softshare.compare`; for the tables."""
        return paper.compare(self.runs, self.target)

    def summary(self) -> pd.DataFrame:
        """The same for reading, by `softshare.reproduction.overview.summary`."""
        return overview.summary(self.table())

    def notes(self) -> Text:
        """What the words of the summary take, by `softshare.reproduction.overview.notes`."""
        return bullets(overview.notes(self.target))

    def provenance(self) -> pd.DataFrame:
        """A row for each run, by `softshare.records.provenance.table`."""
        return provenance.table(self.runs)

    def source(self, runs: Sequence[Run] | None = None) -> Text:
        """The line under a figure or table, by `softshare.records.provenance.line`."""
        runs = self.runs if runs is None else runs
        return provenance.line(self.target, runs, again(self.target, [run.recipe for run in runs]))

    def show(self, what: Any, runs: Sequence[Run] | None = None, digits: int = 2) -> None:
        """Shows a figure or table of `runs`, all by default, with its line of provenance."""
        display.show(what, self.source(runs), digits)

    def best(self) -> list[Run]:
        """The runs that may be set beside each other, by `softshare.results.comparable.alike`."""
        return comparable.alike(self.runs, self.trained)

    def sets(self) -> list[list[Run]]:
        """The same for each width, the widest first, by `softshare.results.comparable.sets`.

        One empty list where nothing is recorded.
        """
        return comparable.sets(self.runs, self.trained) or [[]]

    def contrasts(self) -> pd.DataFrame:
        """Shared networks against their twins, by `softshare.results.contrasts.contrasts`."""
        return contrasts.contrasts(self.runs, self.target)

    def curves(self, metric: str | None = None, runs: Sequence[Run] | None = None) -> Axes | None:
        """A metric of the best runs, or of these, against the epoch; None where none has it."""
        runs = self.best() if runs is None else runs
        runs = [run for run in runs if not metric or metric in run.curves]
        return curve_plot.curves(runs, metric) if runs else None

    def phases(self, epoch: int = -1) -> pd.DataFrame:
        """F1 of the best runs in each phase, by `softshare.results.curriculum.phase_scores`."""
        return phase_scores(self.best(), epoch)

    def similarities(
        self, epochs: Sequence[int] | None = None, runs: Sequence[Run] | None = None
    ) -> list[Axes]:
        """The LSMs of soft-shared networks, one figure a network.

        Args:
            epochs: one figure for each of them that was kept. Default: the last alone.
            runs: of which those that are shared are shown. Default: the best.
        """
        figures = []
        runs = self.best() if runs is None else runs
        for run in (run for run in runs if run.coefficients):
            kept = [int(epoch) for epoch in run.coefficients]
            for epoch in [kept[-1]] if epochs is None else [e for e in epochs if e in kept]:
                title = f"{label(run)}, seed {run.seed}" + (f", epoch {epoch}" if epochs else "")
                figures.append(similarity_plot.similarities(run.lsm(epoch), title)[0])
        return figures

    def efficiency(self) -> pd.DataFrame:
        """Error against parameters, theirs and ours, by `softshare.results.efficiency.points`."""
        return efficiency.points(self.runs)

    def patterns(self, epochs: Sequence[int] | None = None) -> pd.DataFrame:
        """Numbers of these LSMs, by `softshare.results.patterns.patterns`."""
        return patterns.patterns(self.best(), epochs)

    def settling(self) -> pd.DataFrame:
        """When these LSMs became those of the end, by `softshare.results.settling.table`."""
        return settling.table(self.best())

    def explore(self) -> None:
        """Shows the explorer of each network that `softshare.reproduction.showcase` picks."""
        shown = showcase(self.runs)
        for run in shown:
            self.show(Explorer(run), [run])
        if not shown:
            self.show(None)

    def foldings(self) -> pd.DataFrame:
        """How far each network folds, by `softshare.results.folding_results.summary`."""
        return folding_results.summary(self.runs)

    def claims(self) -> pd.DataFrame | Text:
        """What the paper's networks do, and ours: folded (Figures 4 and 6), or learning (5).

        By `softshare.results.folding_claims` a table, by `softshare.results.curriculum_claims`
        sentences.
        """
        if self.target == "figure5":
            return bullets(curriculum_claims.sentences(self.best()))
        return folding_claims.table(self.runs, self.target)

    def foremost(self) -> list[Run]:
        """The runs that a folding page speaks of, by `softshare.results.foremost.foremost`."""
        return foremost(self.runs)

    def folding_curves(self) -> list[Axes]:
        """What folding these costs, by `softshare.plots.folding_plot.folding_curves`."""
        return folding_plot.folding_curves(self.foremost())

    def findings(self) -> Text:
        """What these runs say, in sentences computed from them."""
        if self.target == "figure5":
            return bullets(curve_sentences(self.best()))
        if self.target == "folding":
            return bullets(folding_sentences.sentences(self.runs))
        if self.target == "appendix_b":
            return bullets(variant_claims.variant_sentences(self.runs))
        if self.target == "figure3":
            return bullets(equal_size_claims.equal_size_sentences(self.runs))
        if self.target in ("figure4", "figure6"):
            return bullets(folding_claims.sentences(self.runs, self.target))
        if self.target == "figure8":
            return bullets(settling.sentences(self.best()))
        if self.target.startswith("figure"):
            return bullets(patterns.pattern_sentences(self.best()))
        return bullets(table_claims.table_sentences(self.runs, self.target))

    def commands(self) -> list[str]:
        """The commands that fill what is missing."""
        return [provenance.command(recipe) for recipe in self.missing]

    def sentences(self) -> list[str]:
        """What is shown here and what is not, by `softshare.reproduction.overview.sentences`."""
        return overview.sentences(self.runs, self.missing, self.trained, self.lacking)

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def _repr_markdown_(self) -> str:
        return str(bullets(self.sentences()))
