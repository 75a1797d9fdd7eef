"""The rules of Flagger, Argo Rollouts and a peeking analyst, written from their documentation.

A limit on a quantile that is one of the histogram's bounds ("p99 at most 500 ms") holds exactly if the share of
requests over that bound is at most the rest ("1 %"): what PromQL's histogram_quantile says at a bound.

Both documented policies look at errors, Flagger's at p99 too. To be fair to them, here both also judge p99 <= 500 ms
and an accuracy of at least 0.70, Argo's analysis begins with the first step, and a label comes with every request.
"""

from collections import deque
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from tests.simulation.runner import Bools, Verdicts, ramp
from tests.simulation.world import BOUNDS, P95, Answers, Random, World

LIMIT_BOUND = BOUNDS.index(0.2)
OLD_P95_BOUND = int(np.argmin(np.abs(np.array(BOUNDS) - P95)))  # 119 ms: the one next to stable's p95
LAST_BOUND = len(BOUNDS) - 1  # 500 ms


class Limits(NamedTuple):
    """Shares that a window may not exceed."""

    errors: float
    over_200ms: float = 1.0
    over_500ms: float = 0.01
    wrong: float = 0.30

    def exceeded(self, window: Answers) -> Bools:
        """A window without requests exceeds nothing: comparisons with NaN are false."""
        with np.errstate(invalid="ignore"):
            return np.asarray(
                (window.errors / window.requests > self.errors)
                | (window.over[LIMIT_BOUND] / window.requests > self.over_200ms)
                | (window.over[LAST_BOUND] / window.requests > self.over_500ms)
                | (window.wrong / window.labels > self.wrong)
            )


GUIDES = Limits(errors=0.001, over_200ms=0.05)  # what guides for model serving ask for: p95 <= 200 ms, p99 <= 500 ms
FLAGGER_DOCS = Limits(errors=0.01)
ARGO_DOCS = Limits(errors=0.05)


def _sum(window: deque[Answers]) -> Answers:
    return Answers(*(np.sum([getattr(one, field.name) for one in window], axis=0) for field in fields(Answers)))


@dataclass(frozen=True)
class FlaggerLike:
    """docs.flagger.app, tutorial "Istio Canary Deployments": interval 1m, threshold 5, stepWeight 10, maxWeight 50;
    request-success-rate at least 99, request-duration (p99) at most 500.

    Each interval checks the last minute. A check that fails, or finds no values, holds the weight and is counted for
    good; one interval after the threshold is met the canary is rolled back ("interval * threshold" of the documentation
    and one more, as in its scheduler). A good check raises the weight, the one at the highest weight promotes.
    """

    limits: Limits
    weights: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    threshold: int = 5
    interval: float = 60.0

    def __call__(self, world: World, runs: int, random: Random) -> "Flagger":
        return Flagger(self, world, runs)


class Flagger:
    def __init__(self, rules: FlaggerLike, world: World, runs: int) -> None:
        self._rules = rules
        self._window: deque[Answers] = deque(maxlen=round(rules.interval / world.tick))
        self._step, self._failed, self._ticks = np.zeros(runs, int), np.zeros(runs, int), 0

    def weights(self) -> Floats:
        return np.array(self._rules.weights)[np.minimum(self._step, len(self._rules.weights) - 1)]

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        self._window.append(canary)
        self._ticks += 1
        none = np.zeros(len(self._step), bool)
        if self._ticks % (self._window.maxlen or 1):
            return Verdicts(none, none)
        taken_back = self._failed >= self._rules.threshold
        window = _sum(self._window)
        bad = self._rules.limits.exceeded(window) | (window.requests == 0)
        self._failed += bad
        self._step += ~bad
        return Verdicts(taken_back, self._step >= len(self._rules.weights))


@dataclass(frozen=True)
class ArgoLike:
    """argo-rollouts.readthedocs.io, "Analysis & Progressive Delivery", background analysis: setWeight 20, 40, 60, 80
    with pauses of 10m; success-rate at least 0.95, interval 5m, failureLimit 3.

    Each interval measures its own window. More failures than the limit take the canary back; a measurement without
    requests is no failure. After the last pause the canary is promoted.
    """

    limits: Limits
    steps: tuple[tuple[float, float], ...] = ((0.2, 10.0), (0.4, 10.0), (0.6, 10.0), (0.8, 10.0))
    failure_limit: int = 3
    interval: float = 300.0

    def __call__(self, world: World, runs: int, random: Random) -> "Argo":
        return Argo(self, world, runs)


class Argo:
    def __init__(self, rules: ArgoLike, world: World, runs: int) -> None:
        self._rules, self._tick, self._runs = rules, world.tick, runs
        self._window: deque[Answers] = deque(maxlen=round(rules.interval / world.tick))
        self._failed, self._ticks = np.zeros(runs, int), 0

    def weights(self) -> Floats:
        return np.full(self._runs, ramp(self._rules.steps, self._ticks * self._tick))

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        self._window.append(canary)
        self._ticks += 1
        if self._ticks % (self._window.maxlen or 1) == 0:
            self._failed += self._rules.limits.exceeded(_sum(self._window))
        over = self._ticks * self._tick >= 60 * sum(minutes for _, minutes in self._rules.steps)
        return Verdicts(self._failed > self._rules.failure_limit, np.full(self._runs, over))


class PeekedZ:
    """The t-test of A/B testing guides at 95 %, on all counts so far, looked at with every scrape: 30 minutes, 10 to
    50 %. Errors, wrong labels, and the share over the bound next to stable's p95."""

    STEPS = tuple((share, 6.0) for share in (0.1, 0.2, 0.3, 0.4, 0.5))
    QUANTILE = 1.96
    LEAST = 5  # bad requests, before it is looked at

    def __init__(self, world: World, runs: int, random: Random) -> None:
        self._tick, self._seconds, self._runs = world.tick, 0.0, runs
        self._totals = np.zeros((2, 3, 2, runs))  # arm; metric; requests and bad ones

    def weights(self) -> Floats:
        return np.full(self._runs, ramp(self.STEPS, self._seconds))

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        for arm, seen in enumerate((canary, stable)):
            for metric, one in enumerate((seen.errors_arm(), seen.wrong_arm(), seen.over_arm(OLD_P95_BOUND))):
                self._totals[arm, metric] += (one.requests, one.bad)
        self._seconds += self._tick
        requests, bad = self._totals[:, :, 0], self._totals[:, :, 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = bad / requests
            error = np.sqrt((share * (1 - share) / requests).sum(0))
            worse = ((share[0] - share[1]) / error > self.QUANTILE) & (bad.sum(0) >= self.LEAST)
        over = self._seconds >= 60 * sum(minutes for _, minutes in self.STEPS)
        return Verdicts(worse.any(0), np.full(self._runs, over))
