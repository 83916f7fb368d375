"""Reading and checking `data/paper.json`, the only place where the paper's numbers are typed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from softshare.paths import paper_json

SECTIONS = ("citation", "tables", "counts", "text", "settings", "figures")
ROW = ("row", "model", "options", "printed_parameters", "values", "seeds", "quoted")


@dataclass(frozen=True)
class Fact:
    """One number or word of the paper.

    Args:
        value: What the paper says.
        unit: Its unit; "" for words, lists of names and plain ratios.
        source: Where it stands: "Table 1", "Section 4.3", "Figure 6 caption"; for what the paper
            takes over without printing it, the work that it follows.
        confidence: "high", or "medium" where our reading or the source leaves a doubt.
        note: What else a reader should know, in our words.

    Example:
        >>> Fact(0.3, "", "Table 1 caption").confidence
        'high'
    """

    value: Any
    unit: str
    source: str
    confidence: str = "high"
    note: str = ""


def read() -> tuple[dict[str, Any], dict[str, Fact]]:
    """The file as it stands, and every fact in it by path. Shared by all callers: do not change.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged; the message says where.

    Example:
        >>> document, found = read()
        >>> found["settings/cifar/epochs"].value == document["settings"]["cifar"]["epochs"]["value"]
        True
    """
    path = paper_json()
    if not path.is_file():
        raise FileNotFoundError(
            f"the paper's numbers are read from {path}, which does not exist; "
            "point SOFTSHARE_DATA at the data folder of a checkout"
        )
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, modified: int) -> tuple[dict[str, Any], dict[str, Fact]]:
    found: dict[str, Fact] = {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or tuple(document) != SECTIONS:
            raise ValueError(f"its sections must be {', '.join(SECTIONS)}")
        for name, entry in _walk(document):
            if name in found:
                raise ValueError(f"{name} occurs twice")
            found[name] = entry
    except KeyError as error:
        raise _damaged(path, f"no {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    return document, found


def _damaged(path: Path, reason: str) -> ValueError:
    return ValueError(f"{path} is damaged ({reason}); restore it from the repository")


def _walk(document: dict[str, Any]) -> Iterator[tuple[str, Fact]]:
    for name, table in document["tables"].items():
        if table["settings"] not in document["settings"]:
            raise ValueError(f"{name} refers to unknown settings {table['settings']!r}")
        for row in table["rows"]:
            yield from _cells(name, row, table)
    counts = document["counts"]
    for model, numbers in counts["models"].items():
        for data, number in numbers.items():
            yield f"counts/{model}/{data}", Fact(number, counts["unit"], counts["source"])
    for section in ("text", "settings", "figures"):
        yield from _leaves(section, document[section])


def _cells(name: str, row: dict[str, Any], table: dict[str, Any]) -> Iterator[tuple[str, Fact]]:
    where = f"{name}/{row['row']}"
    if missing := [key for key in ROW if key not in row]:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    if row["values"].keys() != table["columns"].keys():
        raise ValueError(f"{where} must have values for {', '.join(table['columns'])}")
    printed, note = row["printed_parameters"], row.get("note", "")
    yield f"{where}/printed_parameters", Fact(printed, "parameters", table["source"], note=note)
    for column, number in row["values"].items():
        if type(number) not in (int, float) or not math.isfinite(number):
            raise ValueError(f"{where}/{column} must be a finite number, not {number!r}")
        confidence = "medium" if column in row.get("unclear", ()) else "high"
        unit = table["columns"][column]["unit"]
        yield f"{where}/{column}", Fact(number, unit, table["source"], confidence, note)


def _leaves(where: str, node: dict[str, Any]) -> Iterator[tuple[str, Fact]]:
    if not isinstance(node, dict):
        raise ValueError(f"{where} must have value, unit and source")
    if "value" not in node:
        for name, child in node.items():
            yield from _leaves(f"{where}/{name}", child)
        return
    if missing := [key for key in ("unit", "source") if key not in node]:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    entry = Fact(**node)
    if entry.confidence not in ("high", "medium"):
        raise ValueError(f"{where} has confidence {entry.confidence!r}, not high or medium")
    yield where, entry
