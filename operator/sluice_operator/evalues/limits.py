"""Tests whether the share of bad requests of one revision is over a fixed limit, or inside it."""

import numpy as np

from sluice_operator.evalues.arithmetic import Floats, log_mean
from sluice_operator.evalues.chain import RATIOS, BurstChain, BurstLaw, Pods
from sluice_operator.evalues.comparison import AT_START, EVERY_LEVEL
from sluice_operator.evalues.counts import Counts

ALTERNATIVES = np.array([0.0, 0.1, 0.25, 0.5, 0.8])  # shares of bad requests, as parts of the limit
ALTERNATIVE_WEIGHTS = np.array([4, 1, 1, 1, 1]) / 8


class LimitTest:
    """E-process against "the share of bad requests is at most `limit` in every tick, apart from bursts".

    Wald's likelihood ratio for a Bernoulli share, where the ratios are those of odds, on a burst chain without a
    reference. The counts must broadcast with the shape of `limit`.
    """

    def __init__(self, law: BurstLaw, pods: int, tick_seconds: float, limit: Floats) -> None:
        self._chain = BurstChain(law, Pods(pods, reference=0), tick_seconds, EVERY_LEVEL, AT_START)
        self._limit = limit[..., None]

    def update(self, counts: Counts) -> None:
        """The counts of the next tick."""
        bad, requests = counts.bad[..., None], counts.requests[..., None]
        self._chain.update(bad * np.log(RATIOS) - requests * np.log1p(self._limit * (RATIOS - 1)))

    @property
    def log_evalue(self) -> Floats:
        """Shape (..., runs)."""
        return self._chain.log_evalue


def over_limit_and_worse(log_over_limit: Floats | float, log_worse_now: Floats | float) -> Floats:
    """Log e-value against "the canary keeps the limit, or is no worse than stable at the same time".

    The minimum of the two. So a canary that is like stable is not blamed for an incident that hits both, whenever the
    incident begins.
    """
    return np.asarray(np.minimum(log_over_limit, log_worse_now))


def log_below_limit(limit: Floats, requests: Floats, bad: Floats) -> Floats:
    """Log e-value against "the share of bad requests is at least `limit` in every tick", from totals of the same shape.

    A mixture of likelihood ratios whose alternatives are below the limit. Half of the weight is for no bad request at
    all, so that a revision without one is cleared after about ln(40)/limit requests. The other half still works after
    a bad request.
    """
    share = ALTERNATIVES * limit[..., None]
    bad, good = bad[..., None], (requests - bad)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        of_bad = np.where(bad > 0, bad * np.log(ALTERNATIVES), 0.0)
    return log_mean(of_bad + good * np.log1p(-share) - good * np.log1p(-limit[..., None]), -1, ALTERNATIVE_WEIGHTS)
