"""When a run must leave before it is done, and what it says on its way."""

from __future__ import annotations

import math
import time


class Stopped(Exception):
    """A run left early, as its `Watch` told it to; its checkpoint is written."""


class Watch:
    """Tells a run when to leave, and hears how far it is.

    Args:
        deadline: on the clock of ``time.monotonic()``. Default: none.

    Example:
        >>> watch = Watch(time.monotonic() + 60)
        >>> watch.due(), watch.due(90.0)
        (False, True)
        >>> watch.ask()
        >>> watch.due()
        True
    """

    def __init__(self, deadline: float = math.inf) -> None:
        self.deadline, self.asked = deadline, False

    @property
    def at_once(self) -> int:
        """The most runs that shared the device with this one, it among them, as far as known."""
        return 1

    def ask(self) -> None:
        """Has the run leave at once; safe in a signal handler and from another thread."""
        self.asked = True

    def begin(self) -> None:
        """Returns when the run may begin to compute; all that it needs is loaded and built."""

    def due(self, seconds: float = 0.0) -> bool:
        """Whether something that takes so many seconds must not be begun."""
        return self.asked or time.monotonic() + seconds > self.deadline

    def note(self, done: int, total: int, seconds: float) -> None:
        """Hears that `done` of `total` epochs are done; of these, `seconds` the last one took."""
