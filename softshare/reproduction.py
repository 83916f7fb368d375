"""The runs behind a table or figure: found among the records, or trained now."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softshare import (
    curve_plot,
    display,
    efficiency,
    findings,
    folding_plot,
    folding_results,
    overview,
    paper,
    patterns,
    provenance,
    similarity_plot,
    variant_results,
)
from softshare.curriculum import curve_sentences, phase_scores
from softshare.explorer import Explorer
from softshare.matching import PROFILES
from softshare.naming import label
from softshare.plan import Plan
from softshare.provenance import Text, bullets, own_settings
from softshare.recipe import Recipe
from softshare.records import Run, load_runs
from softshare.training import train as train_run

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
    """

    target: str
    runs: list[Run] = field(default_factory=list)
    missing: list[Recipe] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """The paper's numbers beside ours, by `softshare.compare`; for the tables."""
        return paper.compare(self.runs, self.target)

    def summary(self) -> pd.DataFrame:
        """The same for reading, by `softshare.overview.summary`."""
        return overview.summary(self.table())

    def provenance(self) -> pd.DataFrame:
        """A row for each run, by `softshare.provenance.table`."""
        return provenance.table(self.runs)

    def source(self, runs: Sequence[Run] | None = None) -> Text:
        """The line under a figure or table, by `softshare.provenance.line`."""
        return provenance.line(self.target, self.runs if runs is None else runs)

    def show(self, what: Any, runs: Sequence[Run] | None = None, digits: int = 2) -> None:
        """Shows a figure or table of `runs`, all by default, with its line of provenance."""
        display.show(what, self.source(runs), digits)

    def best(self) -> list[Run]:
        """The runs that may be set beside each other, by `softshare.findings.alike`."""
        return findings.alike(self.runs, self.trained)

    def contrasts(self) -> pd.DataFrame:
        """Shared networks against their twins, by `softshare.findings.contrasts`."""
        return findings.contrasts(self.runs, self.target)

    def curves(self, metric: str | None = None) -> Axes | None:
        """A metric of the best runs against the epoch; None where none has it."""
        runs = [run for run in self.best() if not metric or metric in run.curves]
        return curve_plot.curves(runs, metric) if runs else None

    def phases(self, epoch: int = -1, metric: str | None = None) -> pd.DataFrame:
        """F1 of the best runs in each phase, by `softshare.curriculum.phase_scores`."""
        return phase_scores(self.best(), epoch, metric)

    def similarities(self, epochs: Sequence[int] | None = None) -> list[Axes]:
        """The LSMs of the soft-shared networks among the best runs, one figure a network.

        Args:
            epochs: one figure for each of them that was kept. Default: the last alone.
        """
        figures = []
        for run in (run for run in self.best() if run.coefficients):
            kept = [int(epoch) for epoch in run.coefficients]
            for epoch in [kept[-1]] if epochs is None else [e for e in epochs if e in kept]:
                title = f"{label(run)}, seed {run.seed}" + (f", epoch {epoch}" if epochs else "")
                figures.append(similarity_plot.similarities(run.lsm(epoch), title)[0])
        return figures

    def efficiency(self) -> pd.DataFrame:
        """Error against parameters, the paper's and ours, by `softshare.efficiency.points`."""
        return efficiency.points(self.runs)

    def patterns(self, epochs: Sequence[int] | None = None) -> pd.DataFrame:
        """Numbers of these LSMs, by `softshare.patterns.patterns`."""
        return patterns.patterns(self.best(), epochs)

    def explore(self) -> None:
        """Shows the explorer of each network that `softshare.folding_results.showcase` picks."""
        shown = folding_results.showcase(self.runs)
        for run in shown:
            self.show(Explorer(run), [run])
        if not shown:
            self.show(None)

    def foldings(self) -> pd.DataFrame:
        """How far each network folds, by `softshare.folding_results.summary`."""
        return folding_results.summary(self.runs)

    def folding_curves(self) -> list[Axes]:
        """What folding costs, by `softshare.folding_plot.folding_curves`."""
        return folding_plot.folding_curves(self.runs)

    def findings(self) -> Text:
        """What these runs say, in sentences computed from them."""
        if self.target == "figure5":
            return bullets(curve_sentences(self.best()))
        if self.target == "folding":
            return bullets(folding_results.sentences(self.runs))
        if self.target == "appendix_b":
            return bullets(variant_results.variant_sentences(self.runs))
        if self.target == "figure3":
            return bullets(efficiency.efficiency_sentences(self.runs))
        if self.target.startswith("figure"):
            return bullets(patterns.pattern_sentences(self.best()))
        return bullets(findings.table_sentences(self.runs, self.target))

    def commands(self) -> list[str]:
        """The commands that fill what is missing."""
        return [provenance.command(recipe) for recipe in self.missing]

    def sentences(self) -> list[str]:
        """What is shown here and what is not, by `softshare.overview.sentences`."""
        return overview.sentences(self.runs, self.missing, self.trained)

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def _repr_markdown_(self) -> str:
        return str(bullets(self.sentences()))


def parameters(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a notebook: all plain values that its namespace holds so far.

    Passed on as keywords they are checked by the function that takes them, so that a name
    misspelled on papermill's command line is an error there and not a silent default.

    Args:
        namespace: ``globals()`` of the notebook, before anything but parameters is assigned.

    Example:
        >>> parameters({"k": 2, "profile": "auto", "_": 3, "In": [], "print": print})
        {'k': 2, 'profile': 'auto'}
    """
    plain = (bool, int, float, str, type(None))
    return {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and isinstance(value, plain)
    }


def reproduce(
    target: str,
    /,
    *,
    k: int = 0,
    profile: str = "auto",
    data: str = "auto",
    seeds: int = 1,
    epochs: int = 0,
    width: int = 0,
    train: bool = True,
    runs: Path | str | None = None,
    **unknown: Any,
) -> Reproduction:
    """Collects the runs of a table or figure, and trains the missing ones.

    With the defaults every record is shown, and where a row has none, at whatever width, all rows
    are trained at ``fast`` on a GPU and at ``smoke`` on a CPU, so that they compare. With a
    profile, data set, width or number of epochs named, just such runs are shown, and the missing
    ones trained. A book build (environment variable ``SOFTSHARE_BOOK``) never trains.

    Args:
        target: a table of CIFAR networks (``table1``, ``table2``, ``table4``), or ``figure3``,
            ``figure5``, ``figure7`` or ``figure8``, ``appendix_b``, or ``folding``, which shows any
            soft-shared network and misses those of Figures 4 and 6.
        k: for tables, templates per group of one more row; 0 for the table's own rows alone.
        profile: ``auto``, ``paper``, ``fast`` or ``smoke``.
        data: name or path of the data set; ``auto`` trains on CIFAR-10 where it is at hand, else
            its JPEG variant, and at ``smoke`` on scikit-learn's digits.
        seeds: runs a row, seeds 0, 1, ...
        epochs: instead of the profile's, for the shortest-path task of each phase; 0 leaves them.
        width: widening factor instead of the paper's; 0 leaves it (1 at ``smoke``).
        train: whether to train what is missing.
        runs: folder of records. Default ``data/runs`` of the checkout.
        **unknown: refused, with the names that are known.

    Returns:
        A `Reproduction`.

    Raises:
        ValueError: an unknown target, parameter or value.

    Example:
        >>> print(reproduce("figure5", train=False, runs="no/such/folder"))
        No run with these settings is recorded, and none was trained.
        Not attempted at the paper's settings: CNN, SCNN, SCNN-R.
        >>> reproduce("table1", sedd=1)
        Traceback (most recent call last):
        ...
        ValueError: There is no parameter 'sedd'; there are k, profile, data, seeds, epochs, \
width and train.
    """
    if unknown:
        known = [parameter.name for parameter in fields(Plan) if parameter.name != "target"]
        raise ValueError(
            f"There is no parameter {next(iter(unknown))!r}; there are {', '.join(known)} and "
            "train."
        )
    if not isinstance(train, bool):
        raise ValueError(f"train is True or False; got {train!r}.")
    plan = Plan(target, k, profile, data, seeds, epochs, width)
    recorded = [run for run in load_runs(runs) if plan.concerns(run)]
    train = train and not os.environ.get("SOFTSHARE_BOOK")
    new: list[Run] = []
    if train and (plan.asks() or not plan.complete(recorded)):
        paths = {run.path for run in recorded}
        made = [_train(recipe, plan, runs) for recipe in plan.recipes()]
        new = [run for run in made if run.path not in paths]
    shown = [run for run in recorded + new if plan.shows(run)]
    shown.sort(key=lambda run: (PROFILES.index(run.profile), run.path))
    missing = plan.missing(recorded + new)
    return Reproduction(target, shown, missing, [run.path for run in new])


def _train(recipe: Recipe, plan: Plan, runs: Path | str | None) -> Run:
    data = recipe.data if plan.data == "auto" else plan.data  # a path stays one
    return train_run(recipe.model, data, recipe.profile, runs=runs, **own_settings(recipe))
