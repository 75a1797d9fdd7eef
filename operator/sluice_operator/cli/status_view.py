"""Draws the status of one ModelDeployment for a terminal. Pure: rich prints what it returns.

rich takes each bare text as markup, with links and colours. So every text here is a `text`, which is none.
"""

from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Result, Status
from sluice_operator.cli.text_table import plain, span

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


def headline(status: Status) -> str:
    """The status in one line, without numbers that change at each evaluation."""
    canary = f", canary {_model(status.canary)}" if status.canary else ""
    weight = f", weight {status.weight.desired} (live {status.weight.live})" if status.weight else ""
    verdict = f", {status.verdict.result}" if status.verdict else ""
    return f"{_phase_and_step(status)}: stable {_model(status.stable)}{canary}{weight}{verdict}"


def bar(percent: int) -> str:
    """A share as a bar of fixed width."""
    filled = round(percent / 100 * _BAR_WIDTH)
    return "█" * filled + "░" * (_BAR_WIDTH - filled)


def _phase_and_step(status: Status) -> str:
    run, paused = status.run, ", paused" if status.run is not None and status.run.pause else ""
    if status.phase is Phase.STEPPING and run is not None and run.strategy is not None:
        return f"{status.phase}, {run.strategy}{paused}"
    return f"{status.phase}{paused}"


def _rollout(status: Status, now: datetime) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    since = f" for {span((now - status.phase_started_at).total_seconds())}" if status.phase_started_at else ""
    table.add_row("phase", text(f"{_phase_and_step(status)}{since}", f"bold {_STYLES.get(status.phase, 'yellow')}"))
    table.add_row("stable", text(f"{_model(status.stable)}{_pods(status.stable)}"))
    if status.canary is not None:
        table.add_row("canary", text(f"{_model(status.canary)}{_pods(status.canary)}"))
    if status.weight is not None:
        table.add_row("weight", f"{bar(status.weight.desired)} {status.weight.desired} % desired")
        table.add_row("", f"{bar(status.weight.live)} {status.weight.live} % live")
    table.add_row("", text(status.message, "italic"))
    return table


def _model(revision: Revision | None) -> str:
    return f"{revision.model.uri} ({revision.revision})" if revision else "none"


def _pods(revision: Revision | None) -> str:
    return f", {revision.ready_replicas} pods ready" if revision else ""


def _verdict(status: Status) -> RenderableType | None:
    verdict = status.verdict
    if verdict is None:
        return None
    table = Table("objective", "result", "canary", "stable", "limit", "needs", box=None, header_style="dim")
    for objective in verdict.objectives:
        result = text(objective.result, _COLOURS[objective.result])
        numbers = map(text, (objective.canary, objective.stable, objective.limit, objective.needs))
        table.add_row(text(objective.name), result, *numbers)
    title = Text("\nverdict  ").append(verdict.result, style=f"bold {_COLOURS[verdict.result]}")
    if verdict.message not in status.message:
        title.append(text(f"  {verdict.message}"))
    forecast = [text(verdict.forecast, "dim")] if verdict.forecast else []
    return Group(title, table, *forecast)


def _commands(status: Status) -> RenderableType | None:
    taken = status.last_command
    if taken is None:
        return None
    by = taken.by or "somebody"
    said = text(f"last command  {taken.id} by {by}: {taken.answer}, {taken.message}", "magenta")
    return Group(Text(), said)


def _history(status: Status) -> RenderableType | None:
    if not status.history:
        return None
    table = Table("ended", "model", "outcome", "reason", "commands", box=None, header_style="dim")
    for entry in status.history[:_HISTORY]:
        commands = ", ".join(f"{taken.id.partition('/')[0]} ({taken.by})" for taken in entry.commands)
        cells = f"{entry.ended_at:%m-%d %H:%M:%S}", entry.model, entry.outcome, entry.reason, commands
        table.add_row(*map(text, cells))
    return Group(Text(), table)
