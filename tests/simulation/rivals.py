"""The rules of Flagger and Argo Rollouts, from their documentation, and a z-test that is evaluated at every scrape.

A limit on a quantile ("p99 at most 500 ms"), where the limit is one of the histogram's bounds, holds exactly if the
share of requests over this bound is at most the rest ("1 %"). PromQL's histogram_quantile gives the same at a bound.

Both documented policies judge errors, and Flagger's also judges p99. To be fair to them, here both also judge p99 <=
500 ms and an accuracy of at least 0.70. Argo's analysis begins with the first step, and every request has a label.
"""

from collections import deque
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from tests.simulation.runner import Bools, Verdicts, ramp
from tests.simulation.world import BOUNDS, P95, Answers, Random, World

# Indices into BOUNDS.
LIMIT_BOUND = BOUNDS.index(0.2)
OLD_P95_BOUND = int(np.argmin(np.abs(np.array(BOUNDS) - P95)))  # 119 ms, the nearest one to stable's p95
LAST_BOUND = len(BOUNDS) - 1  # 500 ms


class Limits(NamedTuple):
    """The largest shares that a window may have."""

    errors: float
    over_200ms: float = 1.0
    over_500ms: float = 0.01
    wrong: float = 0.30

    def exceeded(self, window: Answers) -> Bools:
        """In which runs a limit is exceeded. A window without requests exceeds none, because NaN compares as false."""
        with np.errstate(invalid="ignore"):
            return np.asarray(
                (window.errors / window.requests > self.errors)
                | (window.slower[LIMIT_BOUND] / window.requests > self.over_200ms)
                | (window.slower[LAST_BOUND] / window.requests > self.over_500ms)
                | (window.wrong / window.labels > self.wrong)
            )


GUIDES = Limits(errors=0.001, over_200ms=0.05)  # of guides for model serving: p95 <= 200 ms, p99 <= 500 ms
FLAGGER_DOCS = Limits(errors=0.01)
ARGO_DOCS = Limits(errors=0.05)


def _sum(window: deque[Answers]) -> Answers:
    return Answers(*(np.sum([getattr(answers, field.name) for answers in window], axis=0) for field in fields(Answers)))


@dataclass(frozen=True)
class FlaggerLike:
    """docs.flagger.app, tutorial "Istio Canary Deployments": interval 1m, threshold 5, stepWeight 10, maxWeight 50;
    request-success-rate at least 99, request-duration (p99) at most 500.

    There is one check per interval, of the last minute. A check that fails, or has no values, leaves the weight as it
    is and counts until the end of the run. When the threshold is met, the canary is rolled back one interval later
    ("interval * threshold" of the documentation and one more, as in its scheduler). A good check raises the weight. A
    good check at the highest weight promotes the canary.
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
        rolled_back = self._failed >= self._rules.threshold
        window = _sum(self._window)
        bad = self._rules.limits.exceeded(window) | (window.requests == 0)
        self._failed += bad
        self._step += ~bad
        return Verdicts(rolled_back, self._step >= len(self._rules.weights))


@dataclass(frozen=True)
class ArgoLike:
    """argo-rollouts.readthedocs.io, "Analysis & Progressive Delivery", background analysis: setWeight 20, 40, 60, 80
    with pauses of 10m; success-rate at least 0.95, interval 5m, failureLimit 3.

    There is one measurement per interval, of its own window. With more failures than the limit, the canary is rolled
    back. A measurement without requests does not count as a failure. After the last pause the canary is promoted.
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
        finished = self._ticks * self._tick >= 60 * sum(minutes for _, minutes in self._rules.steps)
        return Verdicts(self._failed > self._rules.failure_limit, np.full(self._runs, finished))


class PeekedZTest:
    """The test of A/B testing guides at 95 %, on all counts so far, and evaluated at every scrape: 30 minutes, 10 to
    50 %. It tests errors, wrong labels, and the share of requests over the bound nearest to stable's p95."""

    STEPS = tuple((share, 6.0) for share in (0.1, 0.2, 0.3, 0.4, 0.5))
    QUANTILE = 1.96
    MIN_BAD = 5  # bad requests of both revisions, before the first evaluation

    def __init__(self, world: World, runs: int, random: Random) -> None:
        self._tick, self._seconds, self._runs = world.tick, 0.0, runs
        self._totals = np.zeros((2, 3, 2, runs))  # revision; metric; requests and bad requests; run

    def weights(self) -> Floats:
        return np.full(self._runs, ramp(self.STEPS, self._seconds))

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        for revision, answers in enumerate((canary, stable)):
            metrics = answers.error_counts(), answers.label_counts(), answers.latency_counts(OLD_P95_BOUND)
            for metric, counts in enumerate(metrics):
                self._totals[revision, metric] += (counts.requests, counts.bad)
        self._seconds += self._tick
        requests, bad = self._totals[:, :, 0], self._totals[:, :, 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = bad / requests
            error = np.sqrt((share * (1 - share) / requests).sum(0))
            worse = ((share[0] - share[1]) / error > self.QUANTILE) & (bad.sum(0) >= self.MIN_BAD)
        finished = self._seconds >= 60 * sum(minutes for _, minutes in self.STEPS)
        return Verdicts(worse.any(0), np.full(self._runs, finished))
