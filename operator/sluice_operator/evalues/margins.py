"""Non-inferiority: e-values against "the canary is worse than stable by a margin", which a promotion must rule out."""

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import LEVELS, BurstLaw, Pods
from sluice_operator.evalues.comparison import Comparison
from sluice_operator.evalues.counts import Counts

_BISECTIONS = 40


class RatioMarginTest:
    """E-process against "the canary's rate is at least `ratio` times stable's in every tick".

    The comparison with exchanged roles: stable is suspected of a rate over 1/ratio of the canary's. So a burst of
    stable, which would hide a worse canary, is part of the null.
    """

    def __init__(self, law: BurstLaw, pods: Pods, tick_seconds: float, ratio: float) -> None:
        nearest = int(np.argmin(np.abs(np.log(LEVELS / ratio))))
        self._comparison = Comparison(law, Pods(pods.reference, pods.suspected), tick_seconds, (nearest,), at_start=1.0)
        self._ratio = ratio

    def update(self, canary: Counts, stable: Counts) -> None:
        """The counts of the next tick."""
        self._comparison.update(stable, Counts(self._ratio * canary.requests, canary.bad))

    @property
    def log_evalue(self) -> Floats:
        """Shape (..., runs)."""
        return self._comparison.log_evalue


class DropMarginTest:
    """E-process against "the canary's share of bad requests is at least stable's plus `drop` in every tick".

    The two-stream e-variable of Turner, Ly and Gruenwald (2024) for a convex null: the likelihood of a guess, divided
    by that of the null's point that is nearest to the guess. The guess is that both revisions have the pooled share of
    all earlier ticks. A poor guess only makes the test slower.
    """

    def __init__(self, drop: float) -> None:
        self._drop = drop
        self._requests = self._bad = self._log = np.zeros(1)

    def update(self, canary: Counts, stable: Counts) -> None:
        """The counts of the next tick."""
        guess = np.clip((self._bad + 0.5) / (self._requests + 1), 1e-6, 1 - 1e-6)
        nearest = _nearest_drop(guess, self._drop, canary.requests, stable.requests)
        self._log = self._log + _gain(canary, guess, nearest + self._drop) + _gain(stable, guess, nearest)
        self._requests = self._requests + canary.requests + stable.requests
        self._bad = self._bad + canary.bad + stable.bad

    @property
    def log_evalue(self) -> Floats:
        """Shape (..., runs)."""
        return self._log


def _gain(counts: Counts, guess: Floats, null: Floats) -> Floats:
    """The log-likelihood ratio of the counts of one revision: under the share `guess` against the share `null`."""
    good = counts.requests - counts.bad
    return np.asarray(counts.bad * np.log(guess / null) + good * np.log((1 - guess) / (1 - null)))


def _nearest_drop(guess: Floats, drop: float, canary: Floats, stable: Floats) -> Floats:
    """Stable's share s that minimises n_c KL(guess, s + drop) + n_s KL(guess, s).

    `canary` and `stable` are their requests n_c and n_s. The derivative grows with s, so bisection finds its root.
    """
    low, high = np.zeros_like(guess), np.full_like(guess, 1 - drop)
    for _ in range(_BISECTIONS):
        share = (low + high) / 2
        worse = share + drop
        slope = canary * (worse - guess) / (worse * (1 - worse)) + stable * (share - guess) / (share * (1 - share))
        low, high = np.where(slope < 0, share, low), np.where(slope < 0, high, share)
    return (low + high) / 2
