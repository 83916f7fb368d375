"""Flags that commands share: the fields of a recipe, in its words, and the folder of records."""

from __future__ import annotations

import argparse
import inspect
import re
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from softshare.recipe import PROFILES, Recipe, for_profile


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Adds ``MODEL`` and a flag for every other field; what is not given comes out as None."""
    meaning = meanings()
    group = parser.add_argument_group("recipe, all of it part of the record's name")
    for field in fields(Recipe):
        text = f"{meaning[field.name]} {_defaults(field)}".strip().replace("%", "%%")
        if field.name == "model":
            parser.add_argument("model", metavar="MODEL", help=text)
            continue
        kind, label = _TYPES[str(field.type)]
        names = dict.fromkeys((f"--{field.name}", f"--{field.name.replace('_', '-')}"))
        group.add_argument(*names, type=kind, default=None, metavar=label, help=text)


def add_runs(parser: Any) -> None:
    """Adds ``--runs``, a path, or None for the usual folder."""
    text = "folder of records; default data/runs of the checkout, or of $SOFTSHARE_DATA"
    parser.add_argument("--runs", type=Path, metavar="DIR", help=text)


def count(text: str) -> int:
    """A whole number that somebody may want so many of.

    Example:
        >>> count("12")
        12
    """
    if not re.fullmatch(r"[1-9]\d{0,2}", text):
        raise argparse.ArgumentTypeError(f"takes a whole number from 1 to 999; got {text!r}")
    return int(text)


def _fractions(text: str) -> tuple[float, ...]:
    try:
        return () if text in ("", "none") else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"takes numbers such as 0.3,0.6,0.8, or none; got {text!r}"
        ) from None


def meanings() -> dict[str, str]:
    """What each field of a recipe means, as `Recipe` documents it."""
    section = (inspect.getdoc(Recipe) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", section, re.MULTILINE)
    meaning = {name: " ".join(text.split()).replace("`", "") for name, text in found}
    return {f.name: meaning.get(f.name, "") for f in fields(Recipe)}


def _defaults(field: Field) -> str:
    """The default of a field, and where a profile or a task has another."""
    if field.name in ("model", "profile"):
        return "" if field.name == "model" else f"Default {field.default}."
    parts: list[str] = []
    last = None
    for label, model in (("", "wrn-28-10"), ("shortest paths ", "cnn"), ("scnn-r ", "scnn-r")):
        recipes = {profile: for_profile(model, profile=profile) for profile in PROFILES}
        values = {profile: _plain(getattr(r, field.name)) for profile, r in recipes.items()}
        shown = values.pop("paper")
        others = [f"{profile} {value}" for profile, value in values.items() if value != shown]
        shown += f" ({', '.join(others)})" if others else ""
        if shown != last:
            parts.append(label + shown)
        last = shown
    return f"Default {'; '.join(parts)}."


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


_TYPES: dict[str, Any] = {
    "str": (str, "NAME"),
    "int": (int, "N"),
    "float": (float, "X"),
    "tuple[float, ...]": (_fractions, "X,X,..."),
}
