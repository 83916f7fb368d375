"""What a queue says while it works: a line an event, and how far the runs are."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softshare.recipe import Recipe
from softshare.wording import span

if TYPE_CHECKING:
    from softshare.queue.workers import Ending, Worker

_EVERY = 60.0  # seconds between lines of progress where there is no terminal
_WORDS = {"done": "done", "stopped": "paused", "busy": "skipped"}


def name(recipe: Recipe) -> str:
    """A run in few words: its record's path without the key.

    Example:
        >>> name(Recipe("wrn-28-10", cutout=16, seed=2))
        'cifar10/paper/wrn-28-10+cutout=16/seed2'
    """
    return recipe.path.rpartition("-")[0]


class Narrator:
    """Lines on stdout; between them, on a terminal a bar for each run, else a line a minute.

    Args:
        quiet: no progress between the lines.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.start = self.last = time.monotonic()
        self.quiet, self.terminal = quiet, sys.stderr.isatty()
        self.bars: dict[int, Any] = {}

    def say(self, text: str) -> None:
        """One line, with the time since the start."""
        from tqdm.auto import tqdm

        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        tqdm.write(f"{minutes:3d}:{seconds:02d}  {text}", file=sys.stdout)
        sys.stdout.flush()

    def started(self, worker: Worker) -> None:
        """A run has begun, or goes on."""
        recipe, estimate = worker.job.recipe, worker.estimate
        after = f" after {worker.done} of {recipe.total_epochs} epochs" if worker.done else ""
        self.say(f"started {name(recipe)}{after}, about {span(estimate.seconds)}")

    def ended(self, worker: Worker, ending: Ending) -> None:
        """A run has left."""
        if bar := self.bars.pop(id(worker), None):
            bar.close()
        word = _WORDS.get(ending.kind, "FAILED")
        text = "" if ending.kind == "done" else f": {ending.text}"
        self.say(f"{word:7} {name(worker.job.recipe)}{text}")

    def warned(self, worker: Worker) -> None:
        """Passes on what a run warned of."""
        for text in worker.warnings:
            self.say(f"warning {name(worker.job.recipe)}: {text}")
        worker.warnings.clear()

    def progress(self, workers: Sequence[Worker], left: float) -> None:
        """How far the runs are; `left` seconds remain of the budget."""
        if self.quiet:
            return
        if self.terminal:
            for worker in workers:
                self._bar(worker)
        elif time.monotonic() - self.last >= _EVERY:
            self.last = time.monotonic()
            runs = ", ".join(
                f"{name(worker.job.recipe)} {worker.done}/{worker.job.recipe.total_epochs}"
                for worker in workers
            )
            self.say(f"at work {runs}; {span(max(left, 0.0))} of the budget left")

    def close(self) -> None:
        """Takes the bars away."""
        for bar in self.bars.values():
            bar.close()
        self.bars.clear()

    def _bar(self, worker: Worker) -> None:
        from tqdm.auto import tqdm

        if id(worker) not in self.bars:
            total, label = worker.job.recipe.total_epochs, name(worker.job.recipe)
            self.bars[id(worker)] = tqdm(
                total=total, initial=worker.done, desc=label, unit="epoch", leave=False
            )
        bar = self.bars[id(worker)]
        bar.update(worker.done - bar.n)
