"""Tests whether the suspected revision is worse than the reference at the same time, by more than bursts explain."""

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import LEVELS, RATIOS, BurstChain, BurstLaw, Pods
from sluice_operator.evalues.counts import Counts

EVERY_LEVEL = tuple(range(len(LEVELS)))
AT_START = 0.8  # the part of an alternative's weight that is for a start with the run; the rest is for later starts


class Comparison:
    """E-process against "the suspected revision's rate is at most the reference's in every tick, apart from bursts".

    Take the bad requests of both revisions in a tick. The probability that one of them is the suspected revision's
    depends only on the shares of requests and on the ratio of the rates. What both revisions share (the hour, a slow
    database, a weight that changes) cancels. This is the conditional Poisson test (Przyborowski and Wilenski 1940;
    sequential: Lindon and Malek 2022). Where bad requests are not rare, the test is conservative.
    """

    def __init__(
        self,
        law: BurstLaw,
        pods: Pods,
        tick_seconds: float,
        alternatives: tuple[int, ...] = EVERY_LEVEL,
        at_start: float = AT_START,
    ) -> None:
        self._chain = BurstChain(law, pods, tick_seconds, alternatives, at_start)

    def update(self, suspected: Counts, reference: Counts) -> None:
        """The counts of the next tick."""
        requests = suspected.requests + reference.requests
        share = np.divide(suspected.requests, requests, out=np.zeros(requests.shape), where=requests > 0)[..., None]
        bad = (suspected.bad + reference.bad)[..., None]
        self._chain.update(suspected.bad[..., None] * np.log(RATIOS) - bad * np.log1p(share * (RATIOS - 1)))

    @property
    def no_burst_probability(self) -> Floats:
        """The probability of the burst law that no pod has burst until now, by column."""
        return self._chain.no_burst_probability

    @property
    def log_evalue(self) -> Floats:
        """Shape (..., runs)."""
        return self._chain.log_evalue
