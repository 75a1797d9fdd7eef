"""The burst law of a revision, learned from its record: how often, how strongly and how long one of its pods bursts."""

from typing import NamedTuple

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import LEVELS, BurstLaw

_ROUNDS = 3  # of expectation and maximisation
_BLOCKS = 20  # bins whose share makes one block; the median block is quiet
_PRIOR_SECONDS = 60.0
_FEW = 50.0  # requests that the previous quiet share is worth


class PodHistory(NamedTuple):
    """Counts of one pod, or of several in a row: `requests` of shape (..., bins), `bad` of shape (..., bins)."""

    requests: Floats
    bad: Floats
    bin_seconds: float


def learn(record: PodHistory, worth: float = 0.0) -> BurstLaw:
    """The law per column, by Baum-Welch on a chain of Poisson counts that is quiet or in a burst of one level.

    Smeared to lower levels and one level up, because a burst is seen as less when it is half covered by a bin or when
    the other arm has one too. The prior is one burst of a minute over the record, so a short record allows much; one
    that is shorter than `worth` seconds is taken for one of that length, and an empty one is worth a bin at least.
    """
    length = max(record.requests.shape[-1] * record.bin_seconds, record.bin_seconds, worth)
    quiet_share = _median_share(record)
    starts = np.full((*quiet_share.shape, len(LEVELS)), 1 / (3600.0 * len(LEVELS)))
    seconds = np.full_like(starts, _PRIOR_SECONDS)
    for _ in range(_ROUNDS):
        begun, spent, quiet_requests, quiet_bad = _expected(record, quiet_share, starts, seconds)
        starts = (1 / len(LEVELS) + begun) / length
        seconds = (_PRIOR_SECONDS + spent) / (1 + begun)
        quiet_share = (quiet_bad + _FEW * quiet_share) / (quiet_requests + _FEW)
    any_start = (1 + begun.sum(-1)) / length
    begun, spent = _smeared(begun), _smeared(spent)
    return BurstLaw((1 / len(LEVELS) + begun) / length, (_PRIOR_SECONDS + spent) / (1 + begun), any_start)


def _median_share(record: PodHistory) -> Floats:
    """Share of bad requests in the median block, or in all of them where that is 0."""
    blocks = record.bad.shape[-1] // _BLOCKS
    shape = (*record.bad.shape[:-1], blocks, _BLOCKS)
    used = slice(0, blocks * _BLOCKS)
    bad = record.bad[..., used].reshape(shape).sum(-1)
    requests = record.requests[..., used].reshape(shape).sum(-1)
    median = np.median(bad / np.maximum(requests, 1), axis=-1) if blocks else np.zeros(record.bad.shape[:-1])
    overall = (record.bad.sum(-1) + 0.1) / (record.requests.sum(-1) + 1)
    return np.where(median > 0, median, overall)


def _expected(
    record: PodHistory, quiet_share: Floats, starts: Floats, seconds: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Forward-backward: expected starts and seconds per level, and requests and bad ones in quiet time."""
    begins = np.minimum(starts * record.bin_seconds, 0.02)
    leaves = np.minimum(record.bin_seconds / seconds, 0.9)
    matrix = _matrix(begins, leaves)
    ratios = np.concatenate([[1.0], LEVELS])
    log_likelihood = record.bad[..., None] * np.log(ratios) - (record.requests * quiet_share[..., None])[..., None] * (
        ratios - 1
    )
    likelihood = np.exp(log_likelihood - log_likelihood.max(-1, keepdims=True)) + 1e-100
    likelihood = np.ascontiguousarray(np.moveaxis(likelihood, -2, 0))  # bins first: they are gone through one by one

    start = np.concatenate([np.ones((*begins.shape[:-1], 1)), starts * seconds], -1)
    forward, backward = _forward(start, matrix, likelihood), _backward(matrix, likelihood)
    smoothed = forward * backward
    smoothed /= smoothed.sum(-1, keepdims=True)
    ahead = (likelihood * backward)[1:]
    total = (forward[:-1] * _applied(matrix, ahead)).sum(-1, keepdims=True)
    begun = (forward[:-1, ..., :1] * begins * ahead[..., 1:] / np.maximum(total, 1e-300)).sum(0)
    quiet = np.moveaxis(smoothed[..., 0], 0, -1)
    spent = smoothed[..., 1:].sum(0) * record.bin_seconds
    return begun, spent, (quiet * record.requests).sum(-1), (quiet * record.bad).sum(-1)


def _forward(start: Floats, matrix: Floats, likelihood: Floats) -> Floats:
    """Chance of each state in each bin, given what was seen until then; sums to 1."""
    found = np.empty_like(likelihood)
    belief = start / start.sum(-1, keepdims=True)
    for now, seen in enumerate(likelihood):
        belief = (belief[..., None, :] @ matrix)[..., 0, :] * seen
        belief /= belief.sum(-1, keepdims=True)
        found[now] = belief
    return found


def _backward(matrix: Floats, likelihood: Floats) -> Floats:
    """Likelihood of all that was seen after each bin, given its state, up to a factor."""
    found = np.empty_like(likelihood)
    later = np.ones(matrix.shape[:-1])
    for now in range(len(likelihood) - 1, -1, -1):
        found[now] = later
        later = _applied(matrix, likelihood[now] * later)
        later = later / later.max(-1, keepdims=True) + 1e-100
    return found


def _applied(matrix: Floats, states: Floats) -> Floats:
    return np.asarray((matrix @ states[..., None])[..., 0])


def _matrix(begins: Floats, leaves: Floats) -> Floats:
    """Chances from state (row) to state (column): quiet first, then the levels."""
    size = 1 + len(LEVELS)
    matrix = np.zeros((*begins.shape[:-1], size, size))
    matrix[..., 0, 0] = 1 - begins.sum(-1)
    matrix[..., 0, 1:] = begins
    matrix[..., 1:, 0] = leaves
    levels = np.arange(1, size)
    matrix[..., levels, levels] = 1 - leaves
    return matrix


def _smeared(by_level: Floats) -> Floats:
    """Each level gets what was seen from one level below it upwards."""
    upwards = np.flip(np.cumsum(np.flip(by_level, -1), -1), -1)
    return np.concatenate([upwards[..., :1], upwards[..., :-1]], -1)
