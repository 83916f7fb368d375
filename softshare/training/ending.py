"""What follows the last epoch: weights and a record at once, then what folding costs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from softshare.records import Run
from softshare.records.holding import LATER
from softshare.records.weights import keep
from softshare.sharing import banks
from softshare.training.folded_error import measured, score
from softshare.training.loop import Training
from softshare.training.tasks import Task
from softshare.training.watch import Stopped, Watch


def ended(training: Training, run: Run, root: Path) -> Run:
    """Writes the weights and the record of a trained network, and measures its foldings.

    Measuring can take long. The record is therefore written before it without, replaced once the
    whole network's foldings are measured, and after those of single groups; until then the
    checkpoint stays, from which the next call goes on. So it does where the watch says that there
    is no time.

    Args:
        training: with no epoch left.
        run: what it came to; or the record of an earlier call that was cut off here.
        root: folder of records.
    """
    net, task, precision = training.net, training.task, training.step.precision
    last = run.recipe.total_epochs - 1
    run = keep(run, net, root, lambda net: score(net, task, last, precision, training.device))
    if banks(net):
        saved = _save_unmeasured(run, root)

        def note(found: Run) -> None:
            nonlocal saved
            saved = _save_unmeasured(found, root)

        known = {name: value for name, value in run.origin.items() if name != "folded"}
        run = replace(run, origin=known)
        timed: Any = _Timed(task, training.watch) if training.watch else task
        try:
            run = measured(run, net, timed, precision, progress=training.progress, note=note)
        except Stopped:
            warnings.warn(f"The foldings of {run.path} are {saved.origin['folded']}.", stacklevel=2)
            return saved
    run.save(root)
    training.checkpoint.path.unlink(missing_ok=True)
    return run


def _save_unmeasured(run: Run, root: Path) -> Run:
    """Writes the record of a run of which no or not all foldings are measured."""
    how = f"{LATER}, or fold RECORD --measure" if run.weights else LATER
    run = replace(run, origin=run.origin | {"folded": how})
    run.save(root)
    return run


class _Timed:
    """A task that leaves before it scores a network, if there is no time for another folding."""

    def __init__(self, task: Task, watch: Watch) -> None:
        self.task, self.watch, self.last = task, watch, time.monotonic()

    def scores(self, predict: Callable[[Tensor], Tensor], epoch: int) -> dict[str, float]:
        now = time.monotonic()
        if self.watch.due(now - self.last):  # as long as the last scoring, and what followed it
            raise Stopped
        self.last = now
        return self.task.scores(predict, epoch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)
