"""The plan of all runs: what `data/plan.toml` says, as recipes in order."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softshare import paper
from softshare.paper.file import read
from softshare.paths import plan_toml
from softshare.recipe import PATH_MODELS, PROFILES, Recipe, for_profile, streams
from softshare.reproduction.plan import Plan, at_hand
from softshare.results import variants

LISTS = ("gpu", "cpu")
_KEYS = ("adds", "target", "rows", "models", "profile", "seeds", "data", "settings")


@dataclass(frozen=True)
class Job:
    """One run of the plan, the tables and figures that it serves, and what it adds to the book."""

    recipe: Recipe
    targets: tuple[str, ...]
    adds: str


def campaign(first: str = "gpu", data: str = "", path: Path | str | None = None) -> list[Job]:
    """All runs of a plan file, each once, at the place where it is first asked for.

    Args:
        first: ``gpu`` or ``cpu``, the list to begin with; the other one follows.
        data: image set in place of CIFAR-10. Default: CIFAR-10 where it is at hand, else its JPEG
            variant.
        path: of the plan file. Default: `data/plan.toml`.

    Raises:
        ValueError: the file is not a plan; the message names the entry.
        FileNotFoundError: there is no such file.

    Example:
        >>> jobs = campaign(data="cifar10-jpeg")
        >>> jobs[0].recipe.path, jobs[0].targets
        ('shortest-paths/paper/cnn/seed0-3bb8addfd5.json', ('figure5',))
        >>> len({job.recipe for job in jobs}) == len(jobs)
        True
    """
    path = plan_toml() if path is None else Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no plan {path}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"The plan {path} is no TOML: {error}.") from error
    if unknown := [name for name in document if name not in LISTS]:
        raise ValueError(f"A plan has the lists gpu and cpu; {path} has {unknown[0]!r}.")
    wanted: dict[Recipe, Job] = {}
    for name in sorted(LISTS, key=lambda name: name != first):
        for number, entry in enumerate(document.get(name, ()), 1):
            try:
                recipes = _recipes(entry, data)
            except (ValueError, TypeError) as error:
                raise ValueError(f"Entry {number} of {name} in {path}: {error}") from error
            for recipe in recipes:
                job = wanted.get(recipe, Job(recipe, (), entry["adds"]))
                targets = dict.fromkeys((*job.targets, *_targets(entry)))
                wanted[recipe] = Job(recipe, tuple(targets), job.adds)
    return list(wanted.values())


def chosen(jobs: Sequence[Job], profile: str | None, only: Iterable[str]) -> list[Job]:
    """The runs of a profile and of some tables or figures, in their order.

    Raises:
        ValueError: a table or figure that no run of the plan serves.
    """
    known = sorted({target for job in jobs for target in job.targets})
    only = list(only)
    for name in only:
        if name not in known:
            raise ValueError(f"The plan has runs for {', '.join(known)}; got {name!r}.")
    return [
        job
        for job in jobs
        if (not profile or job.recipe.profile == profile)
        and (not only or set(only) & set(job.targets))
    ]


def _recipes(entry: dict[str, Any], instead: str) -> list[Recipe]:
    """What an entry asks for, all rows of the first seed first."""
    for name in entry:
        if name not in _KEYS:
            raise ValueError(f"it may have {', '.join(_KEYS)}; got {name!r}.")
    for name in ("adds", "profile"):
        if not isinstance(entry.get(name), str):
            raise ValueError(f"it needs {name}, a text; got {entry.get(name)!r}.")
    seeds, profile = entry.get("seeds", 1), entry["profile"]
    if type(seeds) is not int or seeds < 1:
        raise ValueError(f"seeds is a whole number from 1 up; got {seeds!r}.")
    if profile not in PROFILES:
        raise ValueError(f"profile is one of {', '.join(PROFILES)}; got {profile!r}.")
    variations = entry.get("settings", {})
    if not isinstance(variations, list):
        variations = [variations]
    rows = _rows(entry)
    if profile == "smoke" and not {"models", "rows", "settings", "data"} & set(entry):
        return Plan(_targets(entry)[0], profile="smoke", seeds=seeds).recipes()
    return [
        for_profile(
            model, _set(entry, model, instead), profile, **(options | settings | {"seed": seed})
        )
        for seed in range(seeds)
        for model, options in rows
        for settings in variations
    ]


def _targets(entry: dict[str, Any]) -> list[str]:
    target = entry.get("target", [])
    return [target] if isinstance(target, str) else list(target)


def _set(entry: dict[str, Any], model: str, instead: str) -> str | None:
    if model in PATH_MODELS:
        return None
    if "data" in entry or streams(model):
        return entry.get("data")
    return "digits" if entry["profile"] == "smoke" else instead or at_hand()


def _rows(entry: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Model and options of the networks that an entry means."""
    document = read()[0]
    tables, figures = document["tables"], document["figures"]
    known = (*tables, *figures, "appendix_b", "open_questions")
    if not _targets(entry) or set(_targets(entry)) - set(known):
        raise ValueError(f"target is one of {', '.join(known)}, or a list of them.")
    target = _targets(entry)[0]
    if "models" in entry:
        return [(model, {}) for model in entry["models"]]
    if target in tables or target == "appendix_b":
        every = variants.rows() if target == "appendix_b" else paper.rows(target)
        own = {row["row"]: row for row in every if row["model"]}
        names = entry.get("rows", list(own))
        if unknown := [name for name in names if name not in own]:
            raise ValueError(f"{target} has the rows {', '.join(own)}; got {unknown[0]!r}.")
        return [(own[name]["model"], own[name]["options"]) for name in names]
    if "rows" in entry:
        raise ValueError(f"rows are those of a table; {target} has none.")
    models = paper.models(target) if target in figures else []
    if not models:
        raise ValueError(f"{target} shows no network of its own; name its models.")
    return [(model, {}) for model in models]
