"""What of the paper has been reproduced so far."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from softshare import paper
from softshare.counting import count
from softshare.models import build
from softshare.provenance import command
from softshare.recipe import Recipe, for_profile
from softshare.records import Run, load_runs

if TYPE_CHECKING:
    import pandas as pd

_TRAINING_IMAGES = 50_000  # of CIFAR


def tables() -> pd.DataFrame:
    """A row for each number of the paper's tables that is its own: verdict, runs, command.

    Example:
        >>> list(tables().columns)  # doctest: +NORMALIZE_WHITESPACE
        ['table', 'row', 'data', 'paper', 'verdict', 'runs at its own size', 'stand-ins',
        'cost of a run (EFLOP)', 'command']
    """
    import pandas as pd

    runs = load_runs()
    lines = []
    for name, table in paper.load()["tables"].items():
        options = {row["row"]: row["options"] for row in table["rows"]}
        compared = paper.compare(runs, name)
        own = compared[(compared["model"] != "") & compared["paper"].notna()]
        for (row, data), part in own.groupby(["row", "data"], sort=False):
            first = part.iloc[0]
            others = compared[compared["stands_in_for"] == row]
            same_set = [v.partition("-")[0] == data for v in others["variant"]]
            asked = for_profile(first["model"], data, "paper", **options[row])
            lines.append(
                {
                    "table": table["source"],
                    "row": row,
                    "data": data,
                    "paper": f"{first['paper']:.2f} {first['unit']}",
                    "verdict": first["verdict"],
                    "runs at its own size": int(part["n"].sum()),
                    "stand-ins": int(others["n"][same_set].sum()),
                    "cost of a run (EFLOP)": _cost(asked) if name != "table3" else math.nan,
                    "command": command(asked) if name != "table3" else "",
                }
            )
    return pd.DataFrame(lines).drop_duplicates(["table", "row", "data", "paper"])


def figures() -> pd.DataFrame:
    """A row for each figure that shows trained networks: what is recorded for it.

    Example:
        >>> list(figures().columns)
        ['figure', 'title', 'state', 'runs']
    """
    import pandas as pd

    runs = load_runs()
    return pd.DataFrame(
        [
            {
                "figure": about["title"]["source"],
                "title": about["title"]["value"],
                "state": _state(shown),
                "runs": len(shown),
            }
            for about in paper.load()["figures"].values()
            if (models := _models(about))
            for shown in [[run for run in runs if run.recipe.model in models]]
        ]
    )


@cache
def _macs(plain: str) -> int:
    with torch.device("meta"):
        return count(build(plain)).macs or 0


def _cost(recipe: Recipe) -> float:
    """Training by the formula of the field: forward once, backward twice, two FLOP a MAC."""
    plain = "-".join(recipe.model.removeprefix("s").split("-")[:3])
    images = _TRAINING_IMAGES * recipe.total_epochs
    return 6 * _macs(plain) * images / 1e18


def _models(about: dict[str, Any]) -> list[str]:
    if "models" in about:
        return list(about["models"]["value"])
    return [about["model"]["value"]] if "model" in about else []


def _state(runs: list[Run]) -> str:
    if not runs:
        return "not attempted"
    profiles = dict.fromkeys(run.profile for run in runs)
    if "paper" in profiles:
        return "recorded at the paper's settings"
    return f"recorded at profile {', '.join(profiles)}: not comparable"
