"""Whether one more run has room on a device, and what it is slowed by there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from softshare.queue.estimate import Estimator
from softshare.queue.place import Place
from softshare.recipe import Recipe

_HALF_BUSY = 0.5  # below this a large run joins small ones, rather than wait for the last of them
_LARGE = 0.5  # part of a device from which a run is not slowed by the small ones beside it


class Room:
    """The room of a place. On a CPU each run has cores of its own; on a GPU they share it.

    Args:
        place: where.
        estimator: knows how much of the device a run keeps busy.
    """

    def __init__(self, place: Place, estimator: Estimator) -> None:
        self.place, self.estimator = place, estimator
        self.alone: set[Recipe] = set()
        """Runs that the memory did not suffice for beside others."""

    def has(self, recipe: Recipe, at_work: Sequence[Recipe]) -> bool:
        """Whether the run may begin beside these."""
        if len(at_work) >= self.place.workers:
            return False
        if not self.place.shared or not at_work:
            return True
        if self.lonely([recipe, *at_work]):
            return False
        busy = sum(map(self.estimator.share, at_work))
        return busy <= _HALF_BUSY or busy + self.estimator.share(recipe) <= 1

    def lonely(self, recipes: Iterable[Recipe]) -> bool:
        """Whether one of these needs the device to itself."""
        return not self.alone.isdisjoint(recipes)

    def slowdown(self, recipe: Recipe, at_work: int) -> float:
        """How many times as long an epoch takes beside so many runs that are at work already."""
        if not self.place.shared or self.estimator.share(recipe) > _LARGE:
            return 1.0
        return self.estimator.slowdown(at_work + 1)
