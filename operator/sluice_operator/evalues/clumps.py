"""Learns from a baseline how many bad requests come together: retries, batches, stalls, the rows of one request.

Requests that are bad together, because of one cause, are a clump. Every test divides its counts by a number that is at
least the size of clumps (docs/statistics.md, section 4 has the theorem and its assumption).
"""

from typing import NamedTuple

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.counts import BinnedCounts

UNKNOWN_DIVISOR = 1.5  # where nothing is known of clumps
LARGEST_DIVISOR = 100.0  # the rows of a request are at most 64, and what is larger is an incident
_LARGEST_FACTOR = 1.5  # clumps that are larger than the mean make a larger divisor necessary than the mean
_STANDARD_ERRORS = 1.28  # from the estimate to an upper bound
_PRIOR = 10.0  # as if five bad requests had been seen besides, each by itself
_HALF_KNOWN = 30.0  # after so many events, half is known
_EVENT_PAIRS = 3  # an event may be in two bins, which are in three pairs
_MINUTE = 60.0


class Dispersion(NamedTuple):
    """The variance of bad requests, divided by that of independent ones: the mean size of a random one's clump.

    `error`: its standard error. `events`: by how many events of equal size it is known. One for each column.
    """

    size: Floats
    error: Floats
    events: Floats

    @property
    def upper(self) -> Floats:
        """An upper bound where clumps are beyond doubt, else the estimate, and at least 1; continuous in the counts."""
        by_chance = _STANDARD_ERRORS / np.sqrt(np.maximum(self.events, 1))
        sure = np.clip((self.size - 1) / by_chance - 1, 0, 1)
        return np.maximum(self.size + sure * _STANDARD_ERRORS * self.error, 1.0)


def divisor(counted: BinnedCounts, quiet: Floats) -> Floats:
    """By which number counts must be divided, for each column; from 1 to LARGEST_DIVISOR.

    `quiet`: the probability that no burst is in a bin, of shape (..., bins).

    It follows from the mean size of clumps in bins and in minutes, because a clump may be longer than a bin. As far as
    too few bad requests are seen to know, it is at least that of an unknown past.
    """
    seen = _seen(counted, quiet)
    of_bins, of_minutes = _dispersion(*seen), _dispersion(*_in_minutes(*seen))
    lower = of_minutes.size - _STANDARD_ERRORS * of_minutes.error
    learned = 1 + _LARGEST_FACTOR * (np.maximum(of_bins.upper, lower) - 1)
    known = of_bins.events / (of_bins.events + _HALF_KNOWN)
    return np.minimum(np.maximum(learned, known * learned + (1 - known) * UNKNOWN_DIVISOR), LARGEST_DIVISOR)


def mean_size(counted: BinnedCounts, quiet: Floats) -> Floats:
    """The mean size of the clump of a random bad request, for each column; at least 1. `quiet`: as for `divisor`.

    In counts of independent clumps, the variance is that of independent requests times this size. It is estimated from
    the differences of neighbouring bins, so that a share that changes slowly does not count.
    """
    return _dispersion(*_seen(counted, quiet)).upper


def _seen(counted: BinnedCounts, quiet: Floats) -> tuple[BinnedCounts, Floats]:
    """The bins with counts, and then the others: labels may come from a job, every ten minutes.

    A bin is only quiet if its neighbours are quiet too: a burst may begin or end in the last part of a bin.
    """
    order = np.argsort(counted.requests == 0, axis=-1, kind="stable")
    requests, bad, quiet = (np.take_along_axis(part, order, -1) for part in (counted.requests, counted.bad, quiet))
    alone = quiet.copy()
    alone[..., 1:] *= quiet[..., :-1]
    alone[..., :-1] *= quiet[..., 1:]
    return BinnedCounts(requests, bad, counted.bin_seconds), alone


def _dispersion(counted: BinnedCounts, quiet: Floats) -> Dispersion:
    """Without the event that makes it largest: a single one is a burst, not the size of clumps.

    Two quiet neighbours with requests n, m and bad requests y, z, of the same share p: the mean of (ym - zn)^2 / (nm)
    is the dispersion times p (1 - p) (n + m).
    """
    (requests, bad), (next_requests, next_bad) = (
        (counted.requests[..., part], counted.bad[..., part]) for part in (slice(None, -1), slice(1, None))
    )
    counts = requests * next_requests
    weights = quiet[..., :-1] * quiet[..., 1:] * (counts > 0)
    squares = weights * (bad * next_requests - next_bad * requests) ** 2 / np.maximum(counts, 1)
    share = counted.bad.sum(-1) / np.maximum(counted.requests.sum(-1), 1)
    expected = weights * (bad + next_bad) * (1 - share)[..., None]
    without_event = (_without_each(squares) + _PRIOR) / (_without_each(expected) + _PRIOR)  # a bad one is in two pairs
    left_out = without_event.argmin(-1)[..., None]

    def rest(numbers: Floats) -> Floats:
        return np.take_along_axis(_without_each(numbers), left_out, -1)[..., 0]

    total, size = rest(expected) + _PRIOR, without_event.min(-1)
    events = rest(expected) ** 2 / np.maximum(rest(expected**2), 1e-300) / 2
    # A bin is in two pairs, so pairs are correlated: twice the variance of independent ones.
    error = np.sqrt(2 * rest((squares - size[..., None] * expected) ** 2)) / total
    # Of two or three events the spread says nothing: they may look alike by chance.
    return Dispersion(size, np.maximum(error, size / np.sqrt(np.maximum(events, 1))), events)


def _without_each(numbers: Floats) -> Floats:
    """The sums over all pairs but those of one event, for each event."""
    sums = np.concatenate([np.zeros((*numbers.shape[:-1], 1)), numbers.cumsum(-1)], -1)
    pairs = min(_EVENT_PAIRS, numbers.shape[-1])
    return np.asarray(np.maximum(sums[..., -1:] - (sums[..., pairs:] - sums[..., : sums.shape[-1] - pairs]), 0.0))


def _in_minutes(counted: BinnedCounts, quiet: Floats) -> tuple[BinnedCounts, Floats]:
    """So many bins as a minute has together, which are quiet if all of them are."""
    size = max(1, round(_MINUTE / counted.bin_seconds))
    groups = counted.bad.shape[-1] // size
    requests, bad, all_quiet = (
        numbers[..., : groups * size].reshape(*numbers.shape[:-1], groups, size)
        for numbers in (counted.requests, counted.bad, quiet)
    )
    return BinnedCounts(requests.sum(-1), bad.sum(-1), counted.bin_seconds * size), all_quiet.prod(-1)
