"""Where a recipe leaves the paper's settings."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from softshare.recipe import Recipe

# Fields that tell which row, data set or average a run belongs to, not how it was trained
IDENTITY = ("model", "data", "profile", "seed", "dropout", "cutout")


def departures(recipe: Recipe, settings: dict[str, Any]) -> list[str]:
    """Where a recipe leaves the paper's settings, and where the paper is silent, its own defaults.

    Args:
        recipe: A dataclass of settings whose defaults are plain values.
        settings: The paper's, by name of the recipe's field; milestones in epochs.
    """
    found = []
    for field in dataclasses.fields(recipe):
        ours = getattr(recipe, field.name)
        paper = settings.get(field.name, field.default)
        if field.name == "milestones":  # a recipe has fractions, the paper epochs
            paper = tuple(epoch / settings["epochs"] for epoch in paper)
            same = len(ours) == len(paper) and all(map(math.isclose, ours, paper))
        else:
            same = math.isclose(ours, paper) if isinstance(ours, float) else ours == paper
        if field.name not in IDENTITY and not same:
            found.append(f"{field.name} {ours}, not {paper}")
    return found
