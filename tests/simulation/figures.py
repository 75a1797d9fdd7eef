"""Numbers from the outcomes of many runs, for the tables of docs/simulation.md, its targets and the tests."""

import math
from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
from scipy.stats import binom, binomtest

from sluice_operator.evalues.arithmetic import Floats
from tests.simulation.runner import Bools, Outcomes
from tests.simulation.scenarios import HEALTHY, PROMOTED_AT, REGRESSIONS, WORSE
from tests.simulation.study import Cell, Results
from tests.simulation.world import P95, Quality, share_slower

UNKNOWN_BURSTS = "a calm baseline, then bursts of one revision at a time from the start"
PROMISED = tuple(name for name in HEALTHY if name != UNKNOWN_BURSTS)  # what the theorem covers


class Counted(NamedTuple):
    """In how many of a number of runs something happened."""

    times: int
    runs: int

    @classmethod
    def of(cls, which: Bools) -> Self:
        return cls(int(which.sum()), len(which))

    @classmethod
    def sum(cls, several: Iterable["Counted"]) -> Self:
        times, runs = zip(*several, strict=True)
        return cls(sum(times), sum(runs))

    @property
    def share(self) -> float:
        return self.times / self.runs

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share, at 95 % (Clopper and Pearson 1934). It does not hold for a cell that was picked afterwards."""
        bounds = binomtest(self.times, self.runs).proportion_ci(0.95, method="exact")
        return float(bounds.low), float(bounds.high)

    def __str__(self) -> str:
        low, high = (100 * bound for bound in self.interval)
        return f"{100 * self.share:.2f} % ({self.times:,} of {self.runs:,}; 95 %: {low:.2f} to {high:.2f})"


def rounded_down(number: float) -> float:
    """To one decimal, and never up, so that a target that is nearly met does not look met."""
    return math.floor(10 * number) / 10


def in_watch(outcomes: Outcomes) -> Outcomes:
    """The runs that came to the watch, with times since the promotion."""
    reached = outcomes.seconds > PROMOTED_AT
    return Outcomes(
        outcomes.rolled_back[reached],
        outcomes.promoted[reached],
        outcomes.seconds[reached] - PROMOTED_AT,
        outcomes.exposed[reached],
        outcomes.exposed_in_hour[reached],
    )


def exposure_ratio(results: Results, policy: str, reference: str, rate: float) -> float:
    """How many times as many requests a bad canary gets in its first hour as under the policy `reference`.

    It is the geometric mean over the regressions of the ratios of means.
    """
    ratios = [
        results[Cell(policy, name, rate)].exposed_in_hour.mean()
        / results[Cell(reference, name, rate)].exposed_in_hour.mean()
        for name in REGRESSIONS
    ]
    return float(np.exp(np.mean(np.log(ratios))))


def mean_promoted(results: Results, policy: str, rate: float) -> float:
    """The share of bad canaries that are promoted, as the mean over the regressions."""
    return float(np.mean([results[Cell(policy, name, rate)].promoted.mean() for name in REGRESSIONS]))


def medians_until_rollback(outcomes: Outcomes) -> tuple[float, float]:
    """The median seconds and canary requests until a run is rolled back; infinite if less than half of them are."""
    return outcomes.median_seconds(outcomes.rolled_back), outcomes.median_exposed(outcomes.rolled_back)


def median_interval(times: Floats) -> tuple[float, float]:
    """The interval of the median at 95 %, from order statistics. It holds for every distribution."""
    ordered = np.sort(times)
    rank = int(binom.ppf(0.025, len(ordered), 0.5))
    return float(ordered[max(rank - 1, 0)]), float(ordered[len(ordered) - max(rank, 1)])


def floor_requests(name: str, alpha: float = 0.05, weight: float = 0.1) -> float:
    """The canary requests that any test at level `alpha` needs on average for a regression.

    It is ln(1/alpha), divided by the relative entropy of both revisions to the nearest pair of equal shares (Wald
    1945). This assumes that everything else is known.
    """
    canary, stable = _shares(WORSE[name])
    stable_requests = (1 - weight) / weight  # for each request of the canary
    pooled = (canary + stable_requests * stable) / (1 + stable_requests)
    return float(np.log(1 / alpha) / (_entropy(canary, pooled) + stable_requests * _entropy(stable, pooled)))


def _shares(worse: Quality) -> tuple[float, float]:
    """The shares of bad requests of the canary and of stable, for the objective in which the canary is worse."""
    usual = Quality()
    if worse.errors != usual.errors:
        return worse.errors, usual.errors
    if worse.accuracy != usual.accuracy:
        return 1 - worse.accuracy, 1 - usual.accuracy
    return share_slower(P95, worse.slowness), share_slower(P95, usual.slowness)


def _entropy(share: float, to: float) -> float:
    """The relative entropy of a share to another one."""
    return float(share * np.log(share / to) + (1 - share) * np.log((1 - share) / (1 - to)))
