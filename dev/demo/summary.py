"""The tables at the end of the demo: requests, steps, times, promises. Pure."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dev.demo.board import Change, Part
from dev.demo.promises import Promise
from dev.demo.tally import VersionTotals


def render(
    totals: Sequence[VersionTotals],
    changes: Sequence[Change],
    parts: Sequence[Part],
    times: Sequence[tuple[str, str]],
    promises: Sequence[Promise],
    now: float,
) -> RenderableType:
    tables = [_requests(totals), _steps(changes, now), _time(parts, times, now)]
    return Group(*tables, Text(), *(_promise(promise) for promise in promises))


def durations(changes: Sequence[Change], end: float) -> list[tuple[str, str, float]]:
    """Part, phase and step, and seconds, of each. Stable is left out: then there is no run."""
    ends = [change.at for change in changes[1:]] + [end]
    return [
        (change.part, change.phase_and_step, until - change.at)
        for change, until in zip(changes, ends, strict=True)
        if change.phase_and_step != "Stable"
    ]


def _requests(totals: Sequence[VersionTotals]) -> Table:
    statuses = sorted({status for total in totals for status, _ in total.statuses})
    table = Table(title="requests by version and status")
    for column in ("version", *statuses, "failed", "predictions", "right", "p50", "p95"):
        table.add_column(column, justify="right")
    for total in totals:
        counts = dict(total.statuses)
        right = "" if total.accuracy is None else f"{total.accuracy:.1%}"
        table.add_row(
            total.version,
            *(str(counts.get(status, 0)) for status in statuses),
            str(total.failed),
            str(total.predictions),
            right,
            f"{total.p50 * 1000:.0f} ms",
            f"{total.p95 * 1000:.0f} ms",
        )
    return table


def _steps(changes: Sequence[Change], now: float) -> Table:
    table = Table("part", "phase and step", title="time of each step")
    table.add_column("seconds", justify="right")
    for part, phase_and_step, seconds in durations(changes, now):
        table.add_row(part, phase_and_step, f"{seconds:.1f}")
    return table


def _time(parts: Sequence[Part], times: Sequence[tuple[str, str]], now: float) -> Table:
    table = Table("part", title="where the time went")
    table.add_column("seconds", justify="right")
    for part in parts:
        table.add_row(part.title, f"{(now if part.ended is None else part.ended) - part.began:.1f}")
    table.add_row("all", f"{now:.1f}", style="bold")
    for name, value in times:
        table.add_row(name, value, style="dim")
    return table


def _promise(promise: Promise) -> Text:
    if promise.kept:
        return Text(f"✓ {promise.text}", style="green")
    return Text(f"✗ {promise.text}: {promise.found}", style="bold red")
