"""The processor cores that there are for us."""

from __future__ import annotations

import os


def cores() -> int:
    """Processor cores that this process may use, 1 or more.

    Example:
        >>> cores() >= 1
        True
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
