"""Runs beside a printed table: a line for each number, and for each of ours."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from softshare.paper.departures import departures
from softshare.paper.matching import Place, by_setting, data_set, place, variant
from softshare.paper.verdict import verdict
from softshare.records import Run

if TYPE_CHECKING:
    import pandas as pd

NO_ROW = "not a row of the paper"
COLUMNS = (
    *("row", "data", "metric", "paper", "unit", "ours", "spread", "n", "difference", "verdict"),
    *("why", "profile", "epochs", "settings", "variant", "model", "stands_in_for", "quoted"),
    *("confidence", "note", "printed_parameters", "parameters", "gpu_days"),
)


def frame(runs: Iterable[Run], name: str, document: dict[str, Any]) -> pd.DataFrame:
    """The comparison of one table, in its order, with our other runs last.

    Args:
        runs: Records; those that belong to another table, or lack its measure, are left out.
        name: A table of the document.
        document: The content of `data/paper.json`.

    Returns:
        A line for each row, column and setting that was run:

        - `row`; `data`, the column's data set; `metric`, its name in a record's result;
        - `paper`, the printed value in `unit`; `ours`, the mean over seeds; `spread`, their sample
          standard deviation, NaN at n = 1; `n`; `difference`, ours minus the paper's;
        - `verdict`, by `softshare.paper.verdict.verdict` if the paper's own setting was run on its
          own data, else "not comparable"; without a run "not attempted", or "not built here" of a
          network that the paper quotes; `why`, in words;
        - `profile` and `epochs`, 0 without a run; `settings`, in what else the training leaves the
          paper's; `variant`, the data set that was trained on; `model`, trained or to be trained;
          `stands_in_for`, the row whose model it is at another width;
        - `quoted`, `confidence` and `note` of the paper's number; `printed_parameters`, such as
          "36M", and `gpu_days`, as printed; `parameters`, exact, NaN for networks not built here.

        A run of another model or data set has row "not a row of the paper" and no paper value.

    Raises:
        ValueError: Two runs share recipe and seed.
    """
    import pandas as pd

    table = document["tables"][name]
    settings = document["settings"][table["settings"]]
    settings = {field: entry["value"] for field, entry in settings.items()}
    columns = {key: about for key, about in table["columns"].items() if about["metric"]}
    sets = {about["data"] for about in columns.values()}
    groups = [(place(runs[0], name, document["tables"]), runs) for runs in by_setting(runs)]
    lines = []
    for row in table["rows"]:
        for key, about in columns.items():
            size = document["counts"]["models"].get(row["model"], {}).get(about["data"], math.nan)
            printed = _printed(row, key, about) | {"parameters": size}
            own = [
                _ours(runs, about["metric"], settings, {about["data"]}, row)
                for where, runs in groups
                if where and where.own and where.row is row
                if data_set(runs[0]) == about["data"] and about["metric"] in runs[0].result
            ]
            lines += [_judged(printed, line, row) for line in own] or [_missing(printed, row)]
    units = {about["metric"]: about["unit"] for about in columns.values()}
    for where, runs in groups:
        if where and not (where.own and data_set(runs[0]) in sets):
            for metric in [metric for metric in units if metric in runs[0].result]:
                line = _ours(runs, metric, settings, sets, where.row)
                about = {"metric": metric, "unit": units[metric]}
                lines.append({**_unprinted(where, runs[0]), **about, **line})
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _printed(row: dict[str, Any], key: str, about: dict[str, Any]) -> dict[str, Any]:
    return {
        "row": row["row"],
        "data": about["data"],
        "metric": about["metric"],
        "paper": float(row["values"][key]),
        "unit": about["unit"],
        "stands_in_for": "",
        "quoted": row["quoted"],
        "confidence": "medium" if key in row.get("unclear", ()) else "high",
        "note": row.get("note", "") if key in row.get("unclear", [key]) else "",
        "printed_parameters": row["printed_parameters"],
        "gpu_days": row["values"].get("gpu_days", math.nan),
    }


def _unprinted(where: Place, run: Run) -> dict[str, Any]:
    return {
        "row": NO_ROW,
        "data": data_set(run),
        "paper": math.nan,
        "difference": math.nan,
        "verdict": "not comparable",
        "stands_in_for": where.row["row"] if where.row else "",
        "quoted": False,
        "confidence": "",
        "note": "",
        "printed_parameters": "",
        "parameters": run.model.get("parameters", math.nan),
        "gpu_days": math.nan,
    }


def _missing(printed: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    ours = dict.fromkeys(("ours", "spread", "difference"), math.nan)
    why, judged = "no run", "not attempted"
    if not row["model"]:
        why, judged = "another family, which this project does not build", "not built here"
    blank = dict.fromkeys(("profile", "settings", "variant"), "") | {"n": 0, "epochs": 0}
    about = {"why": why, "model": row["model"] or "", "verdict": judged}
    return {**printed, **ours, **blank, **about}


def _ours(
    runs: list[Run],
    metric: str,
    settings: dict[str, Any],
    official: set[str],
    row: dict[str, Any] | None,
) -> dict[str, Any]:
    recipe, results = runs[0].recipe, [run.result[metric] for run in runs]
    why = departures(recipe, settings)
    own = [words for words in why if not words.startswith("epochs ")]
    if recipe.profile != "paper":
        why.insert(0, f"profile {recipe.profile}")
    if variant(runs[0]) not in official:
        why.insert(0, f"trained on {variant(runs[0])}, not {' or '.join(sorted(official))}")
    cutout = row["options"].get("cutout", 0) if row else recipe.cutout
    if recipe.cutout != cutout:
        why.insert(0, f"cutout {recipe.cutout}, not {cutout}")
        own.insert(0, why[0])
    if row is None:
        why.insert(0, "the paper has no such row")
    elif row["model"] != recipe.model:
        why.insert(0, f"{recipe.model} stands in for {row['model']}")
    return {
        "ours": statistics.fmean(results),
        "spread": statistics.stdev(results) if len(results) > 1 else math.nan,
        "n": len(results),
        "why": "; ".join(why),
        "profile": recipe.profile,
        "epochs": recipe.epochs,
        "settings": ", ".join(words.partition(", not ")[0] for words in own),
        "variant": variant(runs[0]),
        "model": recipe.model,
    }


def _judged(printed: dict[str, Any], line: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    difference = line["ours"] - printed["paper"]
    if line["why"]:
        judged = "not comparable"
    else:
        judged = verdict(difference, line["spread"], line["n"])
        if line["n"] < (row["seeds"] or 0):
            line = {**line, "why": f"{line['n']} of {row['seeds']} seeds"}
    return {**printed, **line, "difference": difference, "verdict": judged}
