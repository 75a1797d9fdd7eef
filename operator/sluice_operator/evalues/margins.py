"""Is the canary shown to be better than a margin? E-values against "it is at least that much worse", for promotion."""

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import LEVELS, BurstLaw, Pods
from sluice_operator.evalues.comparison import Comparison
from sluice_operator.evalues.counts import Counts

_BISECTIONS = 40


class RatioMarginTest:
    """E-process against "the canary's rate is at least `ratio` times stable's in every tick".

    The comparison with its roles swapped: stable is suspected to have only 1/ratio of the canary's rate, so a burst of
    stable, which would hide a worse canary, is part of the null.
    """

    def __init__(self, law: BurstLaw, pods: Pods, tick_seconds: float, ratio: float) -> None:
        nearest = int(np.argmin(np.abs(np.log(LEVELS / ratio))))
        self._comparison = Comparison(law, Pods(pods.reference, pods.suspected), tick_seconds, (nearest,), at_start=1.0)
        self._ratio = ratio

    def update(self, canary: Counts, stable: Counts) -> None:
        """The counts of one tick."""
        self._comparison.update(stable, Counts(self._ratio * canary.requests, canary.bad))

    @property
    def log_evalue(self) -> Floats:
        return self._comparison.log_evalue


class DropMarginTest:
    """E-process against "the canary's share of bad requests is at least stable's plus `drop` in every tick".

    The two-stream e-variable of Turner, Ly and Gruenwald (2024) for a convex null: the likelihood of a guess (both arms
    have the pooled share of the past) over that of the nearest point of the null. A poor guess costs power alone.
    """

    def __init__(self, drop: float) -> None:
        self._drop = drop
        self._requests = self._bad = self._log = np.zeros(1)

    def update(self, canary: Counts, stable: Counts) -> None:
        """The counts of one tick."""
        guess = np.clip((self._bad + 0.5) / (self._requests + 1), 1e-6, 1 - 1e-6)
        nearest = _nearest_drop(guess, self._drop, canary.requests, stable.requests)
        self._log = self._log + _gain(canary, guess, nearest + self._drop) + _gain(stable, guess, nearest)
        self._requests = self._requests + canary.requests + stable.requests
        self._bad = self._bad + canary.bad + stable.bad

    @property
    def log_evalue(self) -> Floats:
        return self._log


def _gain(arm: Counts, guess: Floats, null: Floats) -> Floats:
    good = arm.requests - arm.bad
    return np.asarray(arm.bad * np.log(guess / null) + good * np.log((1 - guess) / (1 - null)))


def _nearest_drop(guess: Floats, drop: float, canary: Floats, stable: Floats) -> Floats:
    """Stable's share s that minimises n_c KL(guess, s + drop) + n_s KL(guess, s): the root of its rising derivative."""
    low, high = np.zeros_like(guess), np.full_like(guess, 1 - drop)
    for _ in range(_BISECTIONS):
        share = (low + high) / 2
        worse = share + drop
        slope = canary * (worse - guess) / (worse * (1 - worse)) + stable * (share - guess) / (share * (1 - share))
        low, high = np.where(slope < 0, share, low), np.where(slope < 0, high, share)
    return (low + high) / 2
