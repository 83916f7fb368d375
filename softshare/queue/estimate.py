"""How long a run will take on this device: by its like that are recorded, or by operations."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from softshare.queue.device_speed import Speed
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.origin import device_name
from softshare.training.cost import cost
from softshare.training.engine import COMPILE, engine_for
from softshare.training.precision import name_of, precision_for

START = 8.0
"""Seconds until the first step of a run: its process, its data, its network."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of an epoch, how many are left, whether a record like it says so, start and end.

    Attributes:
        folding: seconds after the last epoch, in which is measured what folding costs.
        base: the same of the run that is trained first, where one is.
    """

    epoch: float
    epochs: int
    measured: bool = False
    start: float = START
    folding: float = 0.0
    base: Estimate | None = None

    @property
    def seconds(self) -> float:
        """Of all that is left."""
        first = self.base.seconds if self.base else 0.0
        return first + self.start + self.epoch * self.epochs + self.folding

    @property
    def least(self) -> float:
        """Until something is gained: one epoch, which a checkpoint then holds, or the end."""
        if self.base:
            return self.base.least
        return self.start + (self.epoch if self.epochs else self.folding)

    def slowed(self, factor: float) -> Estimate:
        """The same where each epoch takes so many times as long.

        Example:
            >>> Estimate(epoch=2.0, epochs=10, start=8.0).slowed(3.0).seconds
            68.0
        """
        base = self.base.slowed(factor) if self.base else None
        return replace(self, epoch=self.epoch * factor, folding=self.folding * factor, base=base)


class Estimator:
    """Estimates for one device.

    Args:
        speed: what was measured just now, by `measure`.
        runs: all records; those of the same kind of device count.
        device: such as ``cuda`` or ``cpu``.
        threads: of a run on a CPU.
    """

    def __init__(self, speed: Speed, runs: Iterable[Run], device: str, threads: int = 1) -> None:
        self.device = torch.device(device)
        self.speed, self.name = speed, device_name(self.device)
        self.threads = threads if self.device.type == "cpu" else 0
        self._rates: dict[tuple[object, ...], list[float]] = {}
        self._ratios: list[float] = []
        self._crowded: list[tuple[Recipe, int, float]] = []  # runs at once, seconds of an epoch
        for run in runs:
            self.learn(run)

    def learn(self, run: Run) -> None:
        """Takes a record into account, if it was made as a run would be made now and here."""
        made = run.origin
        same = made.get("device") == self.name
        if not same or self.threads not in (0, made.get("threads")):
            return
        if made.get("processes", 1) > 1:
            return
        with contextlib.suppress(FileNotFoundError, ValueError):  # of images that are not here
            rate, precision = self._rate_alone(run), self._precision(run.recipe)
            if not rate or made.get("precision", precision) != precision:
                return
            epoch = cost(run.recipe).examples / rate
            if not self.threads and (at_once := made.get("runs_at_once", 1)) > 1:
                self._crowded.append((run.recipe, at_once, epoch))  # its own speed is not known
                return
            for like in _likes(run.recipe, made.get("engine", "eager")):
                self._rates.setdefault(like, []).append(rate)
            self._ratios.append(epoch / self._computed(run.recipe))

    def estimate(self, recipe: Recipe, done: int = 0, base: Estimate | None = None) -> Estimate:
        """How long the epochs that are not done will take, what follows them, and `base` first."""
        left, start, found = recipe.total_epochs - done, START, cost(recipe)
        if "compiled" in self._engine(recipe, left):
            start += COMPILE
        epoch = self._epoch(recipe, left)
        folding = epoch * found.folding / found.epoch
        measured = bool(self._of_its_like(recipe, left)) and (base is None or base.measured)
        return Estimate(epoch, left, measured, start, folding, base)

    def slowdown(self, at_once: int) -> float:
        """How many times as long an epoch takes of one of several small runs on a GPU.

        By the records of runs that shared one: each other run adds as much. 1 without any.
        """
        each = [
            (seconds / self._epoch(recipe, recipe.total_epochs) - 1) / (n - 1)
            for recipe, n, seconds in self._crowded
        ]
        return 1 + max(0.0, statistics.median(each)) * (at_once - 1) if each else 1.0

    def share(self, recipe: Recipe) -> float:
        """Part of the device that the run alone keeps busy."""
        return self.speed.share(cost(recipe).grain)

    def _epoch(self, recipe: Recipe, epochs: int) -> float:
        """Seconds of an epoch, alone on the device, of a run with so many left."""
        if rates := self._of_its_like(recipe, epochs):
            return cost(recipe).examples / statistics.median(rates)
        ratio = statistics.median(self._ratios) if self._ratios else 1.0
        return self._computed(recipe) * ratio

    def _of_its_like(self, recipe: Recipe, epochs: int) -> list[float]:
        """Rates of the likest recorded: the same network and engine, or one of them."""
        likes = _likes(recipe, self._engine(recipe, epochs))
        return next((self._rates[like] for like in likes if like in self._rates), [])

    def _rate_alone(self, run: Run) -> float:
        """Examples a second; of a run that shared its cores with others, as if it had not."""
        rate, seconds = (run.cost.get(name) or 0.0 for name in ("images_per_second", "seconds"))
        if worked := self.threads and run.cost.get("processor_seconds"):
            rate *= max(1.0, seconds * self.threads / worked)
        return rate

    def _precision(self, recipe: Recipe) -> str:
        return name_of(precision_for(self.device, cost(recipe).flops * recipe.batch_size))

    def _engine(self, recipe: Recipe, epochs: int) -> str:
        found = cost(recipe)
        steps = -(-found.examples // recipe.batch_size) * epochs
        return engine_for(self.device, found.flops * recipe.batch_size, steps)

    def _computed(self, recipe: Recipe) -> float:
        found = cost(recipe)
        return found.epoch / self.speed.rate(found.grain)


def _likes(recipe: Recipe, engine: str) -> tuple[tuple[object, ...], ...]:
    """What recipes have in common that take equally long an epoch; the closest likeness first.

    Of shared networks and plain ones of one size the operations are the same, mixing apart, which
    takes less than what an engine saves.
    """
    found, more = cost(recipe), (bool(recipe.recurrence), bool(recipe.dropout))
    size = found.examples, found.flops, found.scored, recipe.batch_size, *more
    return (recipe.model, engine, *size), (engine, *size), (recipe.model, *size)
