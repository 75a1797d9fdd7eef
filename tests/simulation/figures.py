"""Figures that the tables of docs/simulation.md, its targets and the tests share."""

import math
from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
from scipy.stats import binom, binomtest

from sluice_operator.evalues.arithmetic import Floats
from tests.simulation.runner import Bools, Outcomes
from tests.simulation.scenarios import HEALTHY, PROMOTED_AT, REGRESSIONS, WORSE
from tests.simulation.study import Cell, Results
from tests.simulation.world import P95, Quality, over

UNKNOWN_BURSTS = "a calm baseline, then bursts of one revision at a time from the start"
PROMISED = tuple(name for name in HEALTHY if name != UNKNOWN_BURSTS)  # what the theorem covers


class Counted(NamedTuple):
    """How many of a number of runs."""

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
        """At 95 %, for one cell that was not picked (Clopper and Pearson 1934)."""
        found = binomtest(self.times, self.runs).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = (100 * one for one in self.interval)
        return f"{100 * self.share:.2f} % ({self.times:,} of {self.runs:,}; 95 %: {low:.2f} to {high:.2f})"


def down(number: float) -> float:
    """To one decimal, and never up: what is nearly met must not look met."""
    return math.floor(10 * number) / 10


def alone(outcomes: Outcomes) -> Outcomes:
    """The runs of a watched canary that got as far as serving alone; times begin with the promotion."""
    reached = outcomes.seconds > PROMOTED_AT
    return Outcomes(
        outcomes.taken_back[reached],
        outcomes.promoted[reached],
        outcomes.seconds[reached] - PROMOTED_AT,
        outcomes.exposed[reached],
        outcomes.exposed_in_hour[reached],
    )


def exposure_ratio(results: Results, policy: str, reference: str, rate: float) -> float:
    """Requests that a bad canary gets in its first hour, against those under `reference`: geometric mean over the
    regressions of the ratios of means."""
    ratios = [
        results[Cell(policy, name, rate)].exposed_in_hour.mean()
        / results[Cell(reference, name, rate)].exposed_in_hour.mean()
        for name in REGRESSIONS
    ]
    return float(np.exp(np.mean(np.log(ratios))))


def mean_promoted(results: Results, policy: str, rate: float) -> float:
    return float(np.mean([results[Cell(policy, name, rate)].promoted.mean() for name in REGRESSIONS]))


def back(outcomes: Outcomes) -> tuple[float, float]:
    """Median seconds and canary requests until a run is rolled back; infinite where less than half are."""
    return outcomes.median_seconds(outcomes.taken_back), outcomes.median_exposed(outcomes.taken_back)


def median_interval(times: Floats) -> tuple[float, float]:
    """Of the median, at 95 %: order statistics, so whatever the distribution is."""
    ordered = np.sort(times)
    rank = int(binom.ppf(0.025, len(ordered), 0.5))
    return float(ordered[max(rank - 1, 0)]), float(ordered[len(ordered) - max(rank, 1)])


def floor_requests(name: str, alpha: float = 0.05, weight: float = 0.1) -> float:
    """Canary requests that any test at level `alpha` needs on average for a regression: ln(1/alpha) over the relative
    entropy of both arms to the nearest pair of equal shares (Wald 1945), when everything else is known."""
    canary, stable = _shares(WORSE[name])
    others = (1 - weight) / weight
    pooled = (canary + others * stable) / (1 + others)
    return float(np.log(1 / alpha) / (_entropy(canary, pooled) + others * _entropy(stable, pooled)))


def _shares(worse: Quality) -> tuple[float, float]:
    """Shares of bad requests, canary's and stable's, of the objective in which the canary is worse."""
    usual = Quality()
    if worse.errors != usual.errors:
        return worse.errors, usual.errors
    if worse.accuracy != usual.accuracy:
        return 1 - worse.accuracy, 1 - usual.accuracy
    return over(P95, worse.slowness), over(P95, usual.slowness)


def _entropy(of: float, to: float) -> float:
    return float(of * np.log(of / to) + (1 - of) * np.log((1 - of) / (1 - to)))
