"""What of the paper has been reproduced so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from softshare import paper
from softshare.data.inventory import original
from softshare.paper.matching import data_set, stands_in, unaltered, varied
from softshare.recipe import Recipe, for_profile
from softshare.records import Run, load_runs
from softshare.records.provenance import command
from softshare.reproduction.plan import Plan
from softshare.results.variants import TITLE, variant
from softshare.training.cost import flops

if TYPE_CHECKING:
    import pandas as pd


def tables() -> pd.DataFrame:
    """A row for each number of the paper's tables whose network this project builds.

    Returns:
        Table, row, data set and number; the verdict of `softshare.compare`, at the paper's
        settings where these were run, and the runs it rests on; other runs of the row's own
        network, at any setting; runs that stand in for it at another width; cost; command.

    Example:
        >>> tables().loc[0, ["row", "paper", "command"]].tolist()  # doctest: +NORMALIZE_WHITESPACE
        ['WRN 28-10', '4.00 %',
        'python -m softshare train wrn-28-10 --data cifar10 --profile paper']
    """
    import pandas as pd

    lines = []
    for line, recipe in numbers():
        cost = {"cost of a run (EFLOP)": flops(recipe) / 1e18, "command": command(recipe)}
        lines.append(line | cost)
    return pd.DataFrame(lines)


def numbers() -> Iterator[tuple[dict[str, Any], Recipe]]:
    """The lines of `tables` without cost and command, each with the paper's recipe."""
    runs = unaltered(load_runs())
    for name, table in paper.load()["tables"].items():
        compared = paper.compare(runs, name)
        for row in table["rows"]:
            for key, about in table["columns"].items():
                if row["model"] and about["metric"]:
                    line = {"table": table["source"], "row": row["row"]}
                    recipe = for_profile(row["model"], about["data"], "paper", **row["options"])
                    yield line | _number(row, key, about, compared), recipe


def figures() -> pd.DataFrame:
    """A row for each figure that shows trained networks, and for Appendix B: what is recorded.

    Runs of the figure's own networks, at the paper's settings and at others, and runs that stand
    in for these at another width, on a copy of their own data set.

    Example:
        >>> list(figures().columns)
        ['figure', 'title', 'state', 'runs at its settings', 'other runs', 'stand-ins']
    """
    import pandas as pd

    runs = unaltered(load_runs())
    lines = []
    for name, about in paper.load()["figures"].items():
        if models := paper.models(name):
            own = Plan(name).own()
            others = [r for r in runs if r.recipe.tune or varied(r.recipe)]
            shown = [r for r in runs if r.recipe.model in models and r not in others]
            lines.append(
                _figure(about["title"]["source"], about["title"]["value"], own, shown, runs)
            )
    own = Plan("appendix_b").own()
    full = {recipe.model for recipe in own}  # of the paper's width
    shown = [run for run in runs if variant(run) and run.recipe.model in full]
    lines.append(_figure("Appendix B", TITLE, own, shown, runs))
    return pd.DataFrame(lines)


def _figure(
    source: str, title: str, own: list[Recipe], shown: list[Run], runs: list[Run]
) -> dict[str, Any]:
    return {
        "figure": source,
        "title": title,
        "state": _state(own, shown),
        "runs at its settings": sum(replace(run.recipe, seed=0) in own for run in shown),
        "other runs": sum(replace(run.recipe, seed=0) not in own for run in shown),
        "stand-ins": sum(_stands_in(run, own) for run in runs if run not in shown),
    }


def _number(
    row: dict[str, Any], key: str, about: dict[str, Any], compared: pd.DataFrame
) -> dict[str, Any]:
    data, printed = about["data"], row["values"][key]
    own = compared[
        (compared["row"] == row["row"])
        & (compared["data"] == data)
        & (compared["paper"] == printed)
        & (compared["metric"] == about["metric"])
    ]
    judged = own[own["verdict"] != "not comparable"].head(1)
    others = compared[compared["stands_in_for"] == row["row"]]
    same_set = [original(name) == data for name in others["variant"]]
    return {
        "data": data if data.startswith("cifar") else f"{data}, {about['printed']}",
        "paper": f"{printed:.2f} {about['unit']}",
        "verdict": (judged if len(judged) else own).iloc[0]["verdict"],
        "runs judged": int(judged["n"].sum()),
        "other runs": int(own["n"].sum() - judged["n"].sum()),
        "stand-ins": int(others["n"][same_set].sum()),
    }


def _stands_in(run: Run, own: list[Recipe]) -> bool:
    """Whether a run trains one of the networks at another width, on a copy of its own set."""
    return any(
        stands_in(run.recipe, {"model": recipe.model, "options": recipe.own()})
        and data_set(run) == recipe.data
        for recipe in own
    )


def _state(own: list[Recipe], runs: list[Run]) -> str:
    """How much of a figure is there: the paper's recipes, or others, or none."""
    trained = {replace(run.recipe, seed=0) for run in runs}
    done = [recipe for recipe in own if recipe in trained]
    if done:
        part = "" if len(done) == len(own) else f" for {len(done)} of {len(own)} networks"
        return f"recorded at the paper's settings{part}"
    profiles = ", ".join(dict.fromkeys(run.profile for run in runs))
    return f"recorded at profile {profiles}: not comparable" if runs else "not attempted"
