"""The command ``queue``: how it is asked."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from softshare.commands import queue_work
from softshare.commands.flags import add_runs, count
from softshare.recipe import PROFILES

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_LONGEST = 30 * 86400.0


def queue_parser(adding: Any) -> argparse.ArgumentParser:
    """``queue``."""
    parser = adding.add_parser(
        "queue",
        allow_abbrev=False,
        usage="python -m softshare queue --budget TIME [--profile NAME] [--only TARGET] [options]",
        help="train the next missing runs of the plan within a budget of time",
        description=(
            "Trains what the plan asks for and no record has yet, in the plan's order, several "
            "runs at once where that is faster, and is over when the budget is. A run for which "
            "the time does not suffice goes on in the next call, also after a crash; two queues "
            "on one folder never train the same run."
        ),
        epilog=(
            "Exit status: 0 done, or the budget is used, and nothing failed; 1 a run failed, or "
            "refused, with a sentence that says why; 2 the command line is wrong; 130 "
            "interrupted; 143 terminated."
        ),
    )
    what = parser.add_argument_group("what")
    what.add_argument("--budget", type=duration, metavar="TIME", help="such as 90s, 25m, 1h30m")
    what.add_argument(
        "--whole",
        action="store_true",
        help="begin only what can be over by then, foldings too: for machines given back after it",
    )
    what.add_argument("--dry-run", action="store_true", help="show the plan and its minutes here")
    what.add_argument("--profile", choices=PROFILES, help="only runs of this profile")
    what.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TARGET",
        help="only what this table, figure or chapter needs, such as table1; may be repeated",
    )
    what.add_argument(
        "--data",
        default="",
        metavar="NAME",
        help="image set in place of CIFAR-10; default CIFAR-10 if at hand, else cifar10-jpeg",
    )
    what.add_argument("--plan", type=Path, metavar="FILE", help="default data/plan.toml")
    where = parser.add_argument_group("where and how")
    where.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:N; CUDA if there is one")
    where.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help=(
            "runs at once, at most; default by cores, and on a GPU by the sizes of the networks, "
            "no more than 2 unless NVIDIA's multi-process service (MPS) lets them overlap. "
            "On a CPU each has $OMP_NUM_THREADS threads, by default 1, or 4 from 8 cores up"
        ),
    )
    add_runs(where)
    where.add_argument("--quiet", action="store_true", help="no progress between events")
    after = parser.add_argument_group("for transfer, when all is over")
    after.add_argument(
        "--pack",
        type=Path,
        metavar="FILE",
        help="pack the records of this call into FILE.zip, FILE-2.zip and so on, 15 MiB each",
    )
    after.add_argument("--pack-all", action="store_true", help="pack every record there is")
    after.add_argument(
        "--pack-unfinished", action="store_true", help="pack the checkpoints that fit, too"
    )
    parser.set_defaults(run=queue_work.work, check=_check, interrupted="")
    return parser


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.budget and not arguments.dry_run:
        raise ValueError("--budget says how long it may take, such as 25m; or pass --dry-run")
    packing = arguments.pack_all or arguments.pack_unfinished
    if packing and not arguments.pack:
        raise ValueError("--pack-all and --pack-unfinished say what --pack FILE packs; pass it too")
    if arguments.pack and arguments.dry_run:
        raise ValueError("--dry-run trains nothing, and --pack FILE would have nothing to pack")


def duration(text: str) -> float:
    """Seconds of a time such as ``90s``, ``25m``, ``1.5h`` or ``1h30m``.

    Example:
        >>> duration("25m"), duration("1h30m")
        (1500.0, 5400.0)
    """
    number = r"(\d+(?:\.\d+)?)"
    parts = re.fullmatch(rf"(?:{number}h)?(?:{number}m)?(?:{number}s)?", text)
    seconds = 0.0
    if parts:
        seconds = sum(
            float(amount) * _UNITS[unit]
            for amount, unit in zip(parts.groups(), _UNITS, strict=True)
            if amount
        )
    if not 1 <= seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(
            f"takes a time from 1s to 30 days, such as 90s, 25m or 1h30m; got {text!r}"
        )
    return seconds
