"""The runs behind a table or figure: found among the records, or trained now."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from softshare import display, findings, paper, plots, provenance
from softshare.curriculum import phase_scores
from softshare.data import load
from softshare.matching import PROFILES, place
from softshare.provenance import Text, bullets, own_settings
from softshare.recipe import PATH_MODELS, PATHS, Recipe, for_profile
from softshare.records import Run, load_runs
from softshare.training import train as train_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_NARROW = re.compile(r"(s?wrn-\d+)-\d+(-\d+)?")
_MEANING = {
    "paper": "the paper's settings",
    "fast": "a shortened schedule, not the paper's setting",
    "smoke": "narrow networks on a toy set for a few epochs: a demonstration that everything "
    "runs, not a result",
}


@dataclass(frozen=True)
class Reproduction:
    """What there is for one table or figure.

    Attributes:
        target: ``table1`` and so on.
        runs: records, best profile first.
        missing: recipes that nobody has trained yet.
        trained: paths of the records that this call trained.
    """

    target: str
    runs: list[Run] = field(default_factory=list)
    missing: list[Recipe] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """The paper's numbers beside ours, by `softshare.compare`; for the tables."""
        return paper.compare(self.runs, self.target)

    def summary(self) -> pd.DataFrame:
        """The same for reading: rows that have a run or a number of the paper, few columns."""
        import pandas as pd

        table = self.table()
        printed = table["paper"].notna()
        ours = [
            "" if not n else f"{mean:.2f}" + (f" ± {std:.2f}" if n > 1 else "")
            for mean, std, n in zip(table["ours"], table["spread"], table["n"], strict=True)
        ]
        stand_in = table["stands_in_for"].where(~printed, "")
        return pd.DataFrame(
            {
                "model": table["row"].where(printed, table["model"].map(plots.label_of)),
                "trained on": table["variant"].where(table["n"] > 0, table["data"]),
                "paper (%)": table["paper"].map("{:.2f}".format).where(printed, ""),
                "ours (%)": ours,
                "n": table["n"],
                "profile": table["profile"].where(table["n"] > 0, ""),
                "stands in for": stand_in,
                "verdict": table["verdict"],
            }
        )

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
        """Shared networks against their plain twins, by `softshare.findings.contrasts`."""
        return findings.contrasts(self.runs, self.target)

    def curves(self) -> Axes | None:
        """The metric of the best runs against the epoch; None without runs."""
        return plots.curves(self.best()) if self.runs else None

    def phases(self, epoch: int = -1) -> pd.DataFrame:
        """F1 of the best runs in each phase, by `softshare.curriculum.phase_scores`."""
        return phase_scores(self.best(), epoch)

    def similarities(self) -> list[Axes]:
        """The LSMs of the soft-shared networks among the best runs, one figure a network."""
        shared = [run for run in self.best() if run.coefficients]
        return [plots.similarities(run.lsm(), plots.label(run))[0] for run in shared]

    def findings(self) -> Text:
        """What these runs say, in sentences computed from them."""
        if self.target == "figure5":
            return bullets(findings.curve_sentences(self.best()))
        return bullets(findings.table_sentences(self.runs, self.target))

    def commands(self) -> list[str]:
        """The commands that fill what is missing."""
        return [provenance.command(recipe) for recipe in self.missing]

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def _repr_markdown_(self) -> str:
        return str(bullets(self.sentences()))

    def sentences(self) -> list[str]:
        """What is shown here and what is not, in words that cannot be missed."""
        lines = []
        for profile in dict.fromkeys(run.profile for run in self.runs):
            runs = [run for run in self.runs if run.profile == profile]
            sets = ", ".join(dict.fromkeys(run.data["name"] for run in runs))
            epochs = "/".join(str(e) for e in sorted({run.recipe.total_epochs for run in runs}))
            new = sum(run.path in self.trained for run in runs)
            made = f", {new} of them trained just now" if new else ""
            lines.append(
                f"{provenance.plural(len(runs), 'run')} at profile {profile.upper()} ({_MEANING[profile]}): "
                f"{sets}, {epochs} epochs{made}."
            )
        if self.missing:
            names = ", ".join(dict.fromkeys(_shown(recipe) for recipe in self.missing))
            lines.append(f"Not attempted at the paper's settings: {names}.")
        return lines or ["No runs are recorded, and none was trained."]


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
    *,
    k: int = 0,
    profile: str = "auto",
    data: str = "auto",
    seeds: int = 1,
    epochs: int = 0,
    width: int = 0,
    train: bool = True,
    runs: Path | None = None,
    **unknown: Any,
) -> Reproduction:
    """Collects the runs of a table or figure, and trains the missing ones.

    At profile ``auto`` every record is shown, and a model that has none is trained at ``fast``
    on a GPU and at ``smoke`` on a CPU, with all other rows at that profile, so that they compare.
    At a named profile just its runs are shown, and the missing ones trained. A book build
    (environment variable ``SOFTSHARE_BOOK``) never trains.

    Args:
        target: a table of CIFAR networks (``table1``, ``table2``, ``table4``) or ``figure5``.
        k: for tables, templates per group of one more row; 0 for the table's own rows alone.
        profile: ``auto``, ``paper``, ``fast`` or ``smoke``.
        data: data set to train on; ``auto`` takes CIFAR-10 where it is at hand, else its JPEG
            variant, and at ``smoke`` scikit-learn's digits.
        seeds: runs a row, seeds 0, 1, ...
        epochs: instead of the profile's; 0 leaves them.
        width: widening factor instead of the paper's; 0 leaves it (1 at ``smoke``).
        train: whether to train what is missing.
        runs: folder of records. Default ``data/runs`` of the checkout.
        **unknown: refused, with the names that are known.

    Returns:
        A `Reproduction`.

    Raises:
        ValueError: an unknown target, parameter or value.

    Example:
        >>> found = reproduce("table1", train=False, runs=Path("no/such/folder"))
        >>> print(found)
        Not attempted at the paper's settings: WRN 28-10, WRN 28-10*, SWRN 28-10, SWRN 28-10*, \
SWRN 28-10-1.
        >>> reproduce("table1", sedd=1)
        Traceback (most recent call last):
        ...
        ValueError: There is no parameter 'sedd'; there are k, profile, data, seeds, epochs, \
width and train.
    """
    _check(target, unknown, k, profile, data, seeds, epochs, width, train)
    rows = _rows(target, k)
    train = train and not os.environ.get("SOFTSHARE_BOOK")
    recorded = [run for run in load_runs(runs) if _belongs(run, target, rows)]
    chosen = _fallback() if profile == "auto" else profile
    settings = {"epochs": epochs} if epochs else {}
    wanted = [
        _recipe(model, chosen, data, width, seed, options | settings)
        for model, options in rows
        for seed in range(seeds)
    ]
    asked = profile != "auto" or data != "auto" or bool(epochs or width) or seeds > 1
    complete = all(any(_serves(run, row) for run in recorded) for row in rows)
    trained = []
    if train and (asked or not complete):
        before = {run.path for run in recorded}
        new = [train_run(r.model, r.data, r.profile, runs=runs, **own_settings(r)) for r in wanted]
        trained = [run.path for run in new if run.path not in before]
        recorded += [run for run in new if run.path in trained]
    if profile != "auto":
        recorded = [run for run in recorded if run.profile == profile]
    recorded.sort(key=lambda run: (PROFILES.index(run.profile), run.path))
    missing = [
        for_profile(model, None, "paper", **options)
        for model, options in rows
        if not any(run.profile == "paper" and run.recipe.model == model for run in recorded)
    ]
    return Reproduction(target, recorded, missing, trained)


def _rows(target: str, k: int) -> list[tuple[str, dict[str, Any]]]:
    if target == "figure5":
        return [(model, {}) for model in PATH_MODELS]
    rows = [(row["model"], row["options"]) for row in paper.rows(target) if row["model"]]
    first = next(model for model, _ in rows if model.startswith("swrn"))
    extra = ("-".join([*first.split("-")[:3], str(k)]), rows[0][1] if target == "table4" else {})
    return rows + ([extra] if k and extra not in rows else [])


def _recipe(
    model: str, profile: str, data: str, width: int, seed: int, settings: dict[str, Any]
) -> Recipe:
    if model in PATH_MODELS:
        return for_profile(model, None, profile, seed=seed, **settings)
    if width or profile == "smoke":
        model = _NARROW.sub(rf"\g<1>-{width or 1}\g<2>", model)
    if data == "auto":
        data = "digits" if profile == "smoke" else _at_hand()
    if data == "digits":
        settings = {name: value for name, value in settings.items() if name != "cutout"}
    return for_profile(model, data, profile, seed=seed, **settings)


def _belongs(run: Run, target: str, rows: list[tuple[str, dict[str, Any]]]) -> bool:
    if target == "figure5":
        return run.recipe.model in PATH_MODELS
    if run.recipe.data == PATHS:
        return False
    where = place(run, target, paper.load()["tables"])
    return where is not None or any(_serves(run, row) for row in rows)


def _serves(run: Run, row: tuple[str, dict[str, Any]]) -> bool:
    """Whether a run is of this row's model at whatever width."""
    model, options = row
    trained = {"dropout": run.recipe.dropout, "cutout": run.recipe.cutout}
    same = _NARROW.sub(r"\1\2", run.recipe.model) == _NARROW.sub(r"\1\2", model)
    return same and trained == {"dropout": 0.0, "cutout": 0} | options


def _fallback() -> str:
    return "fast" if torch.cuda.is_available() else "smoke"


def _at_hand() -> str:
    for name in ("cifar10", "cifar10-jpeg"):
        try:
            load(name, download=False)
        except (FileNotFoundError, ValueError):
            continue
        return name
    return "cifar10"


def _shown(recipe: Recipe) -> str:
    star = "*" if recipe.dropout else ""
    return recipe.model.upper().replace("WRN-", "WRN ", 1) + star


def _check(
    target: str,
    unknown: Mapping[str, Any],
    k: int,
    profile: str,
    data: str,
    seeds: int,
    epochs: int,
    width: int,
    train: bool,
) -> None:
    targets = ("table1", "table2", "table4", "figure5")
    if target not in targets:
        raise ValueError(f"reproduce() knows {', '.join(targets)}; got {target!r}.")
    if unknown:
        raise ValueError(
            f"There is no parameter {next(iter(unknown))!r}; there are k, profile, data, seeds, "
            "epochs, width and train."
        )
    least = {"k": (k, 0), "seeds": (seeds, 1), "epochs": (epochs, 0), "width": (width, 0)}
    for name, (value, low) in least.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise ValueError(f"{name} is a whole number from {low} up; got {value!r}.")
    if target == "figure5" and (k or width or data != "auto"):
        raise ValueError(
            "The networks of figure5 are fixed: it takes profile, seeds, epochs and train; got "
            f"k={k}, width={width}, data={data!r}."
        )
    if profile not in ("auto", *PROFILES):
        raise ValueError(f"profile is auto, {', '.join(PROFILES)}; got {profile!r}.")
    if not isinstance(train, bool):
        raise ValueError(f"train is True or False; got {train!r}.")
