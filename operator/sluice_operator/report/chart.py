"""Line charts over the time of a run, as inline SVG. Their colours come from the style sheet of the page."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sluice_operator.report.markup import Markup, tag

Point = tuple[float, float | None]  # seconds since the first traffic of the run, and a value (None: no value)

_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 190.0, 58.0, 24.0, 12.0, 24.0
_TIME_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_LABEL_WIDTH = 62.0  # pixels that one label of the time axis takes
_LINE_WIDTH = 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points. `style`: a class of the style sheet. `steps`: a value holds until the next one."""

    style: str
    points: Sequence[Point]
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line at a value: a limit or a threshold."""

    style: str
    value: float
    label: str
    below: bool = False  # whether its label is below the line


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `low`, `high`: the values at its lower and upper edge. `ticks`: values with a label on the vertical
    axis, which `format_tick` writes. `marks`: seconds at which the weight changed. `crossing`: where evidence reached
    its threshold. `end`: what happened at the end of the run.
    """

    name: str
    lines: Sequence[Line]
    seconds: float
    low: float
    high: float
    ticks: Sequence[float]
    format_tick: Callable[[float], str]
    levels: Sequence[Level] = ()
    marks: Sequence[float] = ()
    crossing: tuple[float, float] | None = None
    crossing_style: str = ""
    width: float = 900.0
    end: str = ""

    @property
    def labels_left(self) -> bool:
        """Whether labels of levels are on the left: where a late crossing leaves room."""
        return self.crossing is not None and self.crossing[0] > self.seconds / 2


def draw(chart: Chart, number: int) -> Markup:
    """The chart as SVG. `number`: another one for each chart of a page."""
    clip = f"clip{number}"
    height = _HEIGHT - _TOP - _BOTTOM + _LINE_WIDTH  # so that a line along the lower edge is not cut
    frame = {"x": _LEFT, "y": _TOP, "width": chart.width - _LEFT - _RIGHT, "height": height}
    paths = [tag("path", class_=f"line {line.style}", d=_path(chart, line)) for line in chart.lines]
    return tag(
        "svg",
        tag("clipPath", tag("rect", **frame), id=clip),
        *_grid(chart),
        *(tag("line", class_="mark", **_upright(chart, at)) for at in chart.marks),
        tag("g", *paths, clip_path=f"url(#{clip})"),
        *_levels(chart),
        *_end(chart),
        *_crossing(chart),
        viewBox=f"0 0 {chart.width:g} {_HEIGHT:g}",
        role="img",
        aria_label=chart.name,
    )


def elapsed(seconds: float) -> str:
    """Seconds as 0:45, 12:00 or 3:20:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def round_ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers between two values, about `most` of them."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * index for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _x(chart: Chart, seconds: float) -> float:
    return _LEFT + (chart.width - _LEFT - _RIGHT) * seconds / chart.seconds


def _y(chart: Chart, value: float) -> float:
    part = (value - chart.low) / (chart.high - chart.low)
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * part


def _upright(chart: Chart, seconds: float) -> dict[str, float]:
    at = _x(chart, seconds)
    return {"x1": at, "x2": at, "y1": _TOP, "y2": _HEIGHT - _BOTTOM}


def _path(chart: Chart, line: Line) -> str:
    """The `d` of a path. The line is interrupted where there is no value. Values far outside of the chart are moved
    near to it, so that the numbers stay short.
    """
    span = chart.high - chart.low
    parts = []
    for has_value, points in groupby(line.points, key=lambda point: point[1] is not None):
        if not has_value:
            continue
        positions = [
            (_x(chart, at), _y(chart, min(max(value, chart.low - span), chart.high + span)))
            for at, value in points
            if value is not None
        ]
        first, *rest = positions
        start = f"M{first[0]:.1f} {first[1]:.1f}"
        segments = (f"H{x:.1f}V{y:.1f}" if line.steps else f"L{x:.1f} {y:.1f}" for x, y in rest)
        parts.append(start + "".join(segments))
    return "".join(parts)


def _grid(chart: Chart) -> Iterator[Markup]:
    left, right = _LEFT, chart.width - _RIGHT
    for value in chart.ticks:
        y = _y(chart, value)
        yield tag("line", class_="grid", x1=left, x2=right, y1=y, y2=y)
        yield tag("text", chart.format_tick(value), class_="axis", x=left - 7, y=y + 4, text_anchor="end")
    most = (right - left) / _LABEL_WIDTH
    step = next((seconds for seconds in _TIME_STEPS if chart.seconds / seconds <= most), _TIME_STEPS[-1])
    for index in range(int(chart.seconds // step) + 1):
        x = _x(chart, index * step)
        yield tag("text", elapsed(index * step), class_="axis", x=x, y=_HEIGHT - 7, text_anchor="middle")


def _levels(chart: Chart) -> Iterator[Markup]:
    for level in chart.levels:
        y = _y(chart, level.value)
        right = chart.width - _RIGHT
        yield tag("line", class_=f"level {level.style}", x1=_LEFT, x2=right, y1=y, y2=y)
        position = {"x": _LEFT + 6} if chart.labels_left else {"x": right - 6, "text_anchor": "end"}
        yield tag("text", level.label, class_=f"label {level.style}", y=y + 14 if level.below else y - 5, **position)


def _end(chart: Chart) -> Iterator[Markup]:
    if chart.end:
        yield tag("line", class_="end", **_upright(chart, chart.seconds))
        yield tag("text", chart.end, class_="label", x=chart.width - _RIGHT - 6, y=_TOP + 12, text_anchor="end")


def _crossing(chart: Chart) -> Iterator[Markup]:
    if chart.crossing is None:
        return
    at, value = chart.crossing
    x, y = _x(chart, at), _y(chart, min(value, chart.high))
    yield tag("circle", class_=f"dot {chart.crossing_style}", cx=x, cy=y, r=4.5)
    late = at > chart.seconds / 2
    anchor = {"x": x - 9 if late else x + 9, "text_anchor": "end" if late else "start"}
    yield tag("text", f"at {elapsed(at)}", class_=f"label {chart.crossing_style}", y=y + 16, **anchor)


def side_by_side(*figures: str) -> Markup:
    """Figures that share a row where there is room."""
    return tag("div", *figures, class_="row")
