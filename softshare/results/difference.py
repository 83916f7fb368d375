"""The difference of two networks' errors, and how sure it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from softshare.records import Run

LEVEL = 0.05  # of chance below which two networks are told apart
BY_CHANCE = round(1 / LEVEL)  # one comparison of alike networks in so many


@dataclass(frozen=True)
class Difference:
    """By how much two networks' mean errors lie apart.

    Attributes:
        points: the difference, negative where the first errs less.
        error: its standard error.
        p: how often networks that are alike would lie as far apart.

    Example:
        >>> print(Difference(-1.5, 0.4, 0.001), Difference(-1.5, 0.4, 0.001).seen)
        -1.50 ± 0.40 points better
    """

    points: float
    error: float
    p: float

    @property
    def seen(self) -> str:
        """``better`` or ``worse`` where p is below `LEVEL`, else ``not told apart``."""
        if not self.p < LEVEL:
            return "not told apart"
        return "worse" if self.points > 0 else "better"

    def __str__(self) -> str:
        return f"{self.points:+.2f} ± {self.error:.2f} points"


def difference(ours: Sequence[Run], others: Sequence[Run]) -> Difference:
    """The difference of two networks that were trained alike: `weighted` by 1 and -1."""
    return weighted([(1, ours), (-1, others)])


def weighted(parts: Sequence[tuple[float, Sequence[Run]]]) -> Difference:
    r"""A weighted sum of the mean errors of networks that were tested on the same images.

    With several seeds of each, the seeds decide: Welch's t-test, with Satterthwaite's degrees of
    freedom, on :math:`\sum w_i m_i`. With one of any, nothing is known of what a seed does, and
    drawing N test images for each network anew, with p the error as a share and q = 1 - p, stands
    in for it beside what is known,

    .. math:: \sum w_i^2 (s_i^2 / n_i + 100^2 p_i q_i / N)

    the square of the standard error, s being the standard deviation over n seeds, 0 of one.

    Args:
        parts: of each network the weight, and its runs, at least one.
    """
    weights = [weight for weight, _ in parts]
    values = [[run.test_error for run in runs] for _, runs in parts]
    if min(map(len, values)) > 1:
        points, error, degrees = _apart(values, weights)
        return Difference(points, error, _chance(points, error, degrees))
    test = parts[0][1][0].data["test"]
    points = variance = 0.0
    for weight, errors in zip(weights, values, strict=True):
        mean = statistics.fmean(errors)
        seeds = statistics.variance(errors) / len(errors) if len(errors) > 1 else 0.0
        points += weight * mean
        variance += weight**2 * (seeds + mean * (100 - mean) / test)
    error = math.sqrt(variance)
    return Difference(points, error, math.erfc(abs(points) / error / math.sqrt(2)) if error else 1)


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """How often alike means would lie as far apart: p of Welch's t-test, two-sided.

    Args:
        one: two values or more.
        other: likewise.

    Example:
        >>> round(welch([0.8, 0.9], [0.1, 0.2]), 3), welch([1, 1], [1, 1]), welch([1, 1], [2, 2])
        (0.01, 1.0, 0.0)
    """
    return _chance(*_apart((one, other)))


def paired(one: Sequence[float], other: Sequence[float]) -> float:
    """The same of values that belong together in pairs: p of the paired t-test, two-sided.

    Args:
        one: two values or more.
        other: for each of them one.

    Example:
        >>> round(paired([0.8, 0.9], [0.6, 0.8]), 3), paired([1, 2], [1, 2])
        (0.205, 1.0)
    """
    apart = [x - y for x, y in zip(one, other, strict=True)]
    mean, error = statistics.mean(apart), statistics.stdev(apart) / math.sqrt(len(apart))
    return _chance(mean, error, len(apart) - 1)


def interval(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Where the difference of the means lies, but for a chance of `LEVEL`: Welch's interval.

    It holds 0 where `welch` is `LEVEL` or more.

    Args:
        one: two values or more.
        other: likewise; their mean is taken from that of the first.

    Example:
        >>> low, high = interval([0.8, 0.9], [0.1, 0.2])
        >>> round(low, 3), round(high, 3), interval([2, 2], [1, 1])
        (0.396, 1.004, (1.0, 1.0))
    """
    from scipy.special import stdtrit

    apart, error, degrees = _apart((one, other))
    reach = float(stdtrit(degrees, 1 - LEVEL / 2)) * error if error else 0.0
    return apart - reach, apart + reach


def holm(chances: Sequence[float]) -> int:
    """How many of several comparisons are told apart at `LEVEL`, all chances together.

    From the smallest on, the i-th of m has to be below `LEVEL` / (m - i + 1) (Holm, 1979).

    Example:
        >>> holm([0.001, 0.04, 0.02]), holm([0.02, 0.03]), holm([])
        (3, 2, 0)
    """
    for i, p in enumerate(sorted(chances)):
        if p >= LEVEL / (len(chances) - i):
            return i
    return len(chances)


def _apart(
    groups: Sequence[Sequence[float]], weights: Sequence[float] = (1, -1)
) -> tuple[float, float, float]:
    """The weighted sum of the means, its standard error, and Satterthwaite's degrees of freedom."""
    each = list(zip(groups, weights, strict=True))
    apart = sum(weight * statistics.mean(values) for values, weight in each)
    parts = [weight**2 * statistics.variance(values) / len(values) for values, weight in each]
    variance = sum(parts)
    if not variance:
        return apart, 0.0, math.inf
    degrees = variance**2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, groups, strict=True)
    )
    return apart, math.sqrt(variance), degrees


def _chance(apart: float, error: float, degrees: float) -> float:
    """p of a t-test, two-sided."""
    from scipy.special import stdtr

    return float(2 * stdtr(degrees, -abs(apart) / error)) if error else float(not apart)
