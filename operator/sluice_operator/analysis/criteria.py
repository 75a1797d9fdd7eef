"""Objectives as shares of bad requests: what is counted, what is compared, and what each step must rule out. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sluice_operator.api.quantities import Number
from sluice_operator.api.spec import LatencyAt, Objective
from sluice_operator.counting.latency_buckets import bound_below
from sluice_operator.counting.ticks import Tally
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.objective import Criterion, Margin, ObjectiveCounts

TOLERANCE = 0.005  # share of bad requests that is never "worse", where an objective names no limit
_SLOW_REQUESTS = 2  # that stable must have had beyond a quantile before that is known
_WATCH_FACTOR = 4.0  # times as wide, where stable's own latency is the limit: one hour is not the next
_WIDEST = 0.5  # of tolerances and drops at early steps


def criterion(objective: Objective, steps: int) -> Criterion:
    """What is tested of an objective whose run has `steps` steps."""
    margins = tuple(_margins(objective, steps))
    return Criterion(
        compared=is_compared(objective),
        limit=limit(objective),
        compares_judged=objective.latency is None,
        margins=margins,
        watch_margin=margins[-1].widened(_WATCH_FACTOR if without_limit([objective]) else 1.0) if margins else Margin(),
    )


def is_compared(objective: Objective) -> bool:
    """Whether the objective asks for a comparison with stable."""
    return max_ratio(objective) is not None or max_drop(objective) is not None


def limit(objective: Objective) -> float | None:
    """Highest share of bad requests that the objective allows by itself."""
    if objective.error_rate is not None:
        return objective.error_rate.max
    if objective.latency is not None:
        return None if objective.latency.max is None else 1 - objective.latency.quantile
    assert objective.accuracy is not None
    return None if objective.accuracy.min is None else 1 - objective.accuracy.min


def max_ratio(objective: Objective) -> float | None:
    """How many times stable's share of bad requests is "worse"."""
    one = objective.error_rate or objective.latency
    return None if one is None else one.max_ratio


def max_drop(objective: Objective) -> float | None:
    """How much more than stable's share of wrong labels is "worse"."""
    return None if objective.accuracy is None else objective.accuracy.max_drop


def counts(objective: Objective, bounds: Sequence[float], *tallies: Tally) -> ObjectiveCounts:
    """The objective's part of each tally. `bounds`: the latencies at which slow requests are compared, in seconds."""
    if objective.error_rate is not None:
        judged = _arm([(one.finished, one.errors) for one in tallies])
    elif objective.accuracy is not None:
        judged = _arm([(one.labels, one.labels - one.correct) for one in tallies])
    else:
        slow = bound_of(objective)
        judged = _arm([(0, 0) if slow is None else one.slower(slow) for one in tallies])
        return ObjectiveCounts(judged, _arm([[one.slower(bound) for one in tallies] for bound in bounds]))
    return ObjectiveCounts(judged, Counts(judged.requests[None], judged.bad[None]))


def bound_of(objective: Objective) -> float | None:
    """The bound of the histogram that a latency objective is judged at, in seconds; None while it is not known."""
    latency = objective.latency
    assert latency is not None
    if latency.max is not None:
        return bound_below(latency.max.total_seconds())
    return float(latency.threshold) if isinstance(latency, LatencyAt) else None


def without_limit(objectives: Sequence[Objective]) -> tuple[Objective, ...]:
    """Latencies without a limit: what is slow follows from what stable does."""
    return tuple(one for one in objectives if one.latency is not None and one.latency.max is None)


def lacks_threshold(objectives: Sequence[Objective], thresholds: Mapping[str, float]) -> bool:
    """Whether a latency without a limit cannot be judged yet."""
    return any(one.name not in thresholds for one in without_limit(objectives))


def latency_thresholds(objectives: Sequence[Objective], within: Mapping[float, float]) -> dict[str, Number]:
    """By name, the lowest bound (seconds) that a latency without a limit can be judged at: stable's own quantile.

    `within`: stable's requests within each bound. Too few of them say nothing.
    """
    found, requests = {}, within.get(math.inf, 0.0)
    for one in without_limit(objectives):
        assert one.latency is not None
        quantile = one.latency.quantile
        bound = min((at for at, fast in within.items() if fast >= quantile * requests), default=math.inf)
        if bound < math.inf and requests * (1 - quantile) >= _SLOW_REQUESTS:
            found[one.name] = Number.parse(f"{bound:g}")
    return found


def bounds(objectives: Sequence[Objective], compared: Sequence[float]) -> tuple[float, ...]:
    """All bounds of the histogram that are asked for, in seconds: the objectives' own, and those that are compared."""
    judged = (bound_of(one) for one in objectives if one.latency is not None)
    return tuple(sorted({*compared, *(one for one in judged if one is not None)}))


def tolerance(objective: Objective) -> float:
    """The share of bad requests that is never "worse" where no limit says so: what a latency's quantile leaves."""
    return TOLERANCE if objective.latency is None else 1 - objective.latency.quantile


def _arm(counted: Sequence[tuple[int, int]] | Sequence[Sequence[tuple[int, int]]]) -> Counts:
    """Of pairs of (requests, bad ones)."""
    pairs = np.array(counted, float)
    return Counts(pairs[..., 0], pairs[..., 1])


def _margins(objective: Objective, steps: int) -> Iterator[Margin]:
    """Each step before the last must rule out only twice as much as the one after it."""
    ratio, drop, most = max_ratio(objective), max_drop(objective), limit(objective)
    for step in range(steps):
        factor = 2.0 ** (steps - 1 - step)
        tolerated = most if most is not None else tolerance(objective)
        if drop is not None:
            yield Margin(drop=min(drop * factor, _WIDEST))
        else:
            yield Margin(
                ratio=None if ratio is None else ratio * factor,
                tolerance=max(tolerated, min(tolerated * factor, _WIDEST)),
            )
