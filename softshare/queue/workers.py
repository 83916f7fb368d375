"""A run in a process of its own, which reports, can be told to leave, and never outlives us."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import signal
import threading
import time
import warnings
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from softshare.data.image_set import NoData
from softshare.queue.campaign import Job
from softshare.queue.estimate import Estimate
from softshare.queue.own_process import CONTEXT
from softshare.records.holding import Busy
from softshare.training import train
from softshare.training.watch import Stopped, Watch
from softshare.wording import error_line

_LOOK = 0.5  # seconds after which a run that waits for its turn looks whether to leave


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        kind: ``done``; ``stopped`` with a checkpoint; ``busy`` in another process; ``memory`` or
            ``data`` missing; ``failed`` otherwise; ``killed`` without a word.
        text: the record's path, or what went wrong in a sentence.
    """

    kind: str
    text: str


class Worker:
    """One run on its way: it prepares all that it needs, and trains from `go` on.

    Args:
        job: what to train.
        estimate: of its time.
        runs: folder of records, None for the usual one.
        device: where.
        threads: of PyTorch in its process.
        deadline: on the clock of ``time.monotonic()``, which is the same in all processes.
    """

    def __init__(
        self,
        job: Job,
        estimate: Estimate,
        runs: Path | None,
        device: str,
        threads: int,
        deadline: float,
    ) -> None:
        self.job, self.estimate = job, estimate
        self.done = job.recipe.total_epochs - estimate.epochs
        self.due = math.inf
        """When it is expected to be over, from `go` on."""
        self.ending: Ending | None = None
        self.warnings: list[str] = []
        self._most = CONTEXT.RawValue("i", 1)
        self.pipe, far = CONTEXT.Pipe()
        self.process = CONTEXT.Process(  # no daemon: it may have processes that decode for it
            target=_work, args=(job, runs, device, threads, deadline, far, self._most)
        )
        self.process.start()
        far.close()

    @property
    def at_once(self) -> int:
        """The most runs that there were on the device since this one began, it among them."""
        return self._most.value

    def beside(self, runs: int) -> None:
        """Tells the run how many there are on the device now."""
        self._most.value = max(self._most.value, runs)

    def go(self) -> None:
        """Lets the run train."""
        self.due = time.monotonic() + self.estimate.seconds
        with contextlib.suppress(OSError):  # it has left; `hear` finds out
            self.pipe.send("go")

    def hear(self) -> None:
        """Takes in what the process has said so far; sets `ending` when it has left."""
        try:
            while self.pipe.poll():
                kind, *rest = self.pipe.recv()
                if kind == "epoch":
                    (self.done,) = rest
                elif kind == "warning":
                    self.warnings.append(rest[0])
                else:
                    self.ending = Ending(kind, rest[0])
        except (EOFError, OSError):
            self.process.join()
            text = "its process was killed; if by the system, memory may have run out"
            self.ending = self.ending or Ending("killed", text)

    def ask(self) -> None:
        """Has the run write its checkpoint and leave."""
        self.process.terminate()

    def close(self) -> None:
        """Ends the process if it is still there; what it wrote stays whole."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class _Reporting(Watch):
    """A watch whose notes go through a pipe, if anybody still listens."""

    def __init__(self, deadline: float, pipe: Connection, most: Any) -> None:
        super().__init__(deadline)
        self.pipe, self._most, self._may = pipe, most, False

    @property
    def at_once(self) -> int:
        return self._most.value

    def begin(self) -> None:
        while not self._may and not self.due():
            self._may = self.pipe.poll(_LOOK)

    def say(self, *message: Any) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def note(self, done: int, total: int, seconds: float) -> None:
        self.say("epoch", done)


def _work(
    job: Job,
    runs: Path | None,
    device: str,
    threads: int,
    deadline: float,
    pipe: Connection,
    most: Any,
) -> None:
    watch = _Reporting(deadline, pipe, most)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the queue decides
    signal.signal(signal.SIGTERM, lambda *_: watch.ask())
    threading.Thread(target=_follow, args=(watch,), daemon=True).start()
    torch.set_num_threads(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: watch.say("warning", str(message))
        watch.say(*_ending(job, runs, device, watch))


def _ending(job: Job, runs: Path | None, device: str, watch: Watch) -> tuple[str, str]:
    settings = asdict(job.recipe)
    try:
        run = train(**settings, runs=runs, device=device, progress=False, watch=watch)
    except Stopped as stopped:
        return "stopped", str(stopped)
    except Busy as busy:
        return "busy", str(busy)
    except (torch.OutOfMemoryError, MemoryError) as error:
        return "memory", error_line(error)
    except NoData as error:
        return "data", error_line(error)
    except Exception as error:  # whatever it is, the queue goes on
        return "failed", error_line(error)
    return "done", run.path


def _follow(watch: Watch) -> None:
    """Leaves when the queue is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        watch.ask()
