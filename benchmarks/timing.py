"""Medians of repeated timings, and the records of ratios made from them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch


def arguments(description: str | None, repeats: int = 7) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark: --device, --repeats, --record."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=repeats, help="timings a median is made of")
    parser.add_argument("--record", type=Path, help="JSON file to write, under data/benchmarks/")
    return parser


def median(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of one call of ``work``, after one call to warm up.

    A GPU is waited for, so that what ``work`` leaves running there is counted.
    """
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    seconds = []
    for _ in range(repeats + 1):
        wait()
        start = time.perf_counter()
        work()
        wait()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def hardware(device: str) -> str:
    """The name a reader knows a device by."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def report(
    name: str,
    plain: float,
    ours: float,
    options: argparse.Namespace,
    *,
    unit: str = "seconds",
    least: float | None = None,
) -> float:
    """Print and record the ratio of two medians, ``plain / ours``, taken on one machine.

    Args:
        name: What was measured, e.g. "shortest-paths".
        plain: Median of the plain way, in ``unit``.
        ours: Median of softshare's way, in ``unit``.
        options: Parsed arguments of a parser made by ``arguments``.
        unit: Unit of both medians. Default "seconds".
        least: Smallest ratio to accept. Default None: any.

    Returns:
        The ratio.

    Raises:
        SystemExit: If the ratio is below ``least``; the record is written all the same.
    """
    found = {
        "name": name,
        "ratio": plain / ours,
        "medians": {"plain": plain, "ours": ours},
        "unit": unit,
        "repeats": options.repeats,
        "device": hardware(options.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    print(f"{name}: {plain:.3g} / {ours:.3g} {unit} = {plain / ours:.4g}x on {found['device']}")
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        part = options.record.with_name(options.record.name + ".part")
        part.write_text(json.dumps(found, indent=1) + "\n")
        os.replace(part, options.record)
    if least is not None and plain / ours < least:
        raise SystemExit(f"{name}: a ratio of at least {least:g} is expected")
    return plain / ours
