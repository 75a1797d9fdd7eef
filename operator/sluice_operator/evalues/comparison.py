"""Is the suspected arm worse than the other one, beyond what bursts explain?"""

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import LEVELS, RATIOS, BurstChain, BurstLaw, Pods
from sluice_operator.evalues.counts import Counts

EVERY_LEVEL = tuple(range(len(LEVELS)))
AT_START = 0.8  # of what is bet on a worse canary: that it is worse from the beginning


class Comparison:
    """E-process against "the suspected arm's rate is at most the other's in every tick, apart from known bursts".

    Given how many bad requests both arms had in a tick, each of them is the suspected arm's with a chance that depends
    only on the shares of requests and on the ratio of the rates. What both arms share (the hour, a slow database, a
    weight that moves) cancels (conditional Poisson test: Przyborowski and Wilenski 1940; sequential: Lindon and Malek
    2022). For shares that are not rare the truth is less spread than this binomial, which is conservative.
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

    def update(self, suspected: Counts, other: Counts) -> None:
        """The counts of one tick."""
        requests = suspected.requests + other.requests
        share = np.divide(suspected.requests, requests, out=np.zeros(requests.shape), where=requests > 0)[..., None]
        bad = (suspected.bad + other.bad)[..., None]
        self._chain.update(suspected.bad[..., None] * np.log(RATIOS) - bad * np.log1p(share * (RATIOS - 1)))

    @property
    def no_burst_chance(self) -> Floats:
        """The chance that nobody burst until now, by the law; by column."""
        return self._chain.no_burst_chance

    @property
    def log_evalue(self) -> Floats:
        return self._chain.log_evalue
