"""The paper's numbers by name, and ours beside them."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from softshare.paper.comparison import frame
from softshare.paper.file import Fact, read
from softshare.records import Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fact", "compare", "fact", "facts", "load", "models", "rows", "sets", "value"]


def value(path: str) -> Any:
    """The paper's value at a path, so that prose can print a number by its name.

    Args:
        path: `table/row/column`, `table/row/printed_parameters`, `counts/model/data`, or an entry
            under `text`, `settings` or `figures`; `facts()` lists them all.

    Raises:
        ValueError: No such path.

    Example:
        >>> value("table1/SWRN 28-10-1/cifar10"), value("settings/cifar/milestones")
        (4.01, [60, 120, 160])
        >>> value("figures/figure6/folded_layers")
        24
    """
    return fact(path).value


def fact(path: str) -> Fact:
    """The same as `value`, with its unit, source, confidence and note.

    Example:
        >>> reduction = fact("text/relative_reduction_cifar10")
        >>> f"{reduction.value} {reduction.unit} ({reduction.source})"
        '6.5 % (Section 4.1)'
    """
    known = read()[1]
    if path not in known:
        near = difflib.get_close_matches(path, known, n=3, cutoff=0.4)
        hint = f"perhaps {' or '.join(map(repr, near))}" if near else "none is near it"
        raise ValueError(
            f"the paper's numbers have the paths of softshare.paper.facts(), not {path!r}: {hint}"
        )
    return copy.deepcopy(known[path])


def facts() -> dict[str, Fact]:
    """Every fact by its path, in the order of the file.

    Example:
        >>> sum(path.startswith("table1/") and path.endswith("/cifar10") for path in facts())
        5
    """
    return copy.deepcopy(read()[1])


def rows(table: str) -> list[dict[str, Any]]:
    """The rows of one of the paper's tables, in its order.

    Args:
        table: "table1", "table2", "table3" or "table4".

    Returns:
        One dict a row: `row` (the printed name, a star for dropout), `model` (ours, None for a
        network that this project does not build), `options` (recipe fields: dropout, cutout),
        `printed_parameters` ("36M"), `parameters` (exact counts by data set, ours), `values` (by
        column), `unclear` (columns whose reading is in doubt), `seeds` (runs averaged, None where
        the paper does not say), `quoted` (taken over from elsewhere) and `note`.

    Raises:
        ValueError: No such table.

    Example:
        >>> [row["row"] for row in rows("table3")]
        ['WRN 50-2', 'DenseNet-264', 'ResNet-200', 'SWRN 50-2']
        >>> rows("table1")[-1]["parameters"]["cifar10"]
        12287212
    """
    document = _with_table(table)
    counts = document["counts"]["models"]
    return [
        {"unclear": [], "note": "", **row, "parameters": counts.get(row["model"], {})}
        for row in document["tables"][table]["rows"]
    ]


def models(figure: str) -> list[str]:
    """The trained networks that one of the paper's figures shows; none for a diagram.

    Args:
        figure: "figure1" to "figure8".

    Raises:
        ValueError: No such figure.

    Example:
        >>> models("figure5"), models("figure6"), models("figure1")
        (['cnn', 'scnn', 'scnn-r'], ['swrn-40-8-8'], [])
    """
    return _several(figure, "models", "model")


def sets(figure: str) -> list[str]:
    """The data sets that the networks of a figure are trained on; none where it names none.

    Args:
        figure: "figure1" to "figure8".

    Raises:
        ValueError: No such figure.

    Example:
        >>> sets("figure3"), sets("figure6"), sets("figure5")
        (['cifar10', 'cifar100'], ['cifar10'], [])
    """
    return _several(figure, "sets", "data")


def _several(figure: str, many: str, one: str) -> list[str]:
    """What a figure has several of, or one."""
    known = read()[0]["figures"]
    if figure not in known:
        raise ValueError(f"the paper's figures are {', '.join(known)}; got {figure!r}")
    shown = known[figure]
    if many in shown:
        return list(shown[many]["value"])
    return [shown[one]["value"]] if one in shown else []


def compare(runs: Iterable[Run], table: str) -> pd.DataFrame:
    """Our runs beside the paper's numbers.

    A line for each row and column of the table and each setting in which it was run; runs that
    differ in more than the seed are never averaged. `softshare.paper.comparison.frame` explains the
    columns, `softshare.paper.verdict.verdict` the verdicts.

    Args:
        runs: Records of any model, data set and profile; those of other tables are left out.
        table: "table1", "table2", "table3" or "table4".

    Raises:
        ValueError: No such table, or two runs share recipe and seed.

    Example:
        >>> nothing = compare([], "table1")
        >>> print(nothing[["row", "data", "paper", "n", "verdict"]].head(2).to_string(index=False))
              row     data  paper  n       verdict
        WRN 28-10  cifar10   4.00  0 not attempted
        WRN 28-10 cifar100  19.25  0 not attempted
    """
    return frame(runs, table, _with_table(table))


def load() -> dict[str, Any]:
    """The whole of `data/paper.json`, checked, as a copy of your own.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged; the message says where.

    Example:
        >>> load()["citation"]["year"]
        2019
    """
    return copy.deepcopy(read()[0])


def _with_table(table: str) -> dict[str, Any]:
    document = load()
    if table not in document["tables"]:
        known = ", ".join(document["tables"])
        raise ValueError(f"the paper's tables are {known}; there is no {table!r}")
    return document
