"""How near our mean error is to a printed number."""

from __future__ import annotations

import math

FLOOR, CAP = 0.1, 0.3  # percentage points
ERRORS = 2  # standard errors


def verdict(difference: float, spread: float, n: int) -> str:
    r"""How near our mean error is to the paper's number, in percentage points.

    "reproduced" when :math:`|d| \le \min(0.3, \max(0.1, 2 s / \sqrt{n}))`, "close" when
    :math:`|d| \le 0.3`, else "not reproduced". Two standard errors are the usual band of a mean.
    The floor of 0.1 points (ten of CIFAR's 10 000 test images) stands for the error of the paper's
    own mean, whose spread is not printed, and is all there is for a single run. The cap keeps
    noisy runs from earning by their noise what precise ones would not. A lower error than the
    paper's counts like a higher one: it is another result.

    Args:
        difference: Ours minus the paper's.
        spread: Sample standard deviation over seeds, at least 0; NaN at n = 1.
        n: Number of runs, at least 1.

    Example:
        >>> verdict(0.08, math.nan, 1), verdict(-0.15, 0.2, 5), verdict(0.15, 0.1, 5)
        ('reproduced', 'reproduced', 'close')
        >>> verdict(0.4, 2.0, 2)
        'not reproduced'
    """
    error = 0.0 if math.isnan(spread) else spread / math.sqrt(n)
    band = min(CAP, max(FLOOR, ERRORS * error))
    distance = abs(difference) - 1e-9  # 4.1 - 4.0 is a little more than 0.1 in binary
    return "reproduced" if distance <= band else "close" if distance <= CAP else "not reproduced"


def rule() -> str:
    """The rule of `verdict` in a sentence.

    Example:
        >>> print(rule())  # doctest: +ELLIPSIS
        A verdict says ... *reproduced* is within 2 standard errors of our mean ...
    """
    return (
        "A verdict says how far our mean lies from the paper's number, above or below, where the "
        "paper's own setting was run on the paper's own data, and nowhere else: *reproduced* is "
        f"within {ERRORS} standard errors of our mean (at least {FLOOR} points, all that a single "
        f"run has, and at most {CAP}), *close* within {CAP} points, *not reproduced* beyond."
    )
