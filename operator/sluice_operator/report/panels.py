"""The figures of a report: weight, requests, and for each objective its shares and its evidence."""

import math
from collections.abc import Callable, Sequence

from sluice_operator.analysis import criteria
from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.api.spec import Objective
from sluice_operator.counting.ticks import Tally
from sluice_operator.records.replay import Replay, ReplayedTick
from sluice_operator.report import series
from sluice_operator.report.chart import Chart, Level, Line, Point, drawn, elapsed, round_ticks, side_by_side
from sluice_operator.report.markup import Markup, tag

_HALF = 440.0
_LOWEST = -2.0  # decimal logarithm of the smallest e-value that is shown


def weight(replay: Replay, number: int) -> Markup:
    """The live weight, and the one that was asked for."""
    run = replay.record.run
    steps = sorted({step.weight for step in run.steps} | {0, 100})
    shown = [value for index, value in enumerate(steps) if index == 0 or value - steps[index - 1] >= 12 or value == 100]
    chart = _chart(
        replay,
        "Weight of the canary in percent",
        [Line("asked", _asked(replay), steps=True), Line("canary", series.weights(replay), steps=True)],
        (0.0, 120.0),
        shown,
        lambda value: f"{value:.0f}%",
        end=f"{run.outcome} at {elapsed(series.seconds(replay))}",
    )
    return _figure(drawn(chart, number), ("canary", "seen live in the gateway"), ("asked", "asked for"))


def requests(replay: Replay, number: int) -> Markup:
    """What both arms finished per second."""
    lines = [Line("stable", series.rates(replay, stable)), Line("canary", series.rates(replay, canary))]
    most = max((value or 0.0 for line in lines for _, value in line.points), default=0.0)
    ticks = round_ticks(0.0, max(most, 1e-3) * 1.1)
    chart = _chart(replay, "Requests per second", lines, (0.0, max(most, 1e-3) * 1.15), ticks, "{:g}".format)
    return _figure(drawn(chart, number), ("canary", "canary"), ("stable", "stable"))


def shares(replay: Replay, objective: Objective, number: int) -> Markup:
    """The objective's own measure, in both arms, beside its limit."""
    good = objective.accuracy is not None
    lines = [
        Line(look, [(at, value if value is None or not good else 1 - value) for at, value in points])
        for look, points in (
            ("stable", series.shares(replay, objective, stable)),
            ("canary", series.shares(replay, objective, canary)),
        )
    ]
    limit = criteria.limit(objective)
    levels = []
    if limit is not None:
        levels = [Level("limit", 1 - limit if good else limit, f"limit {_percent(1 - limit if good else limit)}")]
    values = [value for line in lines for _, value in line.points if value is not None]
    low, high = _range([*values, *(level.value for level in levels)], good)
    ticks = round_ticks(low, high)
    chart = _chart(replay, f"{objective.name} over time", lines, (low, high), ticks, _percent, levels=levels)
    return _figure(drawn(chart, number), ("canary", "canary"), ("stable", "stable"))


def evidence(replay: Replay, index: int, number: int) -> Markup:
    """E-values against the canary and in its favour, side by side, with what they must reach."""
    return side_by_side(_against(replay, index, number), _in_favour(replay, index, number + 1))


def silence(replay: Replay, number: int) -> Markup:
    """Evidence that the canary does not finish what it is sent, and then that it is worse than stable's past."""
    chart = _evidence(
        replay,
        "Evidence without another arm",
        [Line("worse", series.logs(replay, lambda one: one.unpaired))],
        [
            Level(
                "bar", replay.thresholds.unpaired / series.LOG10, f"{_evalue(replay.thresholds.unpaired)} rolls it back"
            )
        ],
        _at(replay, lambda one: one.unpaired >= replay.thresholds.unpaired, lambda one: one.unpaired),
        "against",
        width=900.0,
    )
    key = "worse", "finishes less than half of its share, or is worse alone than stable was"
    return _figure(drawn(chart, number), key)


def canary(moment: ReplayedTick) -> Tally:
    return moment.tick.canary


def stable(moment: ReplayedTick) -> Tally:
    return moment.tick.stable


def _against(replay: Replay, index: int, number: int) -> Markup:
    thresholds, last = replay.thresholds, replay.ticks[-1].objectives[index]
    lines, levels, keys = list[Line](), list[Level](), list[tuple[str, str]]()
    if last.worse is not None:
        lines.append(Line("worse", series.logs(replay, lambda one: one.objectives[index].worse or 0.0)))
        bar = thresholds.comparison + math.log(max(1, thresholds.compared))
        both = last.over_limit is not None
        levels.append(Level("bar", bar / series.LOG10, f"worse: {_evalue(bar)} rolls it back", below=both))
        keys.append(("worse", "worse than stable"))
    if last.over_limit is not None:
        lines.append(Line("beyond", series.logs(replay, lambda one: one.objectives[index].over_limit or 0.0)))
        lines.append(Line("kept", series.logs(replay, lambda one: one.objectives[index].worse_now)))
        bar = thresholds.limits + math.log(max(1, thresholds.limited))
        levels.append(Level("bar", bar / series.LOG10, f"both above {_evalue(bar)} roll it back"))
        keys += [("beyond", "over the limit"), ("kept", "worse than stable now")]
    chart = _evidence(replay, "Evidence against the canary", lines, levels, _blamed(replay, index), "against")
    return _figure(drawn(chart, number), *keys, heading="Against the canary")


def _blamed(replay: Replay, index: int) -> tuple[float, float] | None:
    """Where all objectives together made it fail, in the chart of the one that did most."""
    found = next((one for one in replay.ticks if one.failing(replay.thresholds)), None)
    if found is None or found.unpaired >= replay.thresholds.unpaired:
        return None
    by_objective = [_blame(one) for one in found.objectives]
    if by_objective[index] < max(by_objective):
        return None
    return series.after(replay, found), by_objective[index] / series.LOG10


def _blame(finding: Finding) -> float:
    if finding.objective.dry_run:
        return 0.0
    return max(finding.worse or 0.0, -math.inf if (limit := finding.against(Family.LIMIT)) is None else limit)


def _in_favour(replay: Replay, index: int, number: int) -> Markup:
    bar = replay.thresholds.non_inferior
    lines = [Line("cleared", series.logs(replay, lambda one: one.objectives[index].non_inferior[one.step]))]
    levels = [Level("bar-for", bar / series.LOG10, f"{_evalue(bar)} passes the step")]
    since = None
    for one in replay.ticks:
        passed = one.objectives[index].non_inferior[one.step] >= bar
        since = (since or one) if passed else None
    crossing = None
    if since is not None:
        crossing = series.after(replay, since), since.objectives[index].non_inferior[since.step] / series.LOG10
    chart = _evidence(replay, "Evidence in favour of the canary", lines, levels, crossing, "cleared")
    return _figure(drawn(chart, number), ("cleared", "the step's margin is ruled out"), heading="In its favour")


def _evidence(
    replay: Replay,
    name: str,
    lines: Sequence[Line],
    levels: Sequence[Level],
    crossing: tuple[float, float] | None,
    look: str,
    width: float = _HALF,
) -> Chart:
    high = max((level.value for level in levels), default=1.0) + 0.9
    return _chart(
        replay,
        name,
        lines,
        (_LOWEST, high),
        [float(decade) for decade in range(int(_LOWEST), int(high) + 1)],
        lambda decade: f"{10**decade:,g}",
        levels=levels,
        crossing=crossing,
        crossing_look=look,
        width=width,
    )


def _chart(
    replay: Replay,
    name: str,
    lines: Sequence[Line],
    span: tuple[float, float],
    ticks: Sequence[float],
    written: Callable[[float], str],
    *,
    levels: Sequence[Level] = (),
    crossing: tuple[float, float] | None = None,
    crossing_look: str = "",
    width: float = 900.0,
    end: str = "",
) -> Chart:
    return Chart(
        name=name,
        lines=lines,
        seconds=series.seconds(replay),
        low=span[0],
        high=span[1],
        ticks=ticks,
        written=written,
        levels=levels,
        marks=series.weight_changes(replay),
        crossing=crossing,
        crossing_look=crossing_look,
        width=width,
        end=end,
    )


def _figure(chart: Markup, *keys: tuple[str, str], heading: str = "") -> Markup:
    legend = (tag("span", tag("i", class_=look), words, class_="key") for look, words in keys)
    above = tag("h3", heading) if heading else Markup()
    return tag("figure", above, tag("figcaption", *legend), chart)


def _at(
    replay: Replay, reached: Callable[[ReplayedTick], bool], value: Callable[[ReplayedTick], float]
) -> tuple[float, float] | None:
    found = next((one for one in replay.ticks if reached(one)), None)
    return None if found is None else (series.after(replay, found), value(found) / series.LOG10)


def _asked(replay: Replay) -> list[Point]:
    """From each write on. The first one may have been before the oldest weight that is known."""
    run, points, written = replay.record.run, list[Point](), 0.0
    for one in run.live_weights:
        points.append((max(0.0, written), one.weight))
        written = (
            one.until.timestamp() if one.until else replay.record.last_evaluation.at.timestamp()
        ) - replay.record.started
    if replay.ticks[-1].weight == 100:
        points.append((written, 100))
    return [*points, (series.seconds(replay), points[-1][1])] if points else []


def _range(values: Sequence[float], good: bool) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    if good:
        low = min(values)
        return max(0.0, low - max(0.02, 0.35 * (1 - low))), 1.0
    return 0.0, max(max(values) * 1.25, 1e-4)


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _evalue(log: float) -> str:
    return f"{math.exp(log):.3g}"
