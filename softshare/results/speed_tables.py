"""What the page on speed shows: tables and origins of the benchmarks' records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softshare.results.speed import BENCHMARKS, PRICES, Record, device, gap, is_cpu, label, whole
from softshare.wording import Text, plural

if TYPE_CHECKING:
    import pandas as pd

KINDS = {"CPU": "cpu", "GPU": "cuda"}
"""Kinds of devices, and what PyTorch calls them."""


def overview(records: Sequence[Record]) -> pd.DataFrame:
    """A row for each benchmark: what was measured on CPUs and on GPUs.

    Example:
        >>> overview([]).loc[0].tolist()
        ['weight generation', 'not measured', 'not measured']
    """
    import pandas as pd

    lines = []
    for name in BENCHMARKS:
        line = {"benchmark": title(name)}
        for kind, word in KINDS.items():
            ratios = [ours(r) for r in _on(word, records) if r["benchmark"] == name]
            how = "times as long" if name in PRICES else "times as fast"
            line[f"on a {kind}"] = f"{_range(ratios)} {how}" if ratios else "not measured"
        lines.append(line)
    return pd.DataFrame(lines)


def missing(records: Sequence[Record]) -> list[str]:
    """The commands that measure what nobody has measured.

    Example:
        >>> missing([])[0]
        'python benchmarks/weight_generation.py --device cpu'
    """
    return [
        f"python benchmarks/{name}.py --device {word}"
        for word in KINDS.values()
        for name in BENCHMARKS
        if name not in {r["benchmark"] for r in _on(word, records)}
    ]


def table(records: Sequence[Record]) -> pd.DataFrame:
    """A row for each case: both medians, how they compare, and the floor.

    Args:
        records: of one benchmark, as `softshare.results.speed.load` returns them.

    Returns:
        A frame of words. The ratio is followed by the range of the middle half of the rounds, if
        there was more than one; the device has a column where there are several.

    Example:
        >>> table([]).empty
        True
    """
    import pandas as pd

    found = pd.DataFrame([_row(record) for record in records]).fillna("")
    one = len(found) and found["device"].nunique() == 1
    return found.drop(columns="device") if one else found


def line(name: str, records: Sequence[Record]) -> Text:
    """The line under a benchmark: records, devices, versions, commits, command, and what ours is.

    Example:
        >>> print(line("folding", []))
        *Not measured on a CPU: `python benchmarks/folding.py --device cpu`. Not measured on a \
GPU: `python benchmarks/folding.py --device cuda`.*
    """
    parts = []
    if records:
        made = {
            f"{device(r)}, torch {r['origin']['torch']}, commit `{r['origin']['commit']}`, "
            f"{r['origin']['date'][:10]}, again: `{r['command']}`": None
            for r in records
        }
        ways = dict.fromkeys(r["ways"]["ours"] for r in records)
        parts = [
            f"{plural(len(records), 'record')} in `data/benchmarks/`; {'; '.join(made)}.",
            f"Ours is: {'; '.join(ways)}.",
        ]
    for kind, word in KINDS.items():
        if not _on(word, records):
            command = f"python benchmarks/{name}.py --device {word}"
            parts.append(f"Not measured on a {kind}: `{command}`.")
    return Text(f"*{' '.join(parts)}*")


def title(name: str) -> str:
    """A benchmark in words."""
    return name.replace("_", " ")


def duration(seconds: float) -> str:
    """Seconds in a unit that suits them.

    Example:
        >>> duration(0.0123), duration(75.0), duration(4.2e-5)
        ('12.3\\xa0ms', '75\\xa0s', '42\\xa0µs')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return whole(f"{three(seconds / size)} {unit}")
    return whole(f"{three(seconds * 1e9)} ns")


def _row(record: Record) -> dict[str, Any]:
    per, medians, floor = record["per"], record["medians"], record["floor"]
    price, images = record["benchmark"] in PRICES, per == "image"
    low, high = sorted(1 / r for r in record["spread"]) if price else record["spread"]
    spread = " " + whole(f"({three(low)} to {three(high)})") if record["repeats"] > 1 else ""
    each = "images/s" if images else _a(per)
    row = {
        "case": label(record),
        "device": device(record),
        "plain way": record["ways"]["plain"],
        f"plain, {each}": _time(medians["plain"], images),
        f"ours, {each}": _time(medians["ours"], images),
        "times as long" if price else "times as fast": three(ours(record)) + spread,
        "rounds": str(record["repeats"]),
    }
    if floor["seconds"]:
        row[f"floor, {each}"] = f"{_time(floor['seconds'], images)} ({floor['set by']})"
        row["ours / floor"] = three(gap(record))
    if images and "flops_per_second" in floor:
        share = whole(f"{100 * matrix_share(record):.0f} %")
        row["share of the matrix rate"] = f"{share} ({floor['dtype']})"
    return row


def matrix_share(record: Record) -> float:
    """Of the rate of a large matrix product, what goes into the network."""
    floor = record["floor"]
    share: float = floor["flops"] / record["medians"]["ours"] / floor["flops_per_second"]
    return share


def _time(seconds: float, images: bool) -> str:
    """The duration of an item; images are read as a rate."""
    return f"{three(1 / seconds)}" if images else duration(seconds)


def ours(record: Record) -> float:
    """The ratio as it is read: gains upwards, prices as ours over plain."""
    ratio: float = record["ratio"]
    return 1 / ratio if record["benchmark"] in PRICES else ratio


def _on(word: str, records: Sequence[Record]) -> list[Record]:
    return [record for record in records if is_cpu(record) == (word == "cpu")]


def _a(thing: str) -> str:
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def _range(values: Sequence[float]) -> str:
    low, high = three(min(values)), three(max(values))
    return low if low == high else f"{low} to {high}"


def three(value: float) -> str:
    """Three digits that count, without an exponent.

    Example:
        >>> three(0.98765), three(12.345), three(41234.0)
        ('0.988', '12.3', '41200')
    """
    text = f"{float(f'{value:.3g}'):f}"
    return text.rstrip("0").rstrip(".")
