"""What a notebook shows first: which runs there are, and the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from softshare import paper
from softshare.paper.verdict import rule
from softshare.recipe import PATHS, Recipe
from softshare.records import Run
from softshare.records.naming import label, length, measures, row_label
from softshare.records.provenance import command
from softshare.wording import plural

if TYPE_CHECKING:
    import pandas as pd

_MEANING = {
    "paper": "the paper's settings",
    "fast": "a shortened schedule, not the paper's setting",
    "smoke": "narrow networks on a toy set for a few epochs: a demonstration that everything "
    "runs, not a result",
}
_SPREAD = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
_WHERE_ANY = ("GPU days", "error", "settings")  # columns that few tables fill


def sentences(
    runs: Sequence[Run],
    missing: Sequence[Recipe] = (),
    trained: Collection[str] = (),
    lacking: Sequence[Recipe] = (),
) -> list[str]:
    """What is shown and what is not, in words that cannot be missed.

    Args:
        runs: those shown.
        missing: recipes of the paper that nobody has trained.
        trained: paths of the records that were made just now.
        lacking: recipes asked for that have no record.

    Example:
        >>> print(*sentences([], [Recipe("scnn", PATHS)]), sep="\\n")
        No run with these settings is recorded, and none was trained.
        Not attempted at the paper's settings: SCNN.
    """
    lines = []
    for profile in dict.fromkeys(run.profile for run in runs):
        chosen = [run for run in runs if run.profile == profile]
        sets = ", ".join(dict.fromkeys(run.data["name"] for run in chosen))
        recipes = sorted((run.recipe for run in chosen), key=lambda r: (r.phases, r.total_epochs))
        lengths = " or ".join(dict.fromkeys(map(length, recipes)))
        new = sum(run.path in trained for run in chosen)
        made = f", {new} of them trained just now" if new else ""
        lines.append(
            f"{plural(len(chosen), 'run')} at profile {profile.upper()} ({_MEANING[profile]}): "
            f"{sets}, {lengths}{made}."
        )
    lines = lines or ["No run with these settings is recorded, and none was trained."]
    if lacking:
        seeds: dict[str, list[str]] = {}
        for recipe in lacking:
            seeds.setdefault(label(recipe), []).append(str(recipe.seed))
        names = ", ".join(
            f"{name} (seed{'s'[: len(each) > 1]} {', '.join(each)})" for name, each in seeds.items()
        )
        lines.append(
            f"Asked for and not recorded, {plural(len(lacking), 'run')} on {lacking[0].data} at "
            f"profile {lacking[0].profile.upper()}: {names}. The first is made by "
            f"`{command(lacking[0])}`."
        )
    for data in dict.fromkeys(recipe.data for recipe in missing):
        names = ", ".join(label(recipe) for recipe in missing if recipe.data == data)
        where = "" if data == PATHS else f" on {data}"
        lines.append(f"Not attempted at the paper's settings{where}: {names}.")
    return lines


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A comparison with the paper for reading: numbers with their spread, and what marks them.

    Args:
        table: as `softshare.compare` returns it.

    Example:
        >>> from softshare import compare
        >>> summary(compare([], "table1"))["paper (%)"].tolist()[:3]
        ['4.00', '19.25', '3.89']
    """
    import pandas as pd

    printed = table["paper"].notna()
    ours = [
        "" if not n else f"{mean:.2f}" + (f"{_SPREAD}{std:.2f}" if n > 1 else "")
        for mean, std, n in zip(table["ours"], table["spread"], table["n"], strict=True)
    ]
    days = table["gpu_days"]
    shown = pd.DataFrame(
        {
            "model": [row_label(row) for _, row in table.iterrows()],
            "parameters": [_parameters(row) for _, row in table.iterrows()],
            "GPU days": days.map("{:g}".format).where(days.notna(), ""),
            "error": measures(table),
            "trained on": table["variant"].where(table["n"] > 0, table["data"]),
            "paper (%)": table["paper"].map("{:.2f}".format).where(printed, ""),
            "mark": [_mark(row) for _, row in table.iterrows()],
            "ours (%)": ours,
            "n": table["n"],
            "profile": table["profile"],
            "epochs": table["epochs"].astype(str).where(table["n"] > 0, ""),
            "settings": table["settings"],
            "stands in for": table["stands_in_for"].where(~printed, ""),
            "verdict": table["verdict"],
        }
    )
    return shown.drop(columns=[name for name in _WHERE_ANY if not any(shown[name])])


def notes(target: str) -> list[str]:
    r"""What the words of a table's `summary` take: its verdicts, and what it marks.

    Args:
        target: ``table1`` to ``table4``.

    Example:
        >>> print(notes("table3")[2])  # doctest: +ELLIPSIS
        *note*, WRN 50-2: Whether it was retrained is not stated; ...
    """
    table = paper.compare([], target)
    lines = [rule(), paper.load()["tables"][target]["note"]]
    for note, rows in table[table["note"] != ""].groupby("note", sort=False):
        marks = dict.fromkeys(mark for _, row in rows.iterrows() if (mark := _mark(row)))
        names = ", ".join(dict.fromkeys(rows["row"])).replace("*", r"\*")
        lines.append(f"*{', '.join(marks)}*, {names}: {note}")
    return lines


def _parameters(row: Any) -> str:
    """As printed, and exact where the network is ours."""
    printed, exact = row["printed_parameters"], row["parameters"]
    if exact != exact:
        return printed
    return f"{printed} ({exact:,.0f})" if printed else f"{exact:,.0f}"


def _mark(row: Any) -> str:
    """What a reader should know of the paper's number: notes are below the table."""
    if row["confidence"] == "medium":
        return "quoted, unclear" if row["quoted"] else "unclear"
    return "quoted" if row["quoted"] else "note" if row["note"] else ""
