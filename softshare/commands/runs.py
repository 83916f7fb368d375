"""The command ``runs``: how it is asked, and what it prints."""

from __future__ import annotations

import argparse
from typing import Any

from softshare.commands.flags import add_runs
from softshare.commands.train import result_of
from softshare.paths import runs_root
from softshare.records import load_runs
from softshare.records.naming import epochs


def runs_parser(adding: Any, status: str) -> argparse.ArgumentParser:
    """Adds the command to those of a parser."""
    parser = adding.add_parser(
        "runs",
        allow_abbrev=False,
        help="list the records",
        description="Lists the records with their results, all or those that match.",
        epilog=status,
    )
    for name in ("model", "data", "profile"):
        parser.add_argument(f"--{name}", metavar="NAME", help=f"only runs of this {name}")
    add_runs(parser)
    parser.set_defaults(run=_runs, interrupted="")
    return parser


def _runs(arguments: argparse.Namespace) -> None:
    names = ("model", "data", "profile")
    wanted = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    found = load_runs(arguments.runs, **wanted)
    if not found:
        kind = "".join(f", {name} {value}" for name, value in wanted.items())
        print(f"No runs are recorded in {arguments.runs or runs_root()}{kind}.")
        return
    rows = [("result", "epochs", "seconds", "record")]
    for run in found:
        rows.append((result_of(run), epochs(run.recipe), f"{run.cost['seconds']}", run.path))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for result, trained, seconds, path in rows:
        print(f"{result:{widths[0]}}  {trained:>{widths[1]}}  {seconds:>{widths[2]}}  {path}")
