"""How long a run will take whose canary is as good as stable, and what it cannot prove in time. Pure.

From the expected growth of each log e-value per canary request (Wald 1947): evidence reaches its bar after about the
bar divided by that growth. Chance makes a run shorter or longer; a canary that is better than stable is quicker.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sluice_operator.api.quantities import Duration
from sluice_operator.api.spec import Step
from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.limits import ALTERNATIVE_WEIGHTS, ALTERNATIVES
from sluice_operator.evalues.objective import Margin

_GRID = np.arange(1, 200) / 200
_WIDER = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)  # times as wide: margins that are tried when the own one takes too long


@dataclass(frozen=True, slots=True)
class Stream:
    """One objective of a service: stable's share of bad ones, and how many per request are counted (labels: fewer)."""

    name: str
    margins: tuple[Margin, ...]  # one per step
    share: float
    per_request: float = 1.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run may expect at `rate` requests per second. `wider`: how many times as wide all margins would have to be
    for its deadline; 1 if they are fine as they are."""

    rate: float
    forecast: "Forecast"
    deadline: Duration
    wider: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """Canary requests and seconds by step, infinite where evidence does not grow. `slowest`: the objective that is."""

    requests: tuple[float, ...]
    seconds: tuple[float, ...]
    slowest: str = ""

    @property
    def total(self) -> float:
        return sum(self.seconds)


def of_run(streams: Sequence[Stream], steps: Sequence[Step], rate: float, bad_promotion: float) -> Forecast:
    """The forecast of a run on a service that answers `rate` requests per second."""
    needed = [
        [requests_needed(stream, index, step.weight / 100, bad_promotion) for index, step in enumerate(steps)]
        for stream in streams
    ]
    until = [0.0, *(max((one[index] for one in needed), default=0.0) for index in range(len(steps)))]
    more = [
        max(step.min_requests, later - earlier) for step, (earlier, later) in zip(steps, pairwise(until), strict=True)
    ]
    seconds = [
        max(step.min_duration.total_seconds(), requests / (rate * step.weight / 100)) if rate else math.inf
        for step, requests in zip(steps, more, strict=True)
    ]
    slowest = max(range(len(streams)), key=lambda index: needed[index][-1], default=None)
    return Forecast(tuple(more), tuple(seconds), "" if slowest is None else streams[slowest].name)


def requests_needed(stream: Stream, step: int, weight: float, bad_promotion: float) -> float:
    """Canary requests until the margin of `step` is ruled out, all at `weight` (0 to 1). None for an empty margin."""
    margin, share = stream.margins[step], stream.share
    if not margin.weights:
        return 0.0
    compared, tolerated = (math.log(1 / (part * bad_promotion)) for part in (margin.weights[0], margin.weights[-1]))
    counts = []
    if margin.tolerance is not None:
        counts.append(_inside(share, margin.tolerance, tolerated))
    if margin.ratio is not None:
        counts.append(_after(compared, _ratio_growth(share, margin.ratio, weight)))
    if margin.drop is not None:
        counts.append(_after(compared, _drop_growth(share, margin.drop, weight)))
    return min(counts) / stream.per_request if stream.per_request else math.inf


def _after(bar: float, growth: float) -> float:
    return bar / growth if growth > 0 else math.inf


def _inside(share: float, limit: float, bar: float) -> float:
    """The quickest of the alternatives of `log_below_limit`."""
    found = [math.inf]
    for part, weight in zip(ALTERNATIVES, ALTERNATIVE_WEIGHTS, strict=True):
        bad = share * math.log(part) if part > 0 else (0.0 if share == 0 else -math.inf)
        growth = bad + (1 - share) * (math.log1p(-part * limit) - math.log1p(-limit))
        if growth > 0:
            found.append((bar - math.log(weight)) / growth)
    return min(found)


def _ratio_growth(share: float, ratio: float, weight: float) -> float:
    """Per canary request: `others` of stable come with it, and bad ones of both decide."""
    others = (1 - weight) / weight
    return share * ((1 + others) * math.log((ratio + others) / (1 + others)) - math.log(ratio))


def _drop_growth(share: float, drop: float, weight: float) -> float:
    """The divergence from the nearest point at which the canary is `drop` worse, found on a fine grid."""
    others = (1 - weight) / weight
    low = max(0.0, share - drop)
    nulls = low + (min(share, 1 - drop) - low) * _GRID
    return float((_divergence(share, nulls + drop) + others * _divergence(share, nulls)).min())


def _divergence(share: float, nulls: Floats) -> Floats:
    """Kullback and Leibler's, of a Bernoulli share from others."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bad = share * np.log(share / nulls) if share > 0 else 0.0
        good = (1 - share) * np.log((1 - share) / (1 - nulls)) if share < 1 else 0.0
        return np.where((nulls > 0) & (nulls < 1), bad + good, np.inf)


def provable(
    streams: Sequence[Stream], steps: Sequence[Step], rate: float, bad_promotion: float, within: float
) -> float:
    """How many times as wide all margins must be to be ruled out `within` so many seconds; infinite if none is."""
    for factor in _WIDER:
        wider = [
            Stream(one.name, tuple(m.widened(factor) for m in one.margins), one.share, one.per_request)
            for one in streams
        ]
        if of_run(wider, steps, rate, bad_promotion).total <= within:
            return factor
    return math.inf
