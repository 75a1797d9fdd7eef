"""Draws the status of one ModelDeployment for a terminal. Pure: rich prints what it returns.

rich takes each bare text as markup, with links and colours. So every text here is a `text`, which is none.
"""

from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from sluice_operator.api.run import Phase
from sluice_operator.api.status import Result, Status
from sluice_operator.report import status_words
from sluice_operator.report.words import plain

_BAR_WIDTH = 30
_COLOURS = {Result.PASS: "green", Result.FAIL: "red", Result.UNDECIDED: "yellow"}
_STYLES = {Phase.STABLE: "green", Phase.ROLLING_BACK: "red", Phase.FAILOVER: "red", Phase.WATCHING: "cyan"}
_HISTORY = 3  # the newest runs that are shown


def render(title: str, status: Status, now: datetime) -> RenderableType:
    """All that a person wants to know at a glance. `title`: the object's name."""
    parts = [_rollout(status, now), _verdict(status), _commands(status), _history(status)]
    return Panel(Group(*(part for part in parts if part is not None)), title=text(title), border_style="blue")


def text(words: str, style: str = "") -> Text:
    """Words of whomever, exactly as they are."""
    return Text(plain(words), style)


def bar(percent: int) -> str:
    """A share as a bar of fixed width."""
    filled = round(percent / 100 * _BAR_WIDTH)
    return "█" * filled + "░" * (_BAR_WIDTH - filled)


def _rollout(status: Status, now: datetime) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    style = f"bold {_STYLES.get(status.phase, 'yellow')}"
    table.add_row("phase", text(status_words.phase_since(status, now), style))
    table.add_row("stable", text(status_words.with_pods(status.stable)))
    if status.canary is not None:
        table.add_row("canary", text(status_words.with_pods(status.canary)))
    if status.weight is not None:
        table.add_row("weight", f"{bar(status.weight.desired)} {status.weight.desired} % desired")
        table.add_row("", f"{bar(status.weight.live)} {status.weight.live} % live")
    table.add_row("", text(status.message, "italic"))
    return table


def _verdict(status: Status) -> RenderableType | None:
    verdict = status.verdict
    if verdict is None:
        return None
    table = Table(*status_words.OBJECTIVE, box=None, header_style="dim")
    for objective in verdict.objectives:
        name, result, *numbers = status_words.objective(objective)
        table.add_row(text(name), text(result, _COLOURS[objective.result]), *map(text, numbers))
    title = Text("\nverdict  ").append(verdict.result, style=f"bold {_COLOURS[verdict.result]}")
    if verdict.message not in status.message:
        title.append(text(f"  {verdict.message}"))
    forecast = [text(verdict.forecast, "dim")] if verdict.forecast else []
    return Group(title, table, *forecast)


def _commands(status: Status) -> RenderableType | None:
    taken = status.last_command
    if taken is None:
        return None
    return Group(Text(), text(f"last command  {status_words.command(taken)}", "magenta"))


def _history(status: Status) -> RenderableType | None:
    if not status.history:
        return None
    *short, commands = status_words.HISTORY
    table = Table(*(Column(name, no_wrap=True) for name in short), Column(commands, overflow="fold"), box=None)
    table.header_style = "dim"
    for entry in status.history[:_HISTORY]:
        table.add_row(*map(text, status_words.history(entry)))
    return Group(Text(), table)
