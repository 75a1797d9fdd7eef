"""How long a run will take whose canary is as good as stable, and what it cannot prove in time. Pure.

It follows from the expected growth of each log e-value per canary request (Wald 1947): evidence reaches its threshold
after about the threshold divided by that growth. Chance makes a run shorter or longer; a canary that is better than
stable is faster.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sluice_operator.api.quantities import Duration
from sluice_operator.api.rollout_spec import Step
from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.limits import ALTERNATIVE_WEIGHTS, ALTERNATIVES
from sluice_operator.evalues.objective import Margin

_GRID = np.arange(1, 200) / 200
_FACTORS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)  # by which margins are widened until they can be ruled out in time


@dataclass(frozen=True, slots=True)
class ObjectiveTraffic:
    """What one objective counts of a service's requests. `bad_share`: stable's share of bad ones.

    `counted_per_request`: how many are counted per request. Less than 1 for labels, and where bad requests come in
    clumps: a test counts clumps.
    """

    name: str
    margins: tuple[Margin, ...]  # one per step
    bad_share: float
    counted_per_request: float = 1.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run may expect at `rate` requests per second.

    `margin_factor`: how many times as wide all margins must be to be ruled out before the deadline. 1: the deadline is
    long enough. Infinite: no margin that is tried is wide enough. `divisor`: how many requests of the slowest objective
    count as one, because bad ones come in clumps.
    """

    rate: float
    forecast: "Forecast"
    deadline: Duration
    margin_factor: float
    divisor: float = 1.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Canary requests and seconds of each step; infinite where evidence does not grow. `slowest`: an objective."""

    requests: tuple[float, ...]
    seconds: tuple[float, ...]
    slowest: str = ""

    @property
    def total(self) -> float:
        """Seconds of all steps together."""
        return sum(self.seconds)


def of_run(
    objectives: Sequence[ObjectiveTraffic], steps: Sequence[Step], rate: float, bad_promotion: float
) -> Forecast:
    """The forecast of a run on a service that answers `rate` requests per second."""
    needed = [
        [requests_needed(objective, index, step.weight / 100, bad_promotion) for index, step in enumerate(steps)]
        for objective in objectives
    ]
    # Evidence goes on from step to step, so a step needs only what is more than in the step before it.
    needed_until = [0.0, *(max((by_step[index] for by_step in needed), default=0.0) for index in range(len(steps)))]
    requests = [
        max(step.min_requests, until - before)
        for step, (before, until) in zip(steps, pairwise(needed_until), strict=True)
    ]
    seconds = [
        max(step.min_duration.total_seconds(), of_step / (rate * step.weight / 100)) if rate else math.inf
        for step, of_step in zip(steps, requests, strict=True)
    ]
    slowest = max(range(len(objectives)), key=lambda index: needed[index][-1], default=None)
    return Forecast(tuple(requests), tuple(seconds), "" if slowest is None else objectives[slowest].name)


def requests_needed(objective: ObjectiveTraffic, step: int, weight: float, bad_promotion: float) -> float:
    """Canary requests until the margin of `step` is ruled out, if all come at `weight` (0 to 1); 0 for an empty margin.

    `bad_promotion`: the allowed chance of ruling out a margin by mistake.
    """
    margin, share = objective.margins[step], objective.bad_share
    if not margin.weights:
        return 0.0
    # A weighted mean of two e-values reaches a threshold if either reaches it divided by its weight.
    compared, tolerated = (math.log(1 / (part * bad_promotion)) for part in (margin.weights[0], margin.weights[-1]))
    counts = []
    if margin.tolerance is not None:
        counts.append(_until_tolerated(share, margin.tolerance, tolerated))
    if margin.ratio is not None:
        counts.append(_until(compared, _ratio_growth(share, margin.ratio, weight)))
    if margin.drop is not None:
        counts.append(_until(compared, _drop_growth(share, margin.drop, weight)))
    return min(counts) / objective.counted_per_request if objective.counted_per_request else math.inf


def _until(threshold: float, growth: float) -> float:
    return threshold / growth if growth > 0 else math.inf


def _until_tolerated(share: float, limit: float, threshold: float) -> float:
    """Counts until a `share` is shown to be below `limit`, by the fastest of the alternatives of `log_below_limit`."""
    counts = [math.inf]
    for alternative, weight in zip(ALTERNATIVES, ALTERNATIVE_WEIGHTS, strict=True):
        of_bad = share * math.log(alternative) if alternative > 0 else (0.0 if share == 0 else -math.inf)
        growth = of_bad + (1 - share) * (math.log1p(-alternative * limit) - math.log1p(-limit))
        if growth > 0:
            counts.append((threshold - math.log(weight)) / growth)
    return min(counts)


def _ratio_growth(share: float, ratio: float, weight: float) -> float:
    """The expected growth per canary request. `others` requests of stable come with it, and both have bad ones."""
    others = (1 - weight) / weight
    return share * ((1 + others) * math.log((ratio + others) / (1 + others)) - math.log(ratio))


def _drop_growth(share: float, drop: float, weight: float) -> float:
    """The expected growth per canary request: the divergence from the nearest point at which the canary is `drop`
    worse, searched on a fine grid."""
    others = (1 - weight) / weight
    low = max(0.0, share - drop)
    nulls = low + (min(share, 1 - drop) - low) * _GRID
    return float((_divergence(share, nulls + drop) + others * _divergence(share, nulls)).min())


def _divergence(share: float, nulls: Floats) -> Floats:
    """The Kullback-Leibler divergence of a Bernoulli share from each of `nulls`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bad = share * np.log(share / nulls) if share > 0 else 0.0
        good = (1 - share) * np.log((1 - share) / (1 - nulls)) if share < 1 else 0.0
        return np.where((nulls > 0) & (nulls < 1), bad + good, np.inf)


def provable(
    objectives: Sequence[ObjectiveTraffic], steps: Sequence[Step], rate: float, bad_promotion: float, within: float
) -> float:
    """How many times as wide all margins must be to be ruled out `within` so many seconds; infinite if none is."""
    for factor in _FACTORS:
        widened = [
            replace(objective, margins=tuple(margin.widened(factor) for margin in objective.margins))
            for objective in objectives
        ]
        if of_run(widened, steps, rate, bad_promotion).total <= within:
            return factor
    return math.inf
