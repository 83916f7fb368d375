"""The difference of two networks' errors, and how sure it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from softshare.records import Run

ERRORS = 2  # standard errors beyond which two networks are told apart
BY_CHANCE = round(1 / math.erfc(ERRORS / math.sqrt(2)))  # one comparison in so many


def difference(ours: Sequence[Run], others: Sequence[Run]) -> float:
    """The difference of the mean errors in points, negative where ours is the lower."""
    means = [statistics.fmean(run.test_error for run in runs) for runs in (ours, others)]
    return means[0] - means[1]


def uncertainty(ours: Sequence[Run], others: Sequence[Run]) -> float:
    r"""The standard error of `difference`, of the seeds and of drawing N test images together.

    .. math:: \sqrt{s_1^2 / n_1 + s_2^2 / n_2 + 100^2 (p_1 q_1 + p_2 q_2) / N}

    With p the error as a share, q = 1 - p, and s the standard deviation over n seeds. It takes
    what both share, the test images, for drawn apart, and so is on the safe side; of a network
    that was trained once the seed's part is unknown and left out, which is not.
    """
    pairs = [[run.test_error for run in runs] for runs in (ours, others)]
    seeds = sum(statistics.variance(errors) / len(errors) for errors in pairs if len(errors) > 1)
    means = [statistics.fmean(errors) for errors in pairs]
    images = sum(mean * (100 - mean) for mean in means) / ours[0].data["test"]
    return math.sqrt(seeds + images)


def seen(difference: float, uncertainty: float) -> str:
    """What a difference of errors says: beyond two standard errors, better or worse.

    Example:
        >>> seen(1.0, 0.4), seen(-1.0, 0.4), seen(0.5, 0.4)
        ('worse', 'better', 'not told apart')
    """
    if abs(difference) <= ERRORS * uncertainty:
        return "not told apart"
    return "worse" if difference > 0 else "better"
