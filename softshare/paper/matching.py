"""Which row of a printed table a run belongs to."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from softshare.data.compression import quality
from softshare.data.inventory import original
from softshare.recipe import PATHS, PROFILES, Recipe
from softshare.records import Run


@dataclass(frozen=True)
class Place:
    """A run's place in a table: a row of its own, one that it stands in for, or none."""

    row: dict[str, Any] | None
    own: bool


def by_setting(runs: Iterable[Run]) -> list[list[Run]]:
    """Lists of runs on one content of data that differ in the seed alone, best profile first.

    Raises:
        ValueError: Two runs share recipe and seed: one would be counted twice.
    """
    groups: dict[str, dict[int, Run]] = {}
    for run in runs:
        fields = dataclasses.asdict(run.recipe)
        seed = fields.pop("seed")
        group = groups.setdefault(repr((fields, variant(run), run.data.get("checksum"))), {})
        if seed in group:
            raise ValueError(
                f"each run counts once, and two of {run.recipe.model} on {variant(run)} "
                f"share recipe and seed {seed}; pass one of them"
            )
        group[seed] = run
    lists = [[group[seed] for seed in sorted(group)] for group in groups.values()]
    return sorted(lists, key=lambda group: _order(group[0]))


def place(run: Run, name: str, tables: dict[str, Any]) -> Place | None:
    """Where a run belongs in a table, None if it belongs in another one or nowhere.

    Its row has its model, dropout and cutout. A model that is in no row stands in for the row
    that has its name but for the width ("wrn-28-1" for WRN 28-10), with a cutout of any size if
    the row has one: of widths at which the table has another network to set it beside, else of
    all, the nearest. Any other is shown without a row if a network of the table that this project
    builds has its dropout and cutout, and the table its data set or a model of its kind and depth.
    A network that was folded and tuned belongs in no table: it is another network than the one
    that its name names. Nor does one whose coefficients were treated otherwise, by `varied`.
    """
    recipe, table = run.recipe, tables[name]
    if tuned(recipe) or varied(recipe):
        return None
    others = [other for key, other in tables.items() if key != name]
    if row := _row(recipe, table):
        return Place(row, own=True)
    if any(_row(recipe, other) for other in others):
        return None
    if row := _stand_in(recipe, table):
        return Place(row, own=False)
    if any(_stand_in(recipe, other) for other in others):
        return None
    near = [
        row
        for row in table["rows"]
        if row["model"] and _options(row["options"]) == _trained(recipe)
    ]
    family = kind(recipe.model)[0].partition("*")[0]
    known = data_set(run) in [about["data"] for about in table["columns"].values()] or any(
        kind(row["model"])[0].startswith(family) for row in near
    )
    return Place(None, own=False) if near and known else None


def stands_in(recipe: Recipe, row: dict[str, Any]) -> bool:
    """Whether a recipe trains the row's model, at whatever width, with its options.

    A cutout of any size will do: 16 pixels are half of a CIFAR image, and all of a digit.
    """
    alike = kind(recipe.model)[0] == kind(row["model"])[0]
    other = tuned(recipe) or regularised(recipe)
    return alike and not other and _options(row["options"]) == _trained(recipe)


def varied(recipe: Recipe) -> bool:
    """Whether coefficients start, are held or are pulled otherwise than in all tables and figures.

    Example:
        >>> varied(Recipe("swrn-28-1", init="normal")), varied(Recipe("swrn-28-1", recurrence=0.01))
        (True, True)
    """
    return _coefficients(recipe) != _coefficients({}) or regularised(recipe)


def regularised(recipe: Recipe) -> bool:
    """Whether the recurrence regulariser pulls at a network of images, as at none in the paper."""
    return recipe.recurrence > 0 and recipe.data != PATHS


def recoded(recipe: Recipe) -> bool:
    """Whether a run's images are encoded as JPEG for it, to see what that costs.

    Example:
        >>> recoded(Recipe("wrn-28-1", "cifar10-q75")), recoded(Recipe("wrn-28-1", "cifar10-jpeg"))
        (True, False)
    """
    return quality(recipe.data)[1] is not None


def unaltered(runs: Iterable[Run]) -> list[Run]:
    """Runs on images as their set has them: those that pages show unasked."""
    return [run for run in runs if not recoded(run.recipe)]


def unlowered(recipe: Recipe) -> bool:
    """Whether a network of images keeps its first learning rate, as in the paper's first epochs.

    What becomes of its layers tells something then, and its error nothing of a whole training.

    Example:
        >>> unlowered(Recipe("swrn-28-1", milestones=())), unlowered(Recipe("scnn", PATHS))
        (True, False)
    """
    return recipe.data != PATHS and not recipe.milestones


def tuned(recipe: Recipe) -> bool:
    """Whether a recipe trains a folded network further, which is no row of the paper."""
    return recipe.tune > 0


def kind(model: str | None) -> tuple[str, int]:
    """A model's name with a star for the width, and the width; 0 for a model without one.

    Example:
        >>> kind("swrn-28-10-2"), kind("scnn")
        (('swrn-28-*-2', 10), ('scnn', 0))
    """
    name = model or ""
    parts = re.fullmatch(r"(s?wrn-\d+)-(\d+)(-\d+)?", name)
    return (f"{parts[1]}-*{parts[3] or ''}", int(parts[2])) if parts else (name, 0)


def variant(run: Run) -> str:
    """The data set a run was trained on, by the name of what was read, not of what was asked."""
    return run.data.get("name", run.recipe.data)


def data_set(run: Run) -> str:
    """The data set that the variant is a copy of."""
    return original(variant(run))


def _order(run: Run) -> tuple[int, str, str]:
    profile = run.recipe.profile
    return PROFILES.index(profile), variant(run), run.recipe.model


def _options(options: dict[str, Any]) -> tuple[Any, ...]:
    return options.get("dropout", 0.0), options.get("cutout", 0) > 0, *_coefficients(options)


def _trained(recipe: Recipe) -> tuple[Any, ...]:
    return recipe.dropout, recipe.cutout > 0, *_coefficients(recipe)


def _coefficients(of: Any) -> tuple[str, ...]:
    """How they start and are held, of a recipe or of a row's options."""
    given = of if isinstance(of, dict) else vars(of)
    return tuple(given.get(name, getattr(Recipe, name)) for name in ("init", "coefficients"))


def _row(recipe: Recipe, table: dict[str, Any]) -> dict[str, Any] | None:
    asked = {"dropout": recipe.dropout, "cutout": recipe.cutout}
    for row in table["rows"]:
        if row["model"] == recipe.model and {"dropout": 0.0, "cutout": 0} | row["options"] == asked:
            return row
    return None


def _stand_in(recipe: Recipe, table: dict[str, Any]) -> dict[str, Any] | None:
    width = kind(recipe.model)[1]
    widths = [kind(row["model"])[1] for row in table["rows"]]
    alike = [row for row in table["rows"] if stands_in(recipe, row)]

    def distance(row: dict[str, Any]) -> tuple[bool, int]:
        other = kind(row["model"])[1]
        return widths.count(other) < 2, abs(other - width)

    return min(alike, key=distance, default=None)
