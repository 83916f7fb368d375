"""How fast, and how far from what the machine can do: the records of the benchmarks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softshare import storage
from softshare.paths import data_root
from softshare.records import record_file
from softshare.records.origin import made_on, on_cpu

BENCHMARKS = (
    "weight_generation",
    "price_of_sharing",
    "plain_loop",
    "images_per_second",
    "shortest_path_figure",
    "shortest_paths",
    "folding",
)
"""The scripts in `benchmarks/`, in the order of the page."""

PRICES = ("price_of_sharing",)  # read as how many times as long ours takes, not as a gain

Record = Mapping[str, Any]


def load(name: str | None = None, folder: Path | str | None = None) -> list[dict[str, Any]]:
    """The records of one benchmark, or of all, by benchmark, device and case.

    Args:
        name: one of `BENCHMARKS`. Default: all.
        folder: where they lie. Default ``data/benchmarks`` of the checkout.

    Raises:
        ValueError: an unknown name.
        Damaged: a file that is no record of a benchmark.

    Example:
        >>> load("folding", "no/such/folder")
        []
        >>> load("faster")
        Traceback (most recent call last):
        ...
        ValueError: A benchmark is one of weight_generation, price_of_sharing, plain_loop, \
images_per_second, shortest_path_figure, shortest_paths, folding; got 'faster'.
    """
    if name is not None and name not in BENCHMARKS:
        raise ValueError(f"A benchmark is one of {', '.join(BENCHMARKS)}; got {name!r}.")
    found = [_read(path) for path in sorted(_root(folder).rglob("*.json"), key=_natural)]
    found = [record for record in found if name in (None, record["benchmark"])]
    return sorted(found, key=lambda r: (BENCHMARKS.index(r["benchmark"]), device(r)))


def device(record: Record) -> str:
    """The device of a record, with its threads where they matter.

    Example:
        >>> device({"origin": {"device": "A CPU", "threads": 2}})
        'A CPU, 2 threads'
    """
    return made_on(record["origin"])


def is_cpu(record: Record) -> bool:
    """Whether a record was made without a GPU."""
    return on_cpu(record["origin"])


def gap(record: Record) -> float:
    """How many times its floor ours takes; 0 where there is no floor."""
    floor = record["floor"]["seconds"]
    return record["medians"]["ours"] / floor if floor else 0.0


def label(record: Record) -> str:
    """A case in words; what belongs together is not broken over lines.

    Example:
        >>> label({"settings": {"net": "WRN 28-1", "batch": 128}, "quick": False})
        'WRN\\xa028‑1, batch\\xa0128'
    """
    settings = record["settings"].items()
    words = [v if isinstance(v, str) else f"{name} {v}" for name, v in settings]
    quick = ["quick"] * record["quick"]
    return ", ".join(whole(word) for word in words + quick)


def whole(words: str) -> str:
    """The words with spaces and hyphens at which no line is broken."""
    return words.replace(" ", "\xa0").replace("-", "\u2011")


def save(record: Record, folder: Path | str | None = None) -> Path:
    """Writes a record whole or not at all, with its checksum, where `load` finds it.

    A record replaces an earlier one of the same device, benchmark and case.

    Raises:
        OSError: the place is full or not writable.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", device(record).lower()).strip("-")
    path = _root(folder) / slug / record["benchmark"] / f"{record['case']}.json"
    record_file.write(path, record)
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        record = record_file.read(path)
    except storage.Damaged as error:
        raise storage.Damaged(f"{error} Remove it, and run the benchmark again.") from error
    if record.get("benchmark") not in BENCHMARKS:
        raise storage.Damaged(f"{path} is of no benchmark known here; remove it, and run it again.")
    return record


def _root(folder: Path | str | None) -> Path:
    return data_root() / "benchmarks" if folder is None else Path(folder)


def _natural(path: Path) -> list[Any]:
    """Sorts L6 before L10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.as_posix())]
