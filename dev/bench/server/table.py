"""What was measured as two tables in markdown; each figure beside what the constant reply had in the same seconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from dev.bench.server.wrk import Load

_MS, _US = 1e3, 1e6
_COLUMNS = 12
_LONGEST = 200  # characters of a reason


@dataclass(frozen=True, slots=True)
class Point:
    """One kind of load on one server. `pairs`: each measurement of it, with that of the floor just before."""

    server: str
    model: str
    rows: int
    connections: int
    pairs: Sequence[tuple[Load, Load]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A server that was not measured, or not to the end. `text`: why, in any number of lines."""

    server: str
    model: str
    text: str


@dataclass(frozen=True, slots=True)
class Start:
    """How a server came up: seconds to its first answer, and bytes in memory after all measurements."""

    server: str
    model: str
    ready: float
    memory: int


def loads(points: Iterable[Point | Failure]) -> str:
    """Medians over the pairs; ratios are medians of ratios, so that a machine that slows down hurts both sides."""
    lines = [
        "| server | model | rows | connections | req/s | share of floor | p50 ms | p50 ratio | p99 ms | p99 ratio "
        "| CPU us/request | floor's CPU us |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *(_failure(each) if isinstance(each, Failure) else _row(each) for each in points)])


def _failure(failure: Failure) -> str:
    """The last line of the reason, which names the error of a traceback; a row has one line."""
    reason = failure.text.strip().splitlines()[-1].replace("|", "/").strip()[:_LONGEST]
    cells = [failure.server, failure.model, f"not measured: {reason}"]
    return f"| {' | '.join([*cells, *[''] * (_COLUMNS - len(cells))])} |"


def _row(point: Point) -> str:
    floors, own = zip(*point.pairs, strict=True)
    share = median(each.rate / floor.rate for floor, each in point.pairs)
    p50 = median(each.p50 / floor.p50 for floor, each in point.pairs)
    p99 = median(each.p99 / floor.p99 for floor, each in point.pairs)
    cells = [
        *(point.server, point.model, str(point.rows), str(point.connections)),
        *(f"{median(each.rate for each in own):,.0f}", f"{share:.1%}"),
        *(f"{_MS * median(each.p50 for each in own):.2f}", f"{p50:.2f}"),
        *(f"{_MS * median(each.p99 for each in own):.2f}", f"{p99:.2f}"),
        *(f"{_US * median(each.cpu for each in side):.0f}" for side in (own, floors)),
    ]
    return f"| {' | '.join(cells)} |"


def starts(found: Iterable[Start]) -> str:
    """Ready time and memory."""
    lines = ["| server | model | ready s | RSS MB |", "| --- | --- | --- | --- |"]
    rows = (f"| {each.server} | {each.model} | {each.ready:.2f} | {each.memory / 2**20:.0f} |" for each in found)
    return "\n".join([*lines, *rows])
