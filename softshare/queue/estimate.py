"""How long a run will take on this device: by its like that are recorded, or by operations."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from softshare.models import build
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.origin import device_name
from softshare.training.cost import cost
from softshare.training.engine import COMPILE, engine_for, tuned
from softshare.training.precision import name_of, precision_for
from softshare.training.step import Step

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


@dataclass(frozen=True)
class Speed:
    """FLOP a second that a device reaches, by how finely the operations are cut.

    Between the measured points it is a straight line in logarithms; below them a layer takes a
    constant time, above them the best rate is reached.

    Attributes:
        points: FLOP of a step a layer, rising, each with FLOP a second.

    Example:
        >>> speed = Speed(((1e6, 1e9), (1e8, 1e11)))
        >>> [f"{speed.rate(grain):.1e}" for grain in (1e5, 1e7, 1e9)]
        ['1.0e+08', '1.0e+10', '1.0e+11']
        >>> f"{speed.share(1e7):.1f}"
        '0.1'
    """

    points: tuple[tuple[float, float], ...]

    def rate(self, grain: float) -> float:
        """FLOP a second."""
        grains, rates = np.log(np.array(self.points).T)
        finer = min(0.0, math.log(grain) - grains[0])
        return float(np.exp(finer + np.interp(math.log(grain), grains, rates)))

    def share(self, grain: float) -> float:
        """Part of the device's best rate, in (0, 1]: what one run alone leaves idle is the rest."""
        return self.rate(grain) / max(rate for _, rate in self.points)


def measure(device: str, threads: int = 1) -> Speed:
    """A few steps of a narrow and of wider networks: seconds of work."""
    place = torch.device(device)
    cuda = place.type == "cuda"
    torch.set_num_threads(threads)
    points = []
    for width in (1, 4, 10) if cuda else (1, 4):
        recipe = Recipe(f"wrn-10-{width}", batch_size=128 if cuda else 32)
        found = cost(recipe)
        flops = found.flops * recipe.batch_size
        precision, engine = precision_for(place, flops), engine_for(place, flops, steps=0)
        step = Step(build(recipe.model), recipe, F.cross_entropy, place, precision, engine)
        images = torch.randn(recipe.batch_size, 3, 32, 32, device=place)
        labels = torch.zeros(recipe.batch_size, dtype=torch.long, device=place)
        with tuned(place):
            seconds = min(_seconds(step, images, labels, 10 if cuda else 1) for _ in range(3))
        points.append((found.grain, flops / seconds))
    return Speed(tuple(points))


def _seconds(step: Step, images: torch.Tensor, labels: torch.Tensor, steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        loss = step(images, labels)
    loss.item()  # waits for the device
    return (time.perf_counter() - start) / steps


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
        if not self.threads and made.get("runs_at_once", 1) > 1:  # its own speed is not known
            return
        with contextlib.suppress(FileNotFoundError, ValueError):  # of images that are not here
            rate, precision = self._rate_alone(run), self._precision(run.recipe)
            if rate and made.get("precision", precision) == precision:
                self._rates.setdefault(_like(run.recipe), []).append(rate)
                self._ratios.append(cost(run.recipe).examples / rate / self._computed(run.recipe))

    def estimate(self, recipe: Recipe, done: int = 0, base: Estimate | None = None) -> Estimate:
        """How long the epochs that are not done will take, what follows them, and `base` first."""
        left, start, found = recipe.total_epochs - done, START, cost(recipe)
        if "compiled" in self._engine(recipe, left):
            start += COMPILE
        if rates := self._rates.get(_like(recipe)):
            epoch = found.examples / statistics.median(rates)
        else:
            ratio = statistics.median(self._ratios) if self._ratios else 1.0
            epoch = self._computed(recipe) * ratio
        folding = epoch * found.folding / found.epoch
        measured = bool(rates) and (base is None or base.measured)
        return Estimate(epoch, left, measured, start, folding, base)

    def share(self, recipe: Recipe) -> float:
        """Part of the device that the run alone keeps busy."""
        return self.speed.share(cost(recipe).grain)

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


def _like(recipe: Recipe) -> tuple[object, ...]:
    """What two recipes have in common that take equally long an epoch."""
    found, more = cost(recipe), (bool(recipe.recurrence), bool(recipe.dropout))
    return recipe.model, found.examples, found.flops, found.scored, recipe.batch_size, *more
