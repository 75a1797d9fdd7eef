"""Learns the burst law of a revision from its baseline: how often, how strongly and how long one of its pods bursts.

The method is in docs/statistics.md, section 5. The chain that uses the law is in `chain.py`.
"""

from collections.abc import Iterator

import numpy as np

from sluice_operator.evalues import clumps
from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import LEVELS, BurstLaw
from sluice_operator.evalues.counts import BinnedCounts

_ROUNDS = 3  # of expectation and maximisation
_BLOCK_BINS = 20  # bins whose counts make one share of bad requests; the median of these shares is quiet
_PRIOR_SECONDS = 60.0  # the prior is one burst of this length over the whole baseline
_LONGEST_CHAIN = 11_520  # bins, such as six hours of eight pods; longer counts are cut, because a recursion is slow
_LANE_BINS, _LANES = 1440, 8  # bins of each part then, and how many parts are worked on side by side
_PRIOR_REQUESTS = 50.0  # the quiet share of the previous round weighs as much as this many requests


def learn(counted: BinnedCounts, minimum_seconds: float = 0.0) -> BurstLaw:
    """The burst law of each column, by Baum-Welch on a chain of Poisson counts: quiet, or in a burst of one level.

    Bursts of a level also count for all lower levels and for the next higher one. The reason: a burst looks weaker when
    a bin covers only half of it, or when the other revision bursts at the same time.

    The prior is one burst of a minute over the baseline, so a short baseline allows many bursts. A baseline shorter
    than `minimum_seconds` is treated as one of that length. An empty one is treated as one bin.

    A clump of bad requests is no burst: the likelihood counts in clumps. Their size is learned from what is not in a
    burst, from above: at first no bin is in one.
    """
    seconds_counted = counted.requests.shape[-1] * counted.bin_seconds
    length = max(seconds_counted, counted.bin_seconds, minimum_seconds)
    size = clumps.mean_size(counted, np.ones_like(counted.bad))
    quiet_share = _median_share(counted)
    starts = np.full((*quiet_share.shape, len(LEVELS)), 1 / (3600.0 * len(LEVELS)))
    seconds = np.full_like(starts, _PRIOR_SECONDS)
    for _ in range(_ROUNDS):
        in_clumps = counted.in_clumps(size[..., None])
        begun, spent, quiet = _expected_of_any_length(in_clumps, quiet_share, starts, seconds)
        starts = (1 / len(LEVELS) + begun) / length
        seconds = (_PRIOR_SECONDS + spent) / (1 + begun)
        quiet_requests, quiet_bad = (quiet * counted.requests).sum(-1), (quiet * counted.bad).sum(-1)
        quiet_share = (quiet_bad + _PRIOR_REQUESTS * quiet_share) / (quiet_requests + _PRIOR_REQUESTS)
        size = clumps.mean_size(counted, quiet)
    any_start, divisor = (1 + begun.sum(-1)) / length, clumps.divisor(counted, quiet)
    begun, spent = _with_level_below(begun), _with_level_below(spent)
    return BurstLaw((1 / len(LEVELS) + begun) / length, (_PRIOR_SECONDS + spent) / (1 + begun), any_start, divisor)


def _median_share(counted: BinnedCounts) -> Floats:
    """The share of bad requests in the median block of bins; the overall share where the median is 0."""
    blocks = counted.bad.shape[-1] // _BLOCK_BINS
    shape = (*counted.bad.shape[:-1], blocks, _BLOCK_BINS)
    whole_blocks = slice(0, blocks * _BLOCK_BINS)
    bad = counted.bad[..., whole_blocks].reshape(shape).sum(-1)
    requests = counted.requests[..., whole_blocks].reshape(shape).sum(-1)
    median = np.median(bad / np.maximum(requests, 1), axis=-1) if blocks else np.zeros(counted.bad.shape[:-1])
    overall = (counted.bad.sum(-1) + 0.1) / (counted.requests.sum(-1) + 1)
    return np.where(median > 0, median, overall)


def _expected_of_any_length(
    counted: BinnedCounts, quiet_share: Floats, starts: Floats, seconds: Floats
) -> tuple[Floats, Floats, Floats]:
    """As `_expected`. Counts of many pods are cut into parts, each of which begins anew: its time is then bounded."""
    if counted.bad.shape[-1] <= _LONGEST_CHAIN:
        return _expected(counted, quiet_share, starts, seconds)
    parts = [
        _expected(lanes, quiet_share[..., None], starts[..., None, :], seconds[..., None, :])
        for lanes in _side_by_side(counted)
    ]
    begun, spent, quiet_parts = zip(*parts, strict=True)
    quiet = np.zeros_like(counted.bad)  # also of the bins that are in no part
    joined = np.concatenate([part.reshape(*part.shape[:-2], -1) for part in quiet_parts], -1)
    quiet[..., : joined.shape[-1]] = joined
    return np.asarray(sum(part.sum(-2) for part in begun)), np.asarray(sum(part.sum(-2) for part in spent)), quiet


def _side_by_side(counted: BinnedCounts) -> Iterator[BinnedCounts]:
    """The counts in equal parts, a few at a time: shape (..., parts, bins). At most a bin per part is left out."""
    bins = counted.bad.shape[-1]
    lanes = -(-bins // _LANE_BINS)
    length = bins // lanes
    shape = (*counted.bad.shape[:-1], lanes, length)
    requests, bad = (numbers[..., : lanes * length].reshape(shape) for numbers in (counted.requests, counted.bad))
    for first in range(0, lanes, _LANES):
        few = slice(first, first + _LANES)
        yield BinnedCounts(requests[..., few, :], bad[..., few, :], counted.bin_seconds)


def _expected(
    counted: BinnedCounts, quiet_share: Floats, starts: Floats, seconds: Floats
) -> tuple[Floats, Floats, Floats]:
    """Forward-backward: the expected number of starts and seconds of bursts, each of shape (..., levels), and the
    probability that a bin is quiet, of shape (..., bins)."""
    start_chance = np.minimum(starts * counted.bin_seconds, 0.02)
    end_chance = np.minimum(counted.bin_seconds / seconds, 0.9)
    matrix = _matrix(start_chance, end_chance)
    likelihood = _likelihood(counted, quiet_share)

    start = np.concatenate([np.ones((*start_chance.shape[:-1], 1)), starts * seconds], -1)
    forward, backward = _forward(start, matrix, likelihood), _backward(matrix, likelihood)
    smoothed = forward * backward
    smoothed /= smoothed.sum(-1, keepdims=True)
    ahead = (likelihood * backward)[1:]
    total = (forward[:-1] * _applied(matrix, ahead)).sum(-1, keepdims=True)
    begun = (forward[:-1, ..., :1] * start_chance * ahead[..., 1:] / np.maximum(total, 1e-300)).sum(0)
    quiet = np.moveaxis(smoothed[..., 0], 0, -1)
    spent = smoothed[..., 1:].sum(0) * counted.bin_seconds
    return begun, spent, quiet


def _likelihood(counted: BinnedCounts, quiet_share: Floats) -> Floats:
    """Of each bin's count in each state, up to a factor; shape (bins, ..., states), because recursions go by bin."""
    ratios = np.concatenate([[1.0], LEVELS])
    expected_bad = (counted.requests * quiet_share[..., None])[..., None]
    log_likelihood = counted.bad[..., None] * np.log(ratios) - expected_bad * (ratios - 1)
    likelihood = np.exp(log_likelihood - log_likelihood.max(-1, keepdims=True)) + 1e-100
    return np.ascontiguousarray(np.moveaxis(likelihood, -2, 0))


def _forward(start: Floats, matrix: Floats, likelihood: Floats) -> Floats:
    """The probability of each state in each bin, given all counts up to this bin; sums to 1."""
    forward = np.empty_like(likelihood)
    state_chances = start / start.sum(-1, keepdims=True)
    for index, bin_likelihood in enumerate(likelihood):
        state_chances = (state_chances[..., None, :] @ matrix)[..., 0, :] * bin_likelihood
        state_chances /= state_chances.sum(-1, keepdims=True)
        forward[index] = state_chances
    return forward


def _backward(matrix: Floats, likelihood: Floats) -> Floats:
    """The likelihood of all counts after each bin, given the state in this bin, up to a factor."""
    backward = np.empty_like(likelihood)
    later = np.ones(matrix.shape[:-1])
    for index in range(len(likelihood) - 1, -1, -1):
        backward[index] = later
        later = _applied(matrix, likelihood[index] * later)
        later = later / later.max(-1, keepdims=True) + 1e-100
    return backward


def _applied(matrix: Floats, states: Floats) -> Floats:
    return np.asarray((matrix @ states[..., None])[..., 0])


def _matrix(start_chance: Floats, end_chance: Floats) -> Floats:
    """The probabilities to go from a state (row) to a state (column) in one bin: quiet first, then the levels."""
    size = 1 + len(LEVELS)
    matrix = np.zeros((*start_chance.shape[:-1], size, size))
    matrix[..., 0, 0] = 1 - start_chance.sum(-1)
    matrix[..., 0, 1:] = start_chance
    matrix[..., 1:, 0] = end_chance
    levels = np.arange(1, size)
    matrix[..., levels, levels] = 1 - end_chance
    return matrix


def _with_level_below(by_level: Floats) -> Floats:
    """For each level the sum over all levels from the next lower one upwards."""
    upwards = np.flip(np.cumsum(np.flip(by_level, -1), -1), -1)
    return np.concatenate([upwards[..., :1], upwards[..., :-1]], -1)
