"""What the command ``queue`` does: shows the plan, or works it off."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from softshare.commands.records import pack_up, sound
from softshare.data.image_stream import IMAGENET, adopted
from softshare.queue import Queue, Summary
from softshare.queue.campaign import Job, campaign, chosen
from softshare.queue.device_speed import measure
from softshare.queue.estimate import Estimate, Estimator
from softshare.queue.narration import Narrator, name
from softshare.queue.own_process import alone
from softshare.queue.place import Place
from softshare.records import Run
from softshare.records.holding import waits
from softshare.records.origin import unknown_commit
from softshare.training.device import device_for
from softshare.wording import span

_RESERVE = 15.0  # seconds to write checkpoints and to pack, or a tenth of a small budget


def work(arguments: argparse.Namespace) -> int:
    """``queue``: shows the plan, or works it off within the budget."""
    start = time.monotonic()
    device = device_for(arguments.device)
    place = Place.here(device, arguments.workers, arguments.runs)
    plan = campaign("cpu" if device.type == "cpu" else "gpu", arguments.data, arguments.plan)
    jobs = chosen(plan, arguments.profile, arguments.only)
    jobs, absent = _trainable(jobs)
    begun = {job: place.begun(job.recipe) for job in jobs if not place.recorded(job.recipe)}
    narrator = Narrator(arguments.quiet)
    if not arguments.dry_run and (text := unknown_commit()):
        narrator.say(f"warning {text}")
    if absent:
        narrator.say(
            f"{absent} runs of the plan are left out: there is no {IMAGENET} here; "
            f"`python -m softshare data {IMAGENET} --from FOLDER` shows where it is"
        )
    if not arguments.dry_run and (elsewhere := sum(done < 0 for done in begun.values())):
        narrator.say(
            f"{elsewhere} runs of the plan are left out: their checkpoints are of another kind of "
            "device; go on there, or delete them to begin anew here; --dry-run names the runs"
        )
        jobs = [job for job in jobs if begun.get(job, 0) >= 0]
    missing = [job for job in jobs if job in begun]
    summary, asked = Summary(), 0
    if missing:
        speed = alone(measure, str(device), place.threads)
        runs = sound(place.root, narrator)
        estimator = Estimator(speed, runs, str(device), place.threads)
        estimates = _estimates(begun, place, estimator)
        seconds = sum(estimate.seconds for estimate in estimates.values())
        if arguments.dry_run:
            _show(jobs, begun, estimates, f"{span(seconds)} one after another on {estimator.name}")
            return 0
        narrator.say(
            f"{len(jobs)} runs in the plan, {len(jobs) - len(missing)} recorded; the rest take "
            f"about {span(seconds)} one after another on {estimator.name}; the budget is "
            f"{span(arguments.budget)}"
        )
        reserve = min(_RESERVE, arguments.budget / 10)
        deadline = start + arguments.budget
        queue = Queue(missing, place, estimator, narrator, deadline, reserve, arguments.whole)
        with _signals(queue) as received:
            summary = queue.run()
        asked = received[0] if received else 0
    narrator.say(_sentence(summary, len(jobs), len(missing)))
    left_out = False
    if arguments.pack:
        records = list(summary.done)
        if arguments.pack_all:
            records = [run.path for run in sound(place.root, narrator)]
        unfinished = []
        if arguments.pack_unfinished:
            done = (Run.load(place.root / path) for path in summary.done)
            unfinished = [job.recipe for job in summary.stopped]
            unfinished += [run.recipe for run in done if waits(run)]
        left_out = pack_up(arguments.pack, records, place.runs, narrator, unfinished)
    return 128 + asked if asked else int(bool(summary.failed) or left_out)


def _trainable(jobs: list[Job]) -> tuple[list[Job], int]:
    """The runs without those that need ImageNet where it is not, unless it is all that is asked."""
    if adopted():
        return jobs, 0
    others = [job for job in jobs if job.recipe.data != IMAGENET]
    return (others, len(jobs) - len(others)) if others else (jobs, 0)


def _estimates(begun: dict[Job, int], place: Place, estimator: Estimator) -> dict[Job, Estimate]:
    """Of what goes on here; a network to be tuned that is not there is counted once."""
    found, counted = {}, {job.recipe for job in begun}
    for job, done in begun.items():
        recipe, first = job.recipe, None
        if done < 0:
            continue
        if recipe.base not in counted and not place.recorded(recipe.base):
            counted.add(recipe.base)
            first = estimator.estimate(recipe.base, place.begun(recipe.base))
        found[job] = estimator.estimate(recipe, done, first)
    return found


def _show(
    jobs: list[Job], begun: dict[Job, int], estimates: dict[Job, Estimate], left: str
) -> None:
    adds = ""
    for job in jobs:
        if job.adds != adds:
            adds = job.adds
            print(f"\n{adds[:1].upper()}{adds[1:]}")
        if job not in begun:
            print(f"{'recorded':>12}  {'':>9}  {name(job.recipe)}")
            continue
        done = begun[job]
        if done < 0:  # a checkpoint of another kind of device
            print(f"{'':>12}  {'elsewhere':>9}  {name(job.recipe)}")
            continue
        estimate = estimates[job]
        state = f"{done}/{job.recipe.total_epochs}" if done else ""
        known = " " if estimate.measured else "~"
        print(f"{known + span(estimate.seconds):>12}  {state:>9}  {name(job.recipe)}")
    started = sum(done > 0 for done in begun.values())
    elsewhere = sum(done < 0 for done in begun.values())
    print(
        f"\n{len(jobs)} runs: {len(jobs) - len(begun)} recorded, {started} begun, "
        + (f"{elsewhere} begun elsewhere, " if elsewhere else "")
        + f"{len(begun) - started - elsewhere} to begin. What is left takes about {left}; ~ marks "
        "times reckoned from operations and a few steps."
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
