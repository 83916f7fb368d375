"""What was hoped for of each benchmark, and whether it was met."""

from __future__ import annotations

from collections.abc import Sequence

from softshare.results.speed import PRICES, Record, device, is_cpu, label
from softshare.results.speed_tables import matrix_share, ours, three, title

_SHARES = {
    "WRN 28-10": 0.45
}  # of a GPU's matrix rate, which the fastest known trainings on CIFAR reach


def hopes(records: Sequence[Record]) -> list[str]:
    """A sentence for each case of which something was hoped: met or missed, and how clearly.

    *Within the spread* means that the middle half of the rounds lies on both sides of the hope.

    Example:
        >>> hopes([])
        []
    """
    lines = _shares(records)
    for record in records:
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


def _shares(records: Sequence[Record]) -> list[str]:
    """Of each GPU the best engine, against the share of the matrix rate that was hoped for."""
    best: dict[tuple[str, str], Record] = {}
    for record in records:
        key = record["settings"].get("net", ""), device(record)
        if record["benchmark"] != "images_per_second" or is_cpu(record) or key[0] not in _SHARES:
            continue
        best[key] = max(best.get(key, record), record, key=matrix_share)
    return [
        f"{title(record['benchmark']).capitalize()}, {label(record)}, the fastest on record, "
        f"{where}: {100 * matrix_share(record):.0f} % of the matrix rate, "
        f"{100 * _SHARES[net]:.0f} % was hoped for: "
        f"{'met' if matrix_share(record) >= _SHARES[net] else '**missed**'}."
        for (net, where), record in best.items()
    ]
