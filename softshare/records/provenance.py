"""Where a result came from, and the command that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from softshare.recipe import PATHS, Recipe
from softshare.records import Run
from softshare.records.naming import epochs
from softshare.records.origin import made_on, shown_device
from softshare.wording import Text, plural

if TYPE_CHECKING:
    import pandas as pd


def command(recipe: Recipe) -> str:
    """The shell command that trains a recipe.

    Example:
        >>> from softshare.recipe import for_profile
        >>> command(for_profile("swrn-28-10-2", "cifar10-jpeg", "fast", seed=1))
        'python -m softshare train swrn-28-10-2 --data cifar10-jpeg --profile fast --seed 1'
    """
    words = ["python", "-m", "softshare", "train", recipe.model]
    words += [] if recipe.data == PATHS else ["--data", recipe.data]
    words += ["--profile", recipe.profile]
    for name, value in recipe.own().items():
        plain = ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
        words += [f"--{name}", plain]
    return shlex.join(words)


def line(target: str, runs: Sequence[Run], again: Sequence[str] = ()) -> Text:
    """The line under a figure or table: notebook, runs, devices, commits, command.

    Args:
        target: name of the notebook, such as ``table1``.
        runs: those that the figure or table was made from.
        again: the commands that make them again; several stand folded away below the line.

    Example:
        >>> print(line("table1", []))
        *Made by `notebooks/table1.ipynb` from no run yet.*
    """
    notebook = f"`notebooks/{target}.ipynb`"
    if not runs:
        return Text(f"*Made by {notebook} from no run yet.*")
    seeds: dict[str, set[int]] = {}
    for run in runs:
        seeds.setdefault(run.path.rpartition("/")[0], set()).add(run.seed)
    counts = sorted({len(s) for s in seeds.values()})
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    text = (
        f"*Made by {notebook} from {plural(len(runs), 'record')} below `data/runs/` "
        f"({_few(dict.fromkeys(path for path in seeds), '`')}), n = {n} a model; "
        f"{_few(_each(runs, lambda run: run.profile))} profile; "
        f"{_few(_each(runs, lambda run: shown_device(run.origin)))}{_mixed(runs)}; "
        f"commit {_few(_each(runs, lambda run: run.origin['commit']), '`')}."
    )
    if len(again) < 2:
        return Text(text + "".join(f" Again: `{command}`." for command in again) + "*")
    commands = "\n".join(again)
    return Text(
        f"{text}*\n\n<details><summary>Again: {len(again)} commands</summary>\n\n"
        f"```sh\n{commands}\n```\n\n</details>"
    )


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run; its record's path names model, data, profile, settings and seed."""
    import pandas as pd

    of_training = ("epochs", "device", "precision", "minutes", "commit", "date")
    columns = ("record below data/runs", *of_training)
    rows = [
        (
            run.path,
            epochs(run.recipe),
            made_on(run.origin),
            run.origin["precision"],
            round(run.cost["seconds"] / 60, 1),
            run.origin["commit"],
            run.origin["date"][:10],
        )
        for run in runs
    ]
    return pd.DataFrame(rows, columns=columns)


def _each(runs: Sequence[Run], of: Any) -> dict[Any, None]:
    return dict.fromkeys(of(run) for run in runs)


def _mixed(runs: Sequence[Run]) -> str:
    """The precisions of the runs, where there are several."""
    found = _each(runs, lambda run: run.origin["precision"])
    return f", in {' and '.join(found)}" if len(found) > 1 else ""


def _few(values: Iterable[Any], mark: str = "") -> str:
    """Up to three values, and how many more."""
    shown = [f"{mark}{value}{mark}" for value in values]
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return ", ".join(shown[:3]) + more
