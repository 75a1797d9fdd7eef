"""Learns from a baseline how many bad requests come together: retries, batches, stalls, the rows of one request.

Requests that are bad together, because of one cause, are a clump. Every test divides its counts by a number that is at
least the size of clumps (docs/statistics.md, section 4 has the theorem and its assumption).
"""

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.counts import BinnedCounts

UNKNOWN_DIVISOR = 1.5  # after no past at all
_LARGEST_FACTOR = 1.5  # clumps that are larger than the mean make a larger divisor necessary than the mean
_STANDARD_ERRORS = 1.28  # from the estimate to a bound, which is wrong with a probability of about a tenth
_PRIOR = 10.0  # as if five bad requests had been seen besides, each by itself
_MINUTE = 60.0


def divisor(counted: BinnedCounts, quiet: Floats, known_part: float) -> Floats:
    """By which number counts must be divided, for each column; at least 1.

    `quiet`: the probability that no burst is in a bin, of shape (..., bins). `known_part`: the length of the baseline,
    as a part of the length that it should have.

    Where clumps are beyond doubt, it follows from an upper bound of the mean size. Else it follows from the estimate,
    and for the part of the baseline that is missing, it is that of an unknown past. A clump may be longer than a bin,
    so minutes count too.
    """
    alone = _without_edges(quiet)
    estimate, error = _dispersion(counted, alone)
    per_minute = max(1, round(_MINUTE / counted.bin_seconds))
    of_minutes, error_of_minutes = _dispersion(*_in_groups(counted, alone, per_minute))
    lower = np.maximum(estimate - _STANDARD_ERRORS * error, of_minutes - _STANDARD_ERRORS * error_of_minutes)
    upper = np.maximum(lower, estimate + _STANDARD_ERRORS * error)
    unsure = known_part * _divisor(estimate) + (1 - known_part) * UNKNOWN_DIVISOR
    return np.where(lower > 1, _divisor(upper), unsure)


def _divisor(mean_size: Floats) -> Floats:
    return 1 + _LARGEST_FACTOR * np.maximum(mean_size - 1, 0)


def mean_size(counted: BinnedCounts, quiet: Floats) -> Floats:
    """The mean size of the clump of a random bad request, for each column; at least 1. `quiet`: as for `divisor`.

    In counts of independent clumps, the variance is that of independent requests times this size. It is estimated from
    the differences of neighbouring bins, so that a share that changes slowly does not count.
    """
    return np.maximum(_dispersion(counted, _without_edges(quiet))[0], 1.0)


def _without_edges(quiet: Floats) -> Floats:
    """The bins whose neighbours are quiet too: a burst may begin or end in the last part of a bin."""
    alone = quiet.copy()
    alone[..., 1:] *= quiet[..., :-1]
    alone[..., :-1] *= quiet[..., 1:]
    return alone


def _dispersion(counted: BinnedCounts, quiet: Floats) -> tuple[Floats, Floats]:
    """The variance of bad requests, divided by that of independent ones, and its standard error.

    Two quiet neighbours with requests n, m and bad requests y, z, of the same share p: the mean of (ym - zn)^2 / (nm)
    is the dispersion times p (1 - p) (n + m).
    """
    (requests, bad), (next_requests, next_bad) = (
        (counted.requests[..., part], counted.bad[..., part]) for part in (slice(None, -1), slice(1, None))
    )
    counts = requests * next_requests
    weights = quiet[..., :-1] * quiet[..., 1:] * (counts > 0)
    squares = (bad * next_requests - next_bad * requests) ** 2 / np.maximum(counts, 1)
    share = counted.bad.sum(-1) / np.maximum(counted.requests.sum(-1), 1)
    expected = (bad + next_bad) * (1 - share)[..., None]
    total = (weights * expected).sum(-1) + _PRIOR  # a bad request is in two pairs
    dispersion = ((weights * squares).sum(-1) + _PRIOR) / total
    deviations = weights * (squares - dispersion[..., None] * expected)
    # A bin is in two pairs, so pairs are correlated: twice the variance of independent ones.
    error = np.sqrt(2 * (deviations**2).sum(-1)) / total
    # Of two or three pairs the spread says nothing: they may look alike by chance.
    return dispersion, np.maximum(error, dispersion / np.sqrt(np.maximum(weights.sum(-1), 1)))


def _in_groups(counted: BinnedCounts, quiet: Floats, size: int) -> tuple[BinnedCounts, Floats]:
    """So many bins together, which are quiet if all of them are."""
    groups = counted.bad.shape[-1] // size
    requests, bad, all_quiet = (
        numbers[..., : groups * size].reshape(*numbers.shape[:-1], groups, size)
        for numbers in (counted.requests, counted.bad, quiet)
    )
    return BinnedCounts(requests.sum(-1), bad.sum(-1), counted.bin_seconds * size), all_quiet.prod(-1)
