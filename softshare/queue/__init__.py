"""The queue: the next missing runs of a plan, within a budget, several at once where it pays."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from softshare.queue.campaign import Job
from softshare.queue.estimate import Estimate, Estimator
from softshare.queue.narration import Narrator
from softshare.queue.place import Place
from softshare.queue.room import Room
from softshare.queue.workers import Ending, Worker
from softshare.recipe import Recipe
from softshare.records import Run


@dataclass
class Summary:
    """What a queue did: paths of new records, and labels of the others with a sentence each."""

    done: list[str] = field(default_factory=list)
    stopped: dict[Job, str] = field(default_factory=dict)
    failed: dict[Job, str] = field(default_factory=dict)
    busy: list[Job] = field(default_factory=list)
    left: list[Job] = field(default_factory=list)


class Queue:
    """Works off runs until they are done, the time is over, or it is asked to leave.

    Args:
        jobs: what is missing, in the order in which it is wanted.
        place: where.
        estimator: how long runs take there.
        narrator: is told what happens.
        deadline: by which all must be over, on the clock of ``time.monotonic()``.
        reserve: seconds before that at which runs begin to leave.
        whole: whether to begin only what can be ended in time, foldings included: for machines
            that do not keep a checkpoint for the next call.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        place: Place,
        estimator: Estimator,
        narrator: Narrator,
        deadline: float,
        reserve: float,
        whole: bool = False,
    ) -> None:
        self.waiting, self.place, self.estimator = list(jobs), place, estimator
        self.narrator = narrator
        self.stop_at, self.kill_at = deadline - reserve, deadline - reserve / 3
        self.reserve, self.whole, self.leaving = reserve, whole, False
        self.workers: list[Worker] = []
        self.ready: Worker | None = None  # prepared on a GPU that is busy yet
        self.room = Room(place, estimator)
        self.begun: dict[Recipe, int] = {}
        self.trained: set[Recipe] = set()  # of the networks that are to be tuned
        self.summary = Summary()

    def leave(self) -> None:
        """Asks all runs to write their checkpoints and leave; may be called by a signal handler."""
        self.leaving = True
        self.stop_at = min(self.stop_at, time.monotonic())
        self.kill_at = min(self.kill_at, time.monotonic() + self.reserve)

    def run(self) -> Summary:
        """Does what it can, and says what came of it."""
        asked = False
        try:
            while True:
                self._collect()
                if self.leaving and not asked:
                    asked = True
                    self._dismiss()
                    for worker in self.workers:
                        worker.ask()
                if not self.leaving:
                    self._start()
                if not self.workers:
                    break
                if time.monotonic() > self.kill_at:
                    self._cut_off()
                    break
                self.narrator.progress(self.workers, self.stop_at - time.monotonic())
                wait([worker.pipe for worker in self.workers], timeout=0.5)
        finally:
            self._dismiss()
            for worker in self.workers:
                worker.close()
            self.narrator.close()
        self.summary.left = self.waiting
        return self.summary

    def _start(self) -> None:
        """Starts the next runs for which there is time and room."""
        for job in list(self.waiting):
            slowdown = self.room.slowdown(job.recipe, len(self.workers))
            estimate = self._estimate(job.recipe).slowed(slowdown)
            needed = estimate.seconds if self.whole else estimate.least
            if time.monotonic() + needed > self.stop_at or self._held(job.recipe.base):
                continue
            if not self.room.has(job.recipe, [worker.job.recipe for worker in self.workers]):
                turn = min(worker.due for worker in self.workers)
                if self.place.shared and turn + needed > self.stop_at:
                    continue  # no time will be left for it; perhaps for a shorter one
                self._prepare(job, estimate)
                return
            self.waiting.remove(job)
            if self.place.recorded(job.recipe):  # by another queue, meanwhile
                continue
            self._begin(job, estimate)

    def _begin(self, job: Job, estimate: Estimate) -> None:
        if self.ready and self.ready.job == job:
            worker, self.ready = self.ready, None
        else:
            self._dismiss()
            worker = self._worker(job, estimate)
        self.workers.append(worker)
        for each in self.workers:
            each.beside(len(self.workers))
        worker.go()
        self.narrator.started(worker)

    def _prepare(self, job: Job, estimate: Estimate) -> None:
        """Has the next run load its data and build its network while the GPU is busy."""
        runs = [job.recipe, *(worker.job.recipe for worker in self.workers)]
        if self.place.shared and not self.ready and not self.room.lonely(runs):
            self.ready = self._worker(job, estimate)

    def _dismiss(self) -> None:
        """Ends the run that was only prepared; nothing is lost by it."""
        if self.ready:
            self.ready.close()
            self.ready = None

    def _estimate(self, recipe: Recipe) -> Estimate:
        """Of a run, and of the one that it tunes, where that has no record."""
        if recipe not in self.begun:
            self.begun[recipe] = max(self.place.begun(recipe), 0)
        base = self._estimate(recipe.base) if recipe.tune and self._lacks(recipe.base) else None
        return self.estimator.estimate(recipe, self.begun[recipe], base)

    def _lacks(self, base: Recipe) -> bool:
        """Whether there is no record; once found, it is not read again."""
        if base not in self.trained and self.place.recorded(base):
            self.trained.add(base)
        return base not in self.trained

    def _held(self, base: Recipe) -> bool:
        """Whether a run at work is training this, be it its own network or the one it tunes."""
        return any(worker.job.recipe.base == base for worker in self.workers) and self._lacks(base)

    def _worker(self, job: Job, estimate: Estimate) -> Worker:
        place = self.place
        return Worker(job, estimate, place.runs, place.device, place.threads, self.stop_at)

    def _collect(self) -> None:
        self._hear_ready()
        for worker in list(self.workers):
            worker.hear()
            self.narrator.warned(worker)
            if worker.ending:
                self.workers.remove(worker)
                worker.process.join(timeout=5)
                worker.close()
                self._note(worker, worker.ending)

    def _hear_ready(self) -> None:
        """Of a run that ended before its turn; for lack of time or memory, it waits again."""
        if not (worker := self.ready):
            return
        worker.hear()
        if ending := worker.ending:
            self._dismiss()
            if ending.kind in ("memory", "killed"):
                self.room.alone.add(worker.job.recipe)
            elif ending.kind != "stopped":
                self.waiting.remove(worker.job)
                self.narrator.warned(worker)
                self._note(worker, ending)

    def _note(self, worker: Worker, ending: Ending) -> None:
        job, summary = worker.job, self.summary
        crowded = worker.at_once > 1 or self.ready is not None
        self.narrator.ended(worker, ending)
        if ending.kind == "done":
            summary.done.append(ending.text)
            self.estimator.learn(Run.load(self.place.root / ending.text))
        elif ending.kind == "stopped":
            summary.stopped[job] = ending.text
        elif ending.kind == "busy":
            summary.busy.append(job)
        elif ending.kind == "memory" and crowded and not self.room.lonely([job.recipe]):
            self.room.alone.add(job.recipe)  # once more, with the device to itself
            self.waiting.insert(0, job)
        else:
            summary.failed[job] = ending.text
            if ending.kind == "data":
                same = [other for other in self.waiting if other.recipe.data == job.recipe.data]
                summary.failed |= dict.fromkeys(same, ending.text)
                self.waiting = [other for other in self.waiting if other not in same]

    def _cut_off(self) -> None:
        for worker in self.workers:
            ending = Ending("stopped", "Cut off; the next call goes on from the last checkpoint.")
            self._note(worker, ending)
