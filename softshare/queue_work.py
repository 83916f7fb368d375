"""What the commands ``queue`` and ``records`` do: the plan shown or worked off, and transfer."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from softshare.campaign import Job, campaign, chosen
from softshare.device import device_for
from softshare.estimate import Estimator, measure
from softshare.merging import merge
from softshare.narration import Narrator, name, span
from softshare.packing import MOST, pack
from softshare.paths import runs_root
from softshare.queue import Place, Queue, Summary, begun, recorded
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.workers import alone

_GROUP = 4  # cores of a run where there are many
_FEW = 8
_MEMORY = 2 * 2**30  # bytes that a run on a CPU is given
_RESERVE = 15.0  # seconds to write checkpoints and to pack, or a tenth of a small budget


def work(arguments: argparse.Namespace) -> int:
    """``queue``: shows the plan, or works it off within the budget."""
    start = time.monotonic()
    if not arguments.budget and not arguments.dry_run:
        arguments.refuse("--budget says how long it may take, such as 25m; or pass --dry-run")
    device = device_for(arguments.device)
    place = _place(device, arguments.workers, arguments.runs)
    plan = campaign("cpu" if device.type == "cpu" else "gpu", arguments.data, arguments.plan)
    jobs = chosen(plan, arguments.profile, arguments.only)
    missing = [job for job in jobs if not recorded(job, place.runs)]
    narrator = Narrator(arguments.quiet)
    summary, asked = Summary(), 0
    if missing:
        speed = alone(measure, str(device), place.threads)
        runs = sound(place.runs or runs_root(), narrator)
        estimator = Estimator(speed, runs, str(device), place.threads)
        if arguments.dry_run:
            _show(jobs, missing, place, estimator)
            return 0
        seconds = sum(estimator.estimate(job.recipe).seconds for job in missing)
        narrator.say(
            f"{len(jobs)} runs in the plan, {len(jobs) - len(missing)} recorded; the rest take "
            f"about {span(seconds)} one after another on {estimator.name}; the budget is "
            f"{span(arguments.budget)}"
        )
        reserve = min(_RESERVE, arguments.budget / 10)
        deadline = start + arguments.budget
        queue = Queue(missing, place, estimator, narrator, deadline, reserve)
        with _signals(queue) as received:
            summary = queue.run()
        asked = received[0] if received else 0
    narrator.say(_sentence(summary, len(jobs), len(missing)))
    left_out = False
    if arguments.pack:
        records = list(summary.done)
        if arguments.pack_all:
            records = [run.path for run in sound(place.runs or runs_root(), narrator)]
        unfinished = [job.recipe for job in summary.stopped] if arguments.pack_unfinished else []
        left_out = _pack(arguments.pack, records, place.runs, narrator, unfinished)
    return 128 + asked if asked else int(bool(summary.failed) or left_out)


def pack_all(arguments: argparse.Namespace) -> int:
    """``records pack``."""
    narrator = Narrator()
    records = [run.path for run in sound(arguments.runs or runs_root(), narrator)]
    return int(_pack(arguments.file, records, arguments.runs, narrator))


def merge_files(arguments: argparse.Namespace) -> int:
    """``records merge``."""
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


def sound(root: Path, narrator: Narrator) -> Iterator[Run]:
    """The records that can be read, in order; of the others a line."""
    for path in sorted(root.glob("**/seed*-*.json")):
        try:
            yield Run.load(path)
        except ValueError as error:
            narrator.say(f"warning {error}")


def _place(device: torch.device, workers: int | None, runs: Path | None) -> Place:
    """Cores are dealt out to runs in groups; on a GPU, a run needs one to feed it.

    The threads of a run on a CPU do not depend on how many runs there are at once: begun in one
    queue and ended in another, it is the same to the last bit.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    if device.type == "cpu":
        group = int(os.environ.get("OMP_NUM_THREADS") or (1 if cores < _FEW else _GROUP))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEMORY
        most = workers or max(1, min(cores // group, memory))
        return Place(str(device), most, group, runs)
    most = workers or max(1, min(cores, _FEW))
    return Place(str(device), most, max(1, cores // most), runs)


def _show(jobs: list[Job], missing: list[Job], place: Place, estimator: Estimator) -> None:
    adds, seconds, started = "", 0.0, 0
    left = set(missing)
    for job in jobs:
        if job.adds != adds:
            adds = job.adds
            print(f"\n{adds[:1].upper()}{adds[1:]}")
        if job not in left:
            print(f"{'recorded':>12}  {'':>9}  {name(job.recipe)}")
            continue
        done = begun(job, place)
        estimate = estimator.estimate(job.recipe, max(done, 0))
        seconds += estimate.seconds
        started += done > 0
        state = f"{done}/{job.recipe.total_epochs}" if done > 0 else ""
        state = "elsewhere" if done < 0 else state  # a checkpoint of another kind of device
        known = " " if estimate.measured else "~"
        print(f"{known + span(estimate.seconds):>12}  {state:>9}  {name(job.recipe)}")
    print(
        f"\n{len(jobs)} runs: {len(jobs) - len(missing)} recorded, {started} begun, "
        f"{len(missing) - started} to begin. What is left takes about {span(seconds)} one after "
        f"another on {estimator.name}; ~ marks times reckoned from operations and a few steps."
    )


def _sentence(summary: Summary, planned: int, missing: int) -> str:
    parts = [
        f"{len(summary.done)} trained",
        f"{len(summary.stopped)} paused",
        f"{len(summary.failed)} failed",
        f"{len(summary.busy)} in other hands",
        f"{len(summary.left)} not begun",
    ]
    return f"{planned - missing} of {planned} were recorded; of the rest {', '.join(parts)}"


def _pack(
    file: Path,
    records: Sequence[str],
    runs: Path | None,
    narrator: Narrator,
    unfinished: Sequence[Recipe] = (),
) -> bool:
    """Packs, says so, and returns whether something did not fit."""
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


@contextmanager
def _signals(queue: Queue) -> Iterator[list[int]]:
    """SIGINT and SIGTERM ask the queue to leave; a second SIGINT does not wait for it."""
    received: list[int] = []

    def handle(number: int, frame: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        queue.leave()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
