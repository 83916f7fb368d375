"""The command ``records``: how it is asked, and how records travel."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from softshare.commands.flags import add_runs
from softshare.paths import runs_root
from softshare.queue.narration import Narrator
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.merging import merge
from softshare.records.packing import MOST, pack


def records_parser(adding: Any) -> argparse.ArgumentParser:
    """``records pack`` and ``records merge``."""
    parser = adding.add_parser(
        "records",
        allow_abbrev=False,
        help="pack records for transfer, or merge packed ones",
        description="Carries records from one machine to another.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    packing = actions.add_parser(
        "pack",
        allow_abbrev=False,
        help="pack all records and the weights beside them",
        description="Packs all records into FILE.zip, FILE-2.zip and so on, 15 MiB each.",
        epilog="Exit status: 0 done; 1 something was left out or refused.",
    )
    packing.add_argument("file", type=Path, metavar="FILE")
    add_runs(packing)
    packing.set_defaults(run=_pack, interrupted="")
    merging = actions.add_parser(
        "merge",
        allow_abbrev=False,
        help="take over the records of archives, never in place of better ones",
        description=(
            "Checks every record, and takes it over where there is none of its run, or a damaged "
            "one, or one that has measured less. A conflict is reported and changes nothing."
        ),
        epilog=(
            "Exit status: 0 all records are here now; 1 some were refused or are in conflict "
            "with ours, or an archive is no pack of records, from which nothing is taken."
        ),
    )
    merging.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_runs(merging)
    merging.set_defaults(run=_merge, interrupted="")
    return parser


def sound(root: Path, narrator: Narrator) -> Iterator[Run]:
    """The records that can be read, in order; of the others a line."""
    for path in sorted(root.glob("**/seed*-*.json")):
        try:
            yield Run.load(path)
        except ValueError as error:
            narrator.say(f"warning {error}")


def pack_up(
    file: Path,
    records: Sequence[str],
    runs: Path | None,
    narrator: Narrator,
    unfinished: Sequence[Recipe] = (),
) -> bool:
    """Packs records by their paths, says so, and returns whether one did not fit."""
    file = file if file.suffix else file.with_suffix(".zip")
    packed = pack(file, records, runs, unfinished)
    for archive, number in packed.archives.items():
        narrator.say(
            f"packed  {archive}: {number} records, {archive.stat().st_size / 2**20:.1f} MiB"
        )
    if not packed.archives:
        narrator.say("packed  nothing: no new record")
    for path in packed.left_out:
        narrator.say(f"warning {path} is not packed: it does not fit into {MOST} archives")
    return any(path.endswith(".json") for path in packed.left_out)


def _pack(arguments: argparse.Namespace) -> int:
    narrator = Narrator()
    records = [run.path for run in sound(arguments.runs or runs_root(), narrator)]
    return int(pack_up(arguments.file, records, arguments.runs, narrator))


def _merge(arguments: argparse.Namespace) -> int:
    merged = merge(arguments.files, arguments.runs)
    for path in merged.added:
        print(f"added    {path}")
    for path in merged.replaced:
        print(f"replaced {path}")
    for path in merged.checkpoints:
        print(f"begun    {path}")
    for path, text in merged.conflicts.items():
        print(f"CONFLICT {path}: {text}; kept ours")
    for path, text in merged.refused.items():
        print(f"REFUSED  {path}: {text}")
    print(
        f"{len(merged.added)} records added, {len(merged.replaced)} replaced, "
        f"{len(merged.kept)} here already, {len(merged.conflicts)} in conflict, "
        f"{len(merged.refused)} refused."
    )
    return int(bool(merged.conflicts or merged.refused))
