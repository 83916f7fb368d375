"""One benchmark: its options, its cases timed in turn, its floors, and a record of each case."""

from __future__ import annotations

import argparse
import shlex
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from ceilings import copy_rate, matrix_product
from timing import in_turn, quartiles, ratios

from softshare.commands.flags import count
from softshare.paths import data_root
from softshare.records.origin import origin, unknown_commit
from softshare.results import speed
from softshare.training.device import device_for

_CEILING = "large matrix product"


def arguments(description: str | None, repeats: int = 7) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=form)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=count, default=0, help="of the CPU; default PyTorch's")
    parser.add_argument("--repeats", type=count, default=repeats, help="rounds of timings")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the records; default data/benchmarks, and with --quick none is written",
    )
    parser.add_argument(
        "--within",
        type=float,
        default=float("inf"),
        metavar="SECONDS",
        help="begin no case and no round after so long",
    )
    return parser


class Benchmark:
    """What the cases of one benchmark have in common.

    Args:
        file: the script, after which records and command are named.
        parser: made by `arguments`; the script may have added options of its own.
    """

    def __init__(self, file: str, parser: argparse.ArgumentParser) -> None:
        self.options = options = parser.parse_args()
        self.name = Path(file).stem
        try:
            self.device = device_for(options.device)
        except ValueError as error:
            parser.error(str(error))
        self.quick = options.quick
        self.until = time.monotonic() + options.within
        self.repeats = min(options.repeats, 2) if self.quick else options.repeats
        if options.threads:
            torch.set_num_threads(options.threads)
        words = ["python", f"benchmarks/{self.name}.py"]
        for name, value in vars(options).items():
            if name not in ("out", "within") and value != parser.get_default(name):
                words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        if self.device.type == "cuda" and "--device" not in words:
            words += ["--device", "cuda"]
        self.command = shlex.join(words)
        self.out = options.out or (None if self.quick else data_root() / "benchmarks")
        self.origin = origin(self.device)
        if self.out and (text := unknown_commit()):
            print(f"{self.name}: {text}", flush=True)
        self.rates: dict[Any, float] = {}  # of products by dtype, of copies by size: the best seen

    def cases(self, cases: Iterable[Any]) -> Iterator[Any]:
        """The cases that can begin in time."""
        for i, case in enumerate(cases):
            if i and time.monotonic() > self.until:
                print(f"{self.name}: out of time before {case}")
                return
            yield case

    def time(
        self, ways: Mapping[str, Callable[[], object]], dtype: torch.dtype = torch.float32
    ) -> dict[str, list[float]]:
        """Seconds of every way in each round; a matrix product in `dtype` takes its turn too."""
        product, flops = matrix_product(self.device, dtype, self.quick)
        turns = {_CEILING: product, **ways}
        seconds = in_turn(turns, self.repeats, self.device, self.until)
        self._best(dtype, flops / min(seconds.pop(_CEILING)))
        return seconds

    def _best(self, what: Any, rate: float) -> float:
        self.rates[what] = max(rate, self.rates.get(what, 0.0))
        return self.rates[what]

    def record(
        self,
        case: str,
        plain: list[float],
        ours: list[float],
        *,
        ways: tuple[str, str],
        settings: Mapping[str, Any],
        flops: float = 0.0,
        moved: float = 0.0,
        dtype: torch.dtype = torch.float32,
        per: str = "call",
        items: tuple[int, int] = (1, 1),
        expected: float | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Prints and records the plain way's time over ours, taken on one machine in turn.

        Args:
            case: name of the case, part of the record's file name.
            plain, ours: seconds a call in each round.
            ways: what the plain way and ours are, in a few words.
            settings: the sizes that make the case.
            flops, moved: floating-point operations, and bytes read and written, that no way to
                do the work of one item can avoid; 0 where there is nothing to count.
            dtype: of the matrix product whose rate bounds the FLOPs, as given to `time`.
            per: what an item is.
            items: items in a call, of the plain way and of ours.
            expected: the least ratio hoped for.
            more: further facts.

        Returns:
            The record: seconds are those of an item, `ratio` is the median over rounds, `spread`
            its quartiles.
        """
        seconds = {
            "plain": [float(f"{s / items[0]:.5g}") for s in plain],
            "ours": [float(f"{s / items[1]:.5g}") for s in ours],
        }
        each = ratios(seconds["plain"], seconds["ours"])
        found = {
            "benchmark": self.name,
            "case": case,
            "settings": dict(settings),
            "ways": dict(zip(("plain", "ours"), ways, strict=True)),
            "per": per,
            "medians": {way: statistics.median(s) for way, s in seconds.items()},
            "ratio": statistics.median(each),
            "spread": quartiles(each),
            "expected": None if self.quick else expected,
            "repeats": len(each),
            "floor": self._floor(flops, moved, dtype, items[1]),
            "seconds": seconds,
            **(more or {}),
            "quick": self.quick,
            "command": self.command,
            "origin": self.origin | {"date": datetime.now(UTC).isoformat(timespec="seconds")},
        }
        print(_sentence(found), flush=True)
        if self.out:
            speed.save(found, self.out)
        return found

    def _floor(self, flops: float, moved: float, dtype: torch.dtype, items: int) -> dict[str, Any]:
        floor: dict[str, Any] = {"flops": flops, "bytes": moved, "seconds": 0.0, "set by": ""}
        if flops:
            rate = self.rates[dtype]
            floor |= {"flops_per_second": rate, "dtype": str(dtype).removeprefix("torch.")}
            floor |= {"seconds": flops / rate, "set by": "FLOPs"}
        if moved:
            size = round(moved * items)
            rate = self._best(size, copy_rate(self.device, size))
            floor |= {"bytes_per_second": rate}
            if moved / rate > floor["seconds"]:
                floor |= {"seconds": moved / rate, "set by": "bytes"}
        return floor


def _sentence(record: Mapping[str, Any]) -> str:
    plain, ours = record["medians"].values()
    low, high = record["spread"]
    text = (
        f"{record['benchmark']} {record['case']}: {plain:.3g} / {ours:.3g} s a {record['per']} = "
        f"{record['ratio']:.3g}x ({low:.3g} to {high:.3g}, {record['repeats']} rounds)"
    )
    if record["floor"]["seconds"]:
        text += f"; ours is {ours / record['floor']['seconds']:.3g}x its floor"
    if record["expected"] and record["ratio"] < record["expected"]:
        text += f"; {record['expected']:.3g}x was hoped for"
    return text
