"""Objectives as shares of bad requests: what is counted, what is compared, and what each step must rule out. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sluice_operator.api.quantities import Number
from sluice_operator.api.spec import LatencyAt, Objective
from sluice_operator.counting.bins import Bins
from sluice_operator.counting.latency_buckets import bound_below
from sluice_operator.counting.ticks import Tally
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.objective import Criterion, Margin, ObjectiveCounts

# Seconds: nobody notices a smaller difference between two latencies, and no two models are equally fast to a fraction
# of a millisecond. An objective with a smaller `max` is about smaller differences.
NOTICED = 0.005
TOLERANCE = 0.005  # share of bad requests that is never "worse", where an objective has no limit
REFUSALS_TOLERANCE = 0.05  # likewise of refusals: how many there are depends more on callers than on the model
_SLOW_REQUESTS = 2  # stable must have had so many requests slower than a quantile, else the quantile is not known
_WATCH_FACTOR = 4.0  # some margins are wider in the watch, because load and callers change by the hour
_WIDEST = 0.5  # largest tolerance or drop of a step before the last


def criterion(objective: Objective, steps: int) -> Criterion:
    """What is tested of an objective in a run of `steps` steps."""
    return Criterion(
        compared=is_compared(objective),
        limit=limit(objective),
        compares_judged=objective.latency is None,
        margins=tuple(_margins(objective, steps)),
        watch_margin=next(_margins(objective, 1)).widened(_watch_factor(objective)),
    )


def is_compared(objective: Objective) -> bool:
    """Whether the objective asks for a comparison with stable."""
    return max_ratio(objective) is not None or max_drop(objective) is not None


def limit(objective: Objective) -> float | None:
    """The highest share of bad requests that the objective allows, whatever stable does; None if it has no limit."""
    if objective.error_rate is not None:
        return objective.error_rate.max
    if objective.latency is not None:
        return None if objective.latency.max is None else 1 - objective.latency.quantile
    if objective.refusals is not None:
        return None
    assert objective.accuracy is not None
    return None if objective.accuracy.min is None else 1 - objective.accuracy.min


def max_ratio(objective: Objective) -> float | None:
    """How many times stable's share of bad requests is "worse"; None if the objective does not say."""
    requests = objective.error_rate or objective.refusals or objective.latency
    return None if requests is None else requests.max_ratio


def max_drop(objective: Objective) -> float | None:
    """How far over stable's share of wrong labels is "worse"; None if the objective does not say."""
    return None if objective.accuracy is None else objective.accuracy.max_drop


def counts(objective: Objective, bounds: Sequence[float], *tallies: Tally) -> ObjectiveCounts:
    """What the objective counts in each tally, which are the last axis of the result.

    `bounds`: the latencies (seconds) at which slow requests are compared.
    """
    judged = _counts([_judged(objective, tally) for tally in tallies])
    if objective.latency is None:
        return ObjectiveCounts(judged, Counts(judged.requests[None], judged.bad[None]))
    return ObjectiveCounts(judged, _counts([[tally.slower(bound) for tally in tallies] for bound in bounds]))


def counts_in_bins(objective: Objective, bounds: Sequence[float], bins: Bins) -> ObjectiveCounts:
    """As `counts`, with the bins as the last axis."""
    judged = Counts(*_judged(objective, bins))
    if objective.latency is None:
        return ObjectiveCounts(judged, Counts(judged.requests[None], judged.bad[None]))
    compared = np.array([bins.slower(bound) for bound in bounds]).reshape(len(bounds), 2, bins.number)
    return ObjectiveCounts(judged, Counts(compared[:, 0], compared[:, 1]))


def _judged(objective: Objective, counted: Tally | Bins) -> tuple[Any, Any]:
    """The requests (or labels) that the objective counts, and the bad ones."""
    if objective.error_rate is not None:
        return counted.finished, counted.errors
    if objective.refusals is not None:
        return counted.finished, counted.refused
    if objective.accuracy is not None:
        return counted.labels, counted.labels - counted.correct
    bound = bound_of(objective)
    return counted.slower(math.nan if bound is None else bound)  # no histogram has that bound


def bound_of(objective: Objective) -> float | None:
    """The bound of the histogram (seconds) over which a request is slow, for a latency objective; None if not known."""
    latency = objective.latency
    assert latency is not None
    if latency.max is not None:
        return bound_below(latency.max.total_seconds())
    return float(latency.threshold) if isinstance(latency, LatencyAt) else None


def without_limit(objectives: Sequence[Objective]) -> tuple[Objective, ...]:
    """The latency objectives without a limit. For them, stable's latencies decide what is slow."""
    return tuple(
        objective for objective in objectives if objective.latency is not None and objective.latency.max is None
    )


def lacks_threshold(objectives: Sequence[Objective], thresholds: Mapping[str, float]) -> bool:
    """Whether a latency without a limit cannot be judged yet. `thresholds`: the known ones (seconds), by objective."""
    return any(objective.name not in thresholds for objective in without_limit(objectives))


def latency_thresholds(objectives: Sequence[Objective], within: Mapping[float, float]) -> dict[str, Number]:
    """By latency objective without a limit, the lowest bound (seconds) that has stable's own quantile within it.

    `within`: stable's requests within each bound. An objective for which there are too few requests is left out. No
    threshold is below NOTICED.
    """
    thresholds, requests = dict[str, Number](), within.get(math.inf, 0.0)
    for objective in without_limit(objectives):
        assert objective.latency is not None
        quantile = objective.latency.quantile
        slow_enough = (bound for bound, fast in within.items() if fast >= quantile * requests and bound >= NOTICED)
        bound = min(slow_enough, default=math.inf)
        if bound < math.inf and requests * (1 - quantile) >= _SLOW_REQUESTS:
            thresholds[objective.name] = Number.parse(f"{bound:g}")
    return thresholds


def least_compared(objectives: Sequence[Objective]) -> float:
    """The lowest latency bound (seconds) at which revisions are compared."""
    judged = (bound_of(objective) for objective in objectives if objective.latency is not None)
    return min((NOTICED, *(bound for bound in judged if bound is not None)))


def bounds(objectives: Sequence[Objective], compared: Sequence[float]) -> tuple[float, ...]:
    """All bounds of the histogram that are needed (seconds): those of the objectives, and those that are `compared`."""
    judged = (bound_of(objective) for objective in objectives if objective.latency is not None)
    return tuple(sorted({*compared, *(bound for bound in judged if bound is not None)}))


def tolerance(objective: Objective) -> float:
    """The share of bad requests that is never "worse", for an objective without a limit.

    A latency tolerates the share that its quantile leaves.
    """
    if objective.refusals is not None:
        return REFUSALS_TOLERANCE
    return TOLERANCE if objective.latency is None else 1 - objective.latency.quantile


def _watch_factor(objective: Objective) -> float:
    """How many times as wide the margin is in the watch, where nothing is compared at the same time."""
    return _WATCH_FACTOR if objective.refusals is not None or without_limit([objective]) else 1.0


def _counts(counted: Sequence[tuple[int, int]] | Sequence[Sequence[tuple[int, int]]]) -> Counts:
    """From pairs of (requests, bad ones)."""
    pairs = np.array(counted, float)
    return Counts(pairs[..., 0], pairs[..., 1])


def _margins(objective: Objective, steps: int) -> Iterator[Margin]:
    """The margin of each step: twice as wide as that of the next step, and the objective's own in the last step."""
    ratio, drop, own_limit = max_ratio(objective), max_drop(objective), limit(objective)
    tolerated = tolerance(objective) if own_limit is None else own_limit
    for step in range(steps):
        factor = 2.0 ** (steps - 1 - step)
        if drop is not None:
            yield Margin(drop=min(drop * factor, _WIDEST))
        else:
            yield Margin(
                ratio=None if ratio is None else ratio * factor,
                tolerance=max(tolerated, min(tolerated * factor, _WIDEST)),
            )
