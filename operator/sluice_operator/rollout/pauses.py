"""Pauses of a run: how one begins and ends, and how it is told. Pure.

A pause is part of the run and not a phase of its own: the canary keeps its weight, its pods and its judgement. What a
paused run does not do is go further.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Pause, Phase, Run
from sluice_operator.api.status import Status

BY_COMMAND = "PausedByCommand"
BY_STEP = "PausedByStep"
BY_OBJECTIVE = "PausedByObjective"
SUSPENDED = "Suspended"
STATUS_LOST = "PausedByLostStatus"


def paused(
    status: Status, run: Run, reason: str, message: str, now: datetime, duration: timedelta | None = None
) -> Run:
    """`run` at a pause. One that goes on already is replaced."""
    pause = Pause(
        reason=reason,
        message=message,
        since=now,
        weight=status.weight.desired if status.weight else 0,
        until=None if duration is None else now + duration,
    )
    return replace(resumed(run, now), pause=pause)


def resumed(run: Run, now: datetime) -> Run:
    """`run` without its pause, whose time is added to the deadline. The pause of a step does not come again."""
    pause = run.pause
    if pause is None:
        return run
    since = max(pause.since, run.started_at)  # a run that began again has a deadline of its own
    seconds = run.paused_seconds + max(0, round((now - since).total_seconds()))
    over = run.step if pause.reason == BY_STEP else run.pause_over
    return replace(run, pause=None, paused_seconds=seconds, pause_over=over)


def kept(run: Run) -> Pause | None:
    """The pause of `run` where it has to begin again from weight 0; that of a step comes again with the step."""
    pause = run.pause
    return None if pause is None or pause.reason == BY_STEP else replace(pause, weight=0)


def of_a_person(run: Run) -> Pause | None:
    """The pause of `run` that only a person or the spec ends, where the canary answers without a weight."""
    return None if run.pause is None or run.pause.until is not None else replace(run.pause, weight=0)


def overruled(run: Run, holding: tuple[str, ...]) -> Run:
    """`run` after a person has gone on in spite of the objectives in `holding`: they decide nothing in it any more."""
    return replace(run, overruled=tuple(dict.fromkeys((*run.overruled, *holding))))


def condition(seen: Observation, status: Status) -> tuple[str, str, str]:
    """State, reason and message of the condition Paused."""
    run, revision = status.run, seen.desired
    if run is not None and run.pause is not None:
        pause = run.pause
        held = f"the canary keeps weight {pause.weight}" if status.weight else "the previous revision stays ready"
        if status.phase is Phase.FAILOVER:
            held = "the canary takes all requests and does not become stable"
        message = f"{pause.message}; since {pause.since:%H:%M:%S} UTC {held}: {_way_on(seen, pause)}"
        return "True", pause.reason, message
    if seen.spec.suspend:
        waits = f"{revision.model.uri} waits" if revision and _waits(status, revision) else "no run starts"
        return "True", SUSPENDED, f"spec.suspend is true: {waits} until it is false"
    return "False", "NotPaused", ""


def _waits(status: Status, revision: Revision) -> bool:
    """Whether only `spec.suspend` keeps `revision` from being tried."""
    known = [role.revision for role in (status.stable, status.canary) if role is not None]
    return revision.revision not in (*known, *(entry.revision for entry in status.rejected))


def _way_on(seen: Observation, pause: Pause) -> str:
    """What ends a pause, for people."""
    if pause.reason == SUSPENDED:
        return "it goes on when spec.suspend is false"
    if pause.until is not None:
        return f"it goes on at {pause.until:%H:%M:%S} UTC, or with {seen.command_line('resume')}"
    return f"{seen.command_line('resume')} goes on, {seen.command_line('abort')} goes back"
