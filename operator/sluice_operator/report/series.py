"""The points of the charts: numbers of a run over time, smoothed, and thinned to a few hundred."""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from sluice_operator.analysis import criteria
from sluice_operator.api.spec import Objective
from sluice_operator.counting.ticks import Tally
from sluice_operator.records.replay import Replay, ReplayedTick
from sluice_operator.records.run_record import baseline_of
from sluice_operator.report.chart import Point

# A share is that of the last requests or labels: of at least 400, or of a twelfth of all if that is more.
LEAST_COUNTED, _PARTS = 400, 12
# Its window is not longer than a sixth of the run, or 12 ticks if that is more.
_SHARE_WINDOWS, _SHARE_TICKS = 6, 12
_FEW = 20  # requests or labels before which there is no share
# A rate is that of the last 3 ticks, or of an eightieth of the run if that is more.
_RATE_TICKS, _RATE_WINDOWS = 3, 80
_MOST_POINTS = 450  # of a line
LOG10 = math.log(10)


def seconds(replay: Replay) -> float:
    """Seconds from the first traffic to the end of the last tick."""
    return replay.ticks[-1].tick.end - replay.record.started


def after(replay: Replay, replayed: ReplayedTick) -> float:
    """Seconds from the first traffic to the end of a tick."""
    return replayed.tick.end - replay.record.started


def weights(replay: Replay) -> list[Point]:
    """The live weight; None while it changed."""
    began, last = replay.record.started, replay.ticks[-1].weight
    points: list[Point] = [(replayed.tick.start - began, replayed.weight) for replayed in replay.ticks]
    return [*points, (seconds(replay), last)]


def weight_changes(replay: Replay) -> list[float]:
    """Seconds at which a new weight was first seen live."""
    live = [(at, weight) for at, weight in weights(replay)[:-1] if weight is not None]
    return [at for (_, before), (at, weight) in pairwise(live) if weight != before]


def rates(replay: Replay, tally_of: Callable[[ReplayedTick], Tally]) -> list[Point]:
    """Requests that one revision finished per second. `tally_of`: its tally of a tick."""
    total = list(accumulate((tally_of(replayed).finished for replayed in replay.ticks), initial=0))
    ticks = max(_RATE_TICKS, len(replay.ticks) // _RATE_WINDOWS)
    spans = [(max(0, end - ticks), end) for end in range(1, len(total))]
    return _thinned(
        replay, [(total[end] - total[begin]) / ((end - begin) * replay.record.tick_seconds) for begin, end in spans]
    )


def shares(replay: Replay, objective: Objective, tally_of: Callable[[ReplayedTick], Tally]) -> list[Point]:
    """The share of bad ones among the last requests or labels of one revision; None before there are enough of them."""
    bounds = baseline_of(replay.record).bounds
    counted = criteria.counts(objective, bounds, *(tally_of(replayed) for replayed in replay.ticks)).judged
    bad, requests = (list(accumulate(column.tolist(), initial=0.0)) for column in (counted.bad, counted.requests))
    longest, least = max(_SHARE_TICKS, len(replay.ticks) // _SHARE_WINDOWS), max(LEAST_COUNTED, requests[-1] / _PARTS)
    begin = 0
    values: list[float | None] = []
    for end in range(1, len(requests)):
        while end - begin > longest or requests[end] - requests[begin + 1] >= least:
            begin += 1
        in_window = requests[end] - requests[begin]
        enough = in_window >= min(_FEW, requests[-1]) and in_window
        values.append((bad[end] - bad[begin]) / in_window if enough else None)
    return _thinned(replay, values)


def logs(replay: Replay, log_evalue: Callable[[ReplayedTick], float]) -> list[Point]:
    """Decimal logarithms of e-values. `log_evalue`: the natural logarithm at a tick. An e-value begins at 1."""
    points = _thinned(replay, [log_evalue(replayed) / LOG10 for replayed in replay.ticks])
    return [(0.0, 0.0), *points]


def _thinned(replay: Replay, values: Sequence[float | None]) -> list[Point]:
    """One value per tick as points: all of them, or every n-th one, and always the last."""
    every = math.ceil(len(values) / _MOST_POINTS)
    points = [(after(replay, replayed), value) for replayed, value in zip(replay.ticks, values, strict=True)]
    return points[::-1][::every][::-1]
