"""How many seeds it takes to tell two networks apart."""

from __future__ import annotations

import math
from bisect import bisect_left

from softshare.results.difference import LEVEL

SURE = 0.8  # part of all repetitions in which the seeds are to suffice
_CERTAIN = 20.0  # shift beyond which no test misses, and scipy's function is no number


def seeds_needed(points: float, spread: float) -> int:
    r"""Seeds of each of two networks with which a t-test over these tells them apart.

    The fewest n, 2 or more, for which a two-sided test at p = 0.05 succeeds in four of five
    repetitions: its statistic then follows Student's noncentral distribution with

    .. math:: 2 n - 2 \text{ degrees of freedom, shifted by } \frac{|\Delta|}{s} \sqrt{n / 2}

    Args:
        points: the difference :math:`\Delta` of the networks' mean errors, not 0.
        spread: the standard deviation s over seeds of either, in the same units, 0 or more.

    Raises:
        ValueError: no difference, which no number of seeds could show.

    Example:
        >>> seeds_needed(0.26, spread=0.18), seeds_needed(0.26, spread=0.5)
        (9, 60)
    """
    from scipy.special import nctdtr, stdtrit

    if not points:
        raise ValueError("Networks that do not differ are told apart by no seeds; got points=0.")

    def power(n: int) -> float:
        degrees = 2 * n - 2
        shift = min(abs(points) / spread * math.sqrt(n / 2), _CERTAIN) if spread else _CERTAIN
        told = stdtrit(degrees, 1 - LEVEL / 2)
        return 1 - nctdtr(degrees, shift, told) + nctdtr(degrees, shift, -told)

    enough = 10 + int(16 * (spread / points) ** 2)  # were the statistic normal, some fewer
    counts = range(2, enough)
    return counts[bisect_left(counts, SURE, key=power)]
