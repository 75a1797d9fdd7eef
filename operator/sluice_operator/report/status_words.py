"""The status of one ModelDeployment in words: the terminal and the web page show the same ones. Pure."""

from datetime import datetime

from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Phase, TakenCommand
from sluice_operator.api.status import HistoryEntry, ObjectiveVerdict, Status
from sluice_operator.report.words import span

OBJECTIVE = ("objective", "result", "canary", "stable", "limit", "needs")  # what the cells of `objective` are
HISTORY = ("ended", "model", "outcome", "reason", "commands")  # likewise of `history`


def headline(status: Status) -> str:
    """The status in one line, without numbers that change at each evaluation."""
    canary = f", canary {model(status.canary)}" if status.canary else ""
    weight = f", weight {status.weight.desired} (live {status.weight.live})" if status.weight else ""
    verdict = f", {status.verdict.result}" if status.verdict else ""
    return f"{phase_and_step(status)}: stable {model(status.stable)}{canary}{weight}{verdict}"


def phase_and_step(status: Status) -> str:
    """Such as: Stepping, step 2 of 3, paused."""
    run, paused = status.run, ", paused" if status.run is not None and status.run.pause else ""
    if status.phase is Phase.STEPPING and run is not None and run.strategy is not None:
        return f"{status.phase}, {run.strategy}{paused}"
    return f"{status.phase}{paused}"


def phase_since(status: Status, now: datetime) -> str:
    """The same, with how long the phase has lasted."""
    since = f" for {span((now - status.phase_started_at).total_seconds())}" if status.phase_started_at else ""
    return f"{phase_and_step(status)}{since}"


def model(revision: Revision | None) -> str:
    """The model version of a revision, and the revision's name."""
    return f"{revision.model.uri} ({revision.revision})" if revision else "none"


def with_pods(revision: Revision | None) -> str:
    """The same, with the number of its pods that are ready."""
    return f"{model(revision)}{f', {revision.ready_replicas} pods ready' if revision else ''}"


def objective(verdict: ObjectiveVerdict) -> tuple[str, ...]:
    """What the verdict says about one objective."""
    return verdict.name, str(verdict.result), verdict.canary, verdict.stable, verdict.limit, verdict.needs


def command(taken: TakenCommand) -> str:
    """A command of a person, and what became of it."""
    return f"{taken.id} by {taken.by or 'somebody'}: {taken.answer}, {taken.message}"


def history(entry: HistoryEntry) -> tuple[str, ...]:
    """One run that has ended."""
    commands = ", ".join(f"{taken.id.partition('/')[0]} ({taken.by})" for taken in entry.commands)
    return f"{entry.ended_at:%m-%d %H:%M:%S}", entry.model, str(entry.outcome), entry.reason, commands
