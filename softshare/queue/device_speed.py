"""How fast a device trains, by how finely the work is cut: a few steps of three networks."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from softshare.models import build
from softshare.recipe import Recipe
from softshare.training.cost import cost
from softshare.training.engine import engine_for, tuned
from softshare.training.precision import precision_for
from softshare.training.step import Step


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
