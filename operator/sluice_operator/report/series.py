"""What the charts of a run are drawn through: numbers over time, smoothed and thinned."""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from sluice_operator.analysis import criteria
from sluice_operator.api.spec import Objective
from sluice_operator.counting.ticks import Tally
from sluice_operator.records.replay import Moment, Replay
from sluice_operator.records.run_record import past_of
from sluice_operator.report.chart import Point

LEAST_COUNTED, _PARTS = 400, 12  # a share is told of so many requests or labels, or of such a part of all
_FEW = 20  # before so many, none is told
_SHARE_WINDOWS, _SHARE_TICKS = 6, 12  # parts of the run's time, of which one is told at most, or so many ticks
_RATE_TICKS, _RATE_WINDOWS = 3, 80
_MOST_POINTS = 450
LOG10 = math.log(10)


def seconds(again: Replay) -> float:
    """Length of what is recorded."""
    return again.moments[-1].tick.end - again.record.began


def after(again: Replay, moment: Moment) -> float:
    """Seconds of the run at the end of a tick."""
    return moment.tick.end - again.record.began


def weights(again: Replay) -> list[Point]:
    """The live weight, none while it changed."""
    began, last = again.record.began, again.moments[-1].weight
    points: list[Point] = [(one.tick.start - began, one.weight) for one in again.moments]
    return [*points, (seconds(again), last)]


def weight_changes(again: Replay) -> list[float]:
    """When another weight was seen live first."""
    seen = [(one.tick.start - again.record.began, one.weight) for one in again.moments if one.weight is not None]
    return [at for (_, before), (at, weight) in pairwise(seen) if weight != before]


def rates(again: Replay, arm: Callable[[Moment], Tally]) -> list[Point]:
    """Requests finished per second, over a few ticks."""
    total = list(accumulate((arm(one).finished for one in again.moments), initial=0))
    ticks = max(_RATE_TICKS, len(again.moments) // _RATE_WINDOWS)
    spans = [(max(0, end - ticks), end) for end in range(1, len(total))]
    return _thinned(
        again, [(total[end] - total[begin]) / ((end - begin) * again.record.tick_seconds) for begin, end in spans]
    )


def shares(again: Replay, objective: Objective, arm: Callable[[Moment], Tally]) -> list[Point]:
    """Bad ones among the last ones that were counted; none before there are enough of them."""
    bounds = past_of(again.record).bounds
    counted = criteria.counts(objective, bounds, *(arm(one) for one in again.moments)).judged
    bad, requests = (list(accumulate(each.tolist(), initial=0.0)) for each in (counted.bad, counted.requests))
    longest, least = max(_SHARE_TICKS, len(again.moments) // _SHARE_WINDOWS), max(LEAST_COUNTED, requests[-1] / _PARTS)
    begin = 0
    found: list[float | None] = []
    for end in range(1, len(requests)):
        while end - begin > longest or requests[end] - requests[begin + 1] >= least:
            begin += 1
        whole = requests[end] - requests[begin]
        found.append((bad[end] - bad[begin]) / whole if whole >= min(_FEW, requests[-1]) and whole else None)
    return _thinned(again, found)


def logs(again: Replay, value: Callable[[Moment], float]) -> list[Point]:
    """Decimal logarithms of e-values, whose own logarithm `value` gives. They begin at 1."""
    points = _thinned(again, [value(one) / LOG10 for one in again.moments])
    return [(0.0, 0.0), *points]


def first(again: Replay, reached: Callable[[Moment], bool]) -> float | None:
    """Seconds of the run when something was reached first."""
    return next((after(again, one) for one in again.moments if reached(one)), None)


def _thinned(again: Replay, values: Sequence[float | None]) -> list[Point]:
    """Of so many ticks in a row, the last."""
    every = math.ceil(len(values) / _MOST_POINTS)
    points = [(after(again, one), value) for one, value in zip(again.moments, values, strict=True)]
    return points[::-1][::every][::-1]
