"""What a table or figure needs: its networks, how to train them, and which records are its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from softshare import paper
from softshare.data.compression import quality
from softshare.data.inventory import files, original
from softshare.models import build
from softshare.paper.file import read
from softshare.paper.matching import kind, place, recoded, stands_in, unlowered, varied
from softshare.recipe import PROFILES, Recipe, for_profile
from softshare.recipe.request import request
from softshare.records import Run
from softshare.results import efficiency, variants

TARGETS = (
    *("table1", "table2", "table3", "table4"),
    *("figure3", "figure4", "figure5", "figure6", "figure7", "figure8", "folding", "appendix_b"),
)
PREFERRED = ("cifar10", "cifar10-jpeg")
_FOLDED = ("figure4", "figure6")  # whose networks the paper folds
_ALONG = ("figure6", "figure7", "figure8")  # of layers, and not of errors: a beginning will do
_FIXED = {"figure5": ("width", "data"), "table3": ("width",)}  # by the target itself
_DIGITS_CUTOUT = 4  # half of the side, like 16 of 32


@dataclass(frozen=True)
class Plan:
    """A table or figure, and what a notebook asks of it; `softshare.reproduce` explains each.

    Raises:
        ValueError: an unknown target, or a parameter out of range or of no use for the target.

    Example:
        >>> [recipe.model for recipe in Plan("table1", k=2, profile="smoke").recipes()]
        ['wrn-28-1', 'wrn-28-1', 'swrn-28-1', 'swrn-28-1', 'swrn-28-1-1', 'swrn-28-1-2']
    """

    target: str
    k: int = 0
    profile: str = "auto"
    data: str = "auto"
    seeds: int = 1
    epochs: int = 0
    width: int = 0

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise ValueError(f"reproduce() knows {', '.join(TARGETS)}; got {self.target!r}.")
        for name, least in {"k": 0, "seeds": 1, "epochs": 0, "width": 0}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is a whole number from {least} up; got {value!r}.")
        if self.profile not in ("auto", *PROFILES):
            raise ValueError(f"profile is auto, {', '.join(PROFILES)}; got {self.profile!r}.")
        fixed = {"k"} if self.figure else set()
        fixed |= {*_FIXED.get(self.target, ())}
        for name in sorted(fixed):
            if getattr(self, name) not in (0, "auto"):
                raise ValueError(
                    f"The networks of {self.target} are fixed: it takes no {name}; got "
                    f"{name}={getattr(self, name)!r}."
                )
        if self.data != "auto":
            known, data = efficiency.SETS, self._asked().data
            if self.target == "figure3" and original(data) not in known:
                raise ValueError(
                    f"Figure 3 is of {', '.join(known)} or a variant of theirs; got data={data!r}."
                )
        if self.k:
            with torch.device("meta"):
                build(self.rows()[-1]["model"])

    @property
    def figure(self) -> bool:
        """Whether the target is of networks, as figures are, where a table has rows."""
        return not self.target.startswith("table")

    def rows(self) -> list[dict[str, Any]]:
        """The networks, each with `model` and `options`: the paper's own, then that of `k`."""
        if self.target == "appendix_b":
            return variants.rows()
        if self.figure:
            names = _FOLDED if self.target == "folding" else (self.target,)
            models = [model for name in names for model in paper.models(name)]
            return [{"model": model, "options": {}} for model in models]
        rows = [
            {"model": row["model"], "options": row["options"]}
            for row in paper.rows(self.target)
            if row["model"]
        ]
        shared = next(row["model"] for row in rows if row["model"].startswith("swrn"))
        model = "-".join([*shared.split("-")[:3], str(self.k)])
        extra = {"model": model, "options": rows[0]["options"]}
        return rows if not self.k or extra in rows else [*rows, extra]

    def recipes(self) -> list[Recipe]:
        """What to train, all rows of the first seed first.

        At ``auto`` the profile is ``fast`` on a GPU and ``smoke`` on a CPU, and the data set
        CIFAR-10, or its JPEG variant where only that is at hand, or digits at ``smoke``; for
        Table 3 it is ImageNet.
        """
        profile, data = self.profile, self.data
        if profile == "auto":
            profile = "fast" if torch.cuda.is_available() else "smoke"
        if data == "auto" and self.target not in _FIXED:
            data = "digits" if profile == "smoke" else at_hand()
        wanted = {}
        for seed in range(self.seeds):
            for row in self.rows():
                settings = row["options"] | {"seed": seed}
                if self.epochs:
                    settings["epochs"] = self.epochs
                if quality(data)[0] == "digits" and "cutout" in settings:
                    settings["cutout"] = _DIGITS_CUTOUT
                name, width = kind(row["model"])
                width = self.width or (
                    1 if profile == "smoke" and self.target not in _FIXED else width
                )
                model = name.replace("*", str(width))
                data_set = None if data == "auto" else data
                wanted[request(model, data_set, profile, **settings)[0]] = 0
        return list(wanted)  # narrowed rows may coincide

    def concerns(self, run: Run) -> bool:
        """Whether a run belongs to the target."""
        if self.data == "auto" and recoded(run.recipe):
            return False
        if unlowered(run.recipe) and self.target not in _ALONG:
            return False
        if self.target == "figure3":
            return efficiency.shows(run)
        if self.target == "folding":
            return bool(run.coefficients or run.recipe.tune) and not varied(run.recipe)
        if self.target == "appendix_b":
            return variants.variant(run) is not None
        if self.figure:
            return any(stands_in(run.recipe, row) for row in self.rows())
        return place(run, self.target, read()[0]["tables"]) is not None

    def shows(self, run: Run) -> bool:
        """Whether a run of the target has what was asked for."""
        recipe = run.recipe
        return (
            self.profile in ("auto", recipe.profile)
            and (self.data == "auto" or self.on_asked(run))
            and self.epochs in (0, recipe.epochs)
            and self.width in (0, kind(recipe.model)[1])
        )

    def on_asked(self, run: Run) -> bool:
        """Whether a run is on the data set that is asked for."""
        return self._asked().data == run.recipe.data

    def _asked(self) -> Recipe:
        """A recipe of the target on the data set that is asked for."""
        return request(self.rows()[0]["model"], self.data)[0]

    def asks(self) -> bool:
        """Whether particular runs are asked for, not just any that there are."""
        return replace(self, k=0) != Plan(self.target)

    def complete(self, runs: Iterable[Run]) -> bool:
        """Whether each row has a run of its model, at whatever width; to be folded, any will do."""
        recipes = [run.recipe for run in runs]
        if self.target == "folding":
            return bool(recipes)
        return all(any(stands_in(recipe, row) for recipe in recipes) for row in self.rows())

    def own(self) -> list[Recipe]:
        """The networks of the target on each of its data sets, as the paper trained them."""
        document = read()[0]
        sets: list[str | None] = [None]
        if self.target in document["tables"]:
            columns = document["tables"][self.target]["columns"].values()
            sets = list(dict.fromkeys(about["data"] for about in columns if about["metric"]))
        elif self.target in document["figures"]:
            sets = [*paper.sets(self.target)] or sets
        return [
            for_profile(row["model"], data, "paper", **row["options"])
            for data in sets
            for row in self.rows()
        ]

    def missing(self, runs: Iterable[Run]) -> list[Recipe]:
        """Those of `own` that no run has, at any seed."""
        trained = {replace(run.recipe, seed=0) for run in runs}
        return [recipe for recipe in self.own() if recipe not in trained]


def at_hand() -> str:
    """The official CIFAR-10 if it is on disk, else its JPEG variant if that is; else the former."""
    return next((name for name in PREFERRED if files(name)), PREFERRED[0])
