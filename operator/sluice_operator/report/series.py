"""What the charts of a run are drawn through: numbers over time, smoothed and thinned."""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from sluice_operator.analysis import criteria
from sluice_operator.api.spec import Objective
from sluice_operator.counting.ticks import Tally
from sluice_operator.records.replay import Replay, ReplayedTick
from sluice_operator.records.run_record import baseline_of
from sluice_operator.report.chart import Point

LEAST_COUNTED, _PARTS = 400, 12  # a share is told of so many requests or labels, or of such a part of all
_FEW = 20  # before so many, none is told
_SHARE_WINDOWS, _SHARE_TICKS = 6, 12  # parts of the run's time, of which one is told at most, or so many ticks
_RATE_TICKS, _RATE_WINDOWS = 3, 80
_MOST_POINTS = 450
LOG10 = math.log(10)


def seconds(replay: Replay) -> float:
    """Length of what is recorded."""
    return replay.ticks[-1].tick.end - replay.record.started


def after(replay: Replay, moment: ReplayedTick) -> float:
    """Seconds of the run at the end of a tick."""
    return moment.tick.end - replay.record.started


def weights(replay: Replay) -> list[Point]:
    """The live weight, none while it changed."""
    began, last = replay.record.started, replay.ticks[-1].weight
    points: list[Point] = [(one.tick.start - began, one.weight) for one in replay.ticks]
    return [*points, (seconds(replay), last)]


def weight_changes(replay: Replay) -> list[float]:
    """When another weight was seen live first."""
    seen = [(one.tick.start - replay.record.started, one.weight) for one in replay.ticks if one.weight is not None]
    return [at for (_, before), (at, weight) in pairwise(seen) if weight != before]


def rates(replay: Replay, arm: Callable[[ReplayedTick], Tally]) -> list[Point]:
    """Requests finished per second, over a few ticks."""
    total = list(accumulate((arm(one).finished for one in replay.ticks), initial=0))
    ticks = max(_RATE_TICKS, len(replay.ticks) // _RATE_WINDOWS)
    spans = [(max(0, end - ticks), end) for end in range(1, len(total))]
    return _thinned(
        replay, [(total[end] - total[begin]) / ((end - begin) * replay.record.tick_seconds) for begin, end in spans]
    )


def shares(replay: Replay, objective: Objective, arm: Callable[[ReplayedTick], Tally]) -> list[Point]:
    """Bad ones among the last ones that were counted; none before there are enough of them."""
    bounds = baseline_of(replay.record).bounds
    counted = criteria.counts(objective, bounds, *(arm(one) for one in replay.ticks)).judged
    bad, requests = (list(accumulate(each.tolist(), initial=0.0)) for each in (counted.bad, counted.requests))
    longest, least = max(_SHARE_TICKS, len(replay.ticks) // _SHARE_WINDOWS), max(LEAST_COUNTED, requests[-1] / _PARTS)
    begin = 0
    found: list[float | None] = []
    for end in range(1, len(requests)):
        while end - begin > longest or requests[end] - requests[begin + 1] >= least:
            begin += 1
        whole = requests[end] - requests[begin]
        found.append((bad[end] - bad[begin]) / whole if whole >= min(_FEW, requests[-1]) and whole else None)
    return _thinned(replay, found)


def logs(replay: Replay, value: Callable[[ReplayedTick], float]) -> list[Point]:
    """Decimal logarithms of e-values, whose own logarithm `value` gives. They begin at 1."""
    points = _thinned(replay, [value(one) / LOG10 for one in replay.ticks])
    return [(0.0, 0.0), *points]


def _thinned(replay: Replay, values: Sequence[float | None]) -> list[Point]:
    """Of so many ticks in a row, the last."""
    every = math.ceil(len(values) / _MOST_POINTS)
    points = [(after(replay, one), value) for one, value in zip(replay.ticks, values, strict=True)]
    return points[::-1][::every][::-1]
