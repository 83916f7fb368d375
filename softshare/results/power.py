"""How many seeds it takes to tell two networks apart."""

from __future__ import annotations

import math

from softshare.results.difference import LEVEL

SURE = 0.8  # part of all repetitions in which the seeds are to suffice
_MOST = 1000
_CERTAIN = 20.0  # shift beyond which no test misses, and scipy's function is no number


def seeds_needed(points: float, spread: float) -> int:
    r"""Seeds of each of two networks with which a t-test over these tells them apart.

    The fewest n for which a two-sided test at p = 0.05 succeeds in four of five repetitions: its
    statistic then follows Student's noncentral distribution with

    .. math:: 2 n - 2 \text{ degrees of freedom, shifted by } \frac{|\Delta|}{s} \sqrt{n / 2}

    Args:
        points: the difference :math:`\Delta` of the networks' mean errors.
        spread: the standard deviation s over seeds of either, in the same units, 0 or more.

    Returns:
        2 or more, and at most 1000 however small the difference.

    Example:
        >>> seeds_needed(0.26, spread=0.18), seeds_needed(0.26, spread=0.5)
        (9, 60)
    """
    from scipy.special import nctdtr, stdtrit

    if not spread:
        return 2 if points else _MOST
    for n in range(2, _MOST):
        degrees = 2 * n - 2
        shift = min(abs(points) / spread * math.sqrt(n / 2), _CERTAIN)
        told = stdtrit(degrees, 1 - LEVEL / 2)
        missed = nctdtr(degrees, shift, told) - nctdtr(degrees, shift, -told)
        if 1 - missed >= SURE:
            return n
    return _MOST
