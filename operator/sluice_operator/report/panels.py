"""The figures of a report: weight, requests, and for each objective its shares and its evidence."""

import math
from collections.abc import Callable, Sequence

from sluice_operator.analysis import criteria
from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.api.spec import Objective, OnFail
from sluice_operator.counting.ticks import Tally
from sluice_operator.records.replay import Replay, ReplayedTick
from sluice_operator.report import series
from sluice_operator.report.chart import Chart, Level, Line, Point, draw, elapsed, round_ticks, side_by_side
from sluice_operator.report.markup import Markup, tag

_HALF = 440.0
_LOWEST = -2.0  # decimal logarithm of the smallest e-value that is shown


def weight(replay: Replay, number: int) -> Markup:
    """The live weight and the desired weight."""
    run = replay.record.run
    steps = sorted({step.weight for step in run.steps} | {0, 100})
    labelled = [
        value for index, value in enumerate(steps) if index == 0 or value - steps[index - 1] >= 12 or value == 100
    ]
    chart = _chart(
        replay,
        "Weight of the canary in percent",
        [Line("desired", _desired_weights(replay), steps=True), Line("canary", series.weights(replay), steps=True)],
        (0.0, 120.0),
        labelled,
        lambda value: f"{value:.0f}%",
        end=f"{run.outcome} at {elapsed(series.seconds(replay))}",
    )
    return _figure(draw(chart, number), ("canary", "live weight"), ("desired", "desired weight"))


def requests(replay: Replay, number: int) -> Markup:
    """Requests that both revisions finished per second."""
    lines = [Line("stable", series.rates(replay, _stable)), Line("canary", series.rates(replay, _canary))]
    most = max((value or 0.0 for line in lines for _, value in line.points), default=0.0)
    ticks = round_ticks(0.0, max(most, 1e-3) * 1.1)
    chart = _chart(replay, "Requests per second", lines, (0.0, max(most, 1e-3) * 1.15), ticks, "{:g}".format)
    return _figure(draw(chart, number), ("canary", "canary"), ("stable", "stable"))


def shares(replay: Replay, objective: Objective, number: int) -> Markup:
    """The measure of the objective for both revisions, and its limit. Accuracy: the share of right answers."""
    inverted = objective.accuracy is not None
    lines = [
        Line(style, [(at, value if value is None or not inverted else 1 - value) for at, value in points])
        for style, points in (
            ("stable", series.shares(replay, objective, _stable)),
            ("canary", series.shares(replay, objective, _canary)),
        )
    ]
    limit = criteria.limit(objective)
    levels = []
    if limit is not None:
        value = 1 - limit if inverted else limit
        levels = [Level("limit", value, f"limit {_percent(value)}")]
    values = [value for line in lines for _, value in line.points if value is not None]
    low, high = _range([*values, *(level.value for level in levels)], inverted)
    ticks = round_ticks(low, high)
    chart = _chart(replay, f"{objective.name} over time", lines, (low, high), ticks, _percent, levels=levels)
    return _figure(draw(chart, number), ("canary", "canary"), ("stable", "stable"))


def evidence(replay: Replay, index: int, number: int) -> Markup:
    """E-values against the canary and in its favour, side by side, with the thresholds that they must reach."""
    return side_by_side(_against(replay, index, number), _in_favour(replay, index, number + 1))


def silence(replay: Replay, number: int) -> Markup:
    """Evidence that the canary does not finish its requests; in the watch, that it is worse than the baseline."""
    threshold = replay.thresholds.unpaired
    chart = _evidence(
        replay,
        "Evidence without a simultaneous comparison",
        [Line("worse", series.logs(replay, lambda replayed: replayed.unpaired))],
        [Level("threshold", threshold / series.LOG10, f"{_evalue(threshold)} rolls it back")],
        _first_crossing(replay, lambda replayed: replayed.unpaired, threshold),
        "against",
        width=900.0,
    )
    key = "worse", "finishes less than half of its share of the requests, or is worse than the baseline"
    return _figure(draw(chart, number), key)


def _canary(replayed: ReplayedTick) -> Tally:
    return replayed.tick.canary


def _stable(replayed: ReplayedTick) -> Tally:
    return replayed.tick.stable


def _against(replay: Replay, index: int, number: int) -> Markup:
    thresholds, last = replay.thresholds, replay.ticks[-1].objectives[index]
    lines, levels, keys = list[Line](), list[Level](), list[tuple[str, str]]()
    if last.worse is not None:
        lines.append(Line("worse", series.logs(replay, lambda replayed: replayed.objectives[index].worse or 0.0)))
        threshold = thresholds.of_objective(Family.STABLE)
        label, has_limit = f"worse: {_evalue(threshold)} rolls it back", last.over_limit is not None
        levels.append(Level("threshold", threshold / series.LOG10, label, below=has_limit))
        keys.append(("worse", "worse than stable"))
    if last.over_limit is not None:
        over_limit = series.logs(replay, lambda replayed: replayed.objectives[index].over_limit or 0.0)
        worse_now = series.logs(replay, lambda replayed: replayed.objectives[index].worse_now)
        lines += [Line("over-limit", over_limit), Line("worse-now", worse_now)]
        threshold = thresholds.of_objective(Family.LIMIT)
        levels.append(Level("threshold", threshold / series.LOG10, f"both above {_evalue(threshold)} roll it back"))
        keys += [("over-limit", "over the limit"), ("worse-now", "worse than stable now")]
    chart = _evidence(replay, "Evidence against the canary", lines, levels, _failing_point(replay, index), "against")
    return _figure(draw(chart, number), *keys, heading="Against the canary")


def _failing_point(replay: Replay, index: int) -> tuple[float, float] | None:
    """Where all objectives together made the canary fail: in the chart of the one with the most evidence."""
    failing = next((replayed for replayed in replay.ticks if replayed.has_failed(replay.thresholds)), None)
    if failing is None or failing.unpaired >= replay.thresholds.unpaired:
        return None
    by_objective = [_log_against(finding) for finding in failing.objectives]
    if by_objective[index] < max(by_objective):
        return None
    return series.after(replay, failing), by_objective[index] / series.LOG10


def _log_against(finding: Finding) -> float:
    """The larger log e-value of its two comparisons; 0 for an objective that rolls nothing back."""
    if not finding.objective.does(OnFail.ROLLBACK):
        return 0.0
    return max(finding.worse or 0.0, -math.inf if (limit := finding.against(Family.LIMIT)) is None else limit)


def _in_favour(replay: Replay, index: int, number: int) -> Markup:
    def log_in_favour(replayed: ReplayedTick) -> float:
        return replayed.objectives[index].in_favour(replayed.step)

    threshold = replay.thresholds.non_inferior
    lines = [Line("ruled-out", series.logs(replay, log_in_favour))]
    levels = [Level("threshold-for", threshold / series.LOG10, f"{_evalue(threshold)} passes the step")]
    passed_since = None
    for replayed in replay.ticks:
        passed_since = (passed_since or replayed) if log_in_favour(replayed) >= threshold else None
    crossing = None
    if passed_since is not None:
        crossing = series.after(replay, passed_since), log_in_favour(passed_since) / series.LOG10
    chart = _evidence(replay, "Evidence in favour of the canary", lines, levels, crossing, "ruled-out")
    return _figure(draw(chart, number), ("ruled-out", "the step's margin is ruled out"), heading="In its favour")


def _evidence(
    replay: Replay,
    name: str,
    lines: Sequence[Line],
    levels: Sequence[Level],
    crossing: tuple[float, float] | None,
    crossing_style: str,
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
        crossing_style=crossing_style,
        width=width,
    )


def _chart(
    replay: Replay,
    name: str,
    lines: Sequence[Line],
    span: tuple[float, float],
    ticks: Sequence[float],
    format_tick: Callable[[float], str],
    *,
    levels: Sequence[Level] = (),
    crossing: tuple[float, float] | None = None,
    crossing_style: str = "",
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
        format_tick=format_tick,
        levels=levels,
        marks=series.weight_changes(replay),
        crossing=crossing,
        crossing_style=crossing_style,
        width=width,
        end=end,
    )


def _figure(chart: Markup, *keys: tuple[str, str], heading: str = "") -> Markup:
    """A chart with its legend. `keys`: styles and their meaning."""
    legend = (tag("span", tag("i", class_=style), meaning, class_="key") for style, meaning in keys)
    title = tag("h3", heading) if heading else Markup()
    return tag("figure", title, tag("figcaption", *legend), chart, tabindex="0")  # by key, where it scrolls


def _first_crossing(
    replay: Replay, log_evalue: Callable[[ReplayedTick], float], threshold: float
) -> tuple[float, float] | None:
    """Where the evidence first reached the threshold: seconds, and the decimal logarithm of its e-value."""
    for replayed in replay.ticks:
        if log_evalue(replayed) >= threshold:
            return series.after(replay, replayed), log_evalue(replayed) / series.LOG10
    return None


def _desired_weights(replay: Replay) -> list[Point]:
    """Each desired weight from the time at which it was written: when the weight before it ended."""
    run, points, written = replay.record.run, list[Point](), 0.0
    for live in run.live_weights:
        points.append((max(0.0, written), live.weight))
        until = live.until or replay.record.last_evaluation.at
        written = until.timestamp() - replay.record.started
    if replay.ticks[-1].weight == 100:
        points.append((written, 100))
    return [*points, (series.seconds(replay), points[-1][1])] if points else []


def _range(values: Sequence[float], inverted: bool) -> tuple[float, float]:
    """The lowest and the highest value of a chart that shows `values`; an inverted one ends at 1."""
    if not values:
        return 0.0, 1.0
    if inverted:
        low = min(values)
        return max(0.0, low - max(0.02, 0.35 * (1 - low))), 1.0
    return 0.0, max(max(values) * 1.25, 1e-4)


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _evalue(log: float) -> str:
    return f"{math.exp(log):.3g}"
