"""Draws the demo in the terminal: turns a picture of one moment into something that rich can print. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dev.demo.board import Part, phase_and_step
from dev.demo.status import Status
from dev.demo.tally import VersionTotals

SPARKS = " ▁▂▃▄▅▆▇█"
BAR_WIDTH = 30
COLOURS = {"Pass": "green", "Fail": "red", "Undecided": "yellow"}
PHASES = {
    "Stable": "green",
    "Promoting": "green",
    "Swapping": "green",
    "Watching": "cyan",
    "RollingBack": "red",
    "Stepping": "yellow",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One moment of the demo."""

    now: float
    parts: Sequence[Part]
    status: Status
    rates: dict[str, tuple[int, ...]]  # answered predictions per second, oldest first
    totals: Sequence[VersionTotals]
    failed: int
    notices: Sequence[str]


def render(picture: Picture) -> RenderableType:
    body = Group(
        _parts(picture),
        Text(),
        _rollout(picture.status),
        Text(),
        _verdict(picture.status),
        Text(),
        _traffic(picture),
        *(Text(notice, style="magenta") for notice in picture.notices[-2:]),
    )
    return Panel(body, title="Sluice", subtitle=f"{picture.now:.0f} s", border_style="blue", padding=(0, 1))


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """`share` between 0 and 1 as a bar of fixed width."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return "█" * filled + "░" * (width - filled)


def sparkline(values: Sequence[int], top: int) -> str:
    """One character per value. `top`: the value of the highest character. A value above 0 is always visible."""
    if top <= 0:
        return SPARKS[0] * len(values)
    return "".join(
        SPARKS[0 if value <= 0 else max(1, round(min(value / top, 1) * (len(SPARKS) - 1)))] for value in values
    )


def _parts(picture: Picture) -> RenderableType:
    line = Text()
    for part in picture.parts:
        seconds = (part.ended if part.ended is not None else picture.now) - part.began
        mark, style = ("✓", "green") if part.ended is not None else ("▸", "bold")
        line.append(f"{mark} {part.title} {seconds:.0f} s   ", style=style)
    return line


def _rollout(status: Status) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_row("phase", Text(phase_and_step(status), style=f"bold {PHASES.get(status.phase, 'white')}"))
    table.add_row("stable", _model(status.stable.model.version if status.stable else None))
    table.add_row("canary", _model(status.canary.model.version if status.canary else None))
    desired, live = (status.weight.desired, status.weight.live) if status.weight else (0, 0)
    table.add_row("weight desired", f"{bar(desired / 100)} {desired:3d} %")
    table.add_row("weight live", f"{bar(live / 100)} {live:3d} %")
    table.add_row("", Text(status.message, style="italic"))
    return table


def _model(version: str | None) -> str:
    return f"version {version}" if version else "none"


def _verdict(status: Status) -> RenderableType:
    verdict = status.verdict
    if verdict is None:
        return Text("no verdict in this phase", style="dim")
    table = Table("objective", "result", "canary", "limit", box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("requests", justify="right")
    for objective in verdict.objectives:
        result = Text(objective.result, style=COLOURS.get(objective.result, "white"))
        table.add_row(objective.name, result, objective.canary, objective.limit, str(objective.requests))
    title = Text("verdict  ").append(verdict.result, style=f"bold {COLOURS.get(verdict.result, 'white')}")
    if verdict.message not in status.message:  # which often contains it and is shown above
        title.append(f"  {verdict.message}", style="not bold italic")
    return Group(title, table)


def _traffic(picture: Picture) -> RenderableType:
    latest = {version: counts[-1] if counts else 0 for version, counts in picture.rates.items()}
    top = max((count for counts in picture.rates.values() for count in counts), default=0)
    table = Table.grid(padding=(0, 2))
    for total in picture.totals:
        if not total.predictions:
            continue
        share = latest.get(total.version, 0) / max(sum(latest.values()), 1)
        table.add_row(
            f"version {total.version}",
            bar(share, 20),
            f"{latest.get(total.version, 0):3d}/s",
            sparkline(picture.rates.get(total.version, ()), top),
            f"{total.predictions} answers, {total.accuracy or 0:.0%} right",
        )
    style = "red" if picture.failed else "green"
    failed = Text(f"{picture.failed} requests failed", style=style)
    return Group(Text("predictions through the gateway", style="dim"), table, failed)
