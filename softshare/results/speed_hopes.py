"""What was hoped for of each benchmark, and whether it was met."""

from __future__ import annotations

from collections.abc import Sequence

from softshare.results.speed import PRICES, Record, device, is_cpu, label
from softshare.results.speed_tables import matrix_share, ours, three, title

_SHARES = {"WRN 28-10": 0.45}  # of a GPU's matrix rate, as the fastest known trainings on CIFAR


def hopes(records: Sequence[Record]) -> list[str]:
    """A sentence for each case of which something was hoped: met or missed, and how clearly.

    Within the spread means that the middle half of the rounds lies on both sides of the hope.

    Example:
        >>> hopes([])
        []
    """
    lines = []
    for record in records:
        if share := _hoped_share(record):
            found = matrix_share(record)
            lines.append(
                f"{title(record['benchmark']).capitalize()}, {label(record)}, {device(record)}: "
                f"{100 * found:.0f} % of the matrix rate, {100 * share:.0f} % was hoped for: "
                f"{'met' if found >= share else '**missed**'}."
            )
        if record["expected"]:
            price = record["benchmark"] in PRICES
            hope = f"at most {1 / record['expected']:.3g}" if price else f"{record['expected']:.3g}"
            met = "met" if record["ratio"] >= record["expected"] else "**missed**"
            low, high = record["spread"]
            met += ", within the spread" if low < record["expected"] <= high else ""
            lines.append(
                f"{title(record['benchmark']).capitalize()}, {label(record)}, {device(record)}: "
                f"{three(ours(record))} times as {'long' if price else 'fast'} as "
                f"{record['ways']['plain']}, {hope} was hoped for: {met}."
            )
    return lines


def _hoped_share(record: Record) -> float | None:
    if record["benchmark"] != "images_per_second" or is_cpu(record):
        return None
    return _SHARES.get(record["settings"]["net"])
