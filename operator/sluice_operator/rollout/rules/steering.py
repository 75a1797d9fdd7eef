"""Rules by which people steer a rollout: commands, pauses, `spec.suspend`, and objectives with `onFail: Hold`."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from sluice_operator.api.command import Asked, Verb, given_at, parse
from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Answer, Phase, TakenCommand
from sluice_operator.api.status import Result, Status
from sluice_operator.rollout import commands, pauses
from sluice_operator.rollout.commands import Accepted, Answered, Refused, with_pause
from sluice_operator.rollout.phases import run_in
from sluice_operator.rollout.roles import full_size
from sluice_operator.rollout.transitions import enter, with_command, write_weight

# The time in a command is that of a person's own clock. What was given in this time and comes back is known by its id.
_CLOCKS_DIFFER = timedelta(minutes=10)
_WAITS_FOR_AN_OPERATOR = timedelta(minutes=10)
_EMERGENCIES = (Verb.ABORT, Verb.PAUSE)


def a_command_is_answered(seen: Observation) -> Status | None:
    """Once, in the first look that sees it: it is carried out, or refused with a sentence that says why."""
    asked = seen.command
    if asked is None or not commands.waits(asked, seen.status):
        return None
    result = _answer(seen, asked)
    taken = TakenCommand(
        id=asked.id,
        by=asked.by,
        at=min(asked.at or seen.now, seen.now),
        answer=Answer.ACCEPTED if isinstance(result, Accepted) else Answer.REFUSED,
        message=result.message,
    )
    return with_command(result.status if isinstance(result, Accepted) else seen.status, taken)


def spec_suspend_pauses_the_run(seen: Observation) -> Status | None:
    """And it goes on without. A first revision serves nobody yet, and a watch moves no traffic: neither pauses."""
    status, run = seen.status, run_in(seen, Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.FAILOVER)
    if run is None or run.returning:
        return None
    if seen.spec.suspend and run.pause is None:
        return with_pause(seen, pauses.paused(status, run, pauses.SUSPENDED, "spec.suspend is true", seen.now))
    if not seen.spec.suspend and run.pause is not None and run.pause.reason == pauses.SUSPENDED:
        return replace(status, run=pauses.resumed(run, seen.now))
    return None


def a_failed_objective_that_holds_pauses_the_run(seen: Observation) -> Status | None:
    """`onFail: Hold`: the failure takes nothing back. A person resumes, promotes or aborts."""
    status, run, verdict = seen.status, run_in(seen, Phase.STEPPING, Phase.PROMOTING, Phase.WATCHING), seen.verdict
    if run is None or verdict is None or not set(verdict.holding).difference(run.overruled):
        return None
    if run.pause is not None and run.pause.reason != pauses.BY_STEP:
        return None
    return with_pause(seen, pauses.paused(status, run, pauses.BY_OBJECTIVE, verdict.message, seen.now))


def a_pause_that_is_over_ends(seen: Observation) -> Status | None:
    """That of a step with a duration, and that of blue-green."""
    run = run_in(seen, Phase.STARTING, Phase.STEPPING)
    if run is None or run.pause is None or run.pause.until is None or seen.now < run.pause.until:
        return None
    return replace(seen.status, run=pauses.resumed(run, seen.now))


def a_paused_run_goes_no_further(seen: Observation) -> Status | None:
    """It keeps its weight. A canary that had lost its pods, and so its weight, gets that back with its pods."""
    status, run = seen.status, run_in(seen, Phase.STARTING, Phase.STEPPING, Phase.WATCHING)
    if run is None or run.pause is None:
        return None
    weight, strategy = run.pause.weight, run.strategy if status.phase is Phase.STEPPING else None
    if status.weight is None or strategy is None or status.weight.desired == weight:
        return status
    if seen.workload(status.canary).ready < strategy.pods(full_size(seen.spec, status)):
        return status
    return write_weight(replace(status, run=replace(run, step_started_at=None)), weight, seen.now)


def a_step_with_a_pause_pauses_once_it_has_passed(seen: Observation) -> Status | None:
    """Before the next step, or before the promotion."""
    status, run, verdict = seen.status, run_in(seen, Phase.STEPPING), seen.verdict
    if run is None or run.step_started_at is None or verdict is None or verdict.result is not Result.PASS:
        return None
    strategy = run.strategy
    if strategy is None or (pause := strategy.step.pause) is None or run.pause_over == run.step:
        return None
    return replace(
        status,
        run=pauses.paused(status, run, pauses.BY_STEP, f"{strategy} has passed", seen.now, pause.duration),
    )


def a_returning_revision_that_answers_takes_over(seen: Observation) -> Status | None:
    """An undo has no steps. If callers get no answer from stable, nothing is proven first, and one pod is enough."""
    status, run = seen.status, run_in(seen, Phase.STARTING, Phase.PROMOTING)
    if run is None or not run.returning:
        return None
    if seen.workload(status.canary).ready > 0 and seen.workload(status.stable).ready == 0:
        return enter(status, Phase.SWAPPING, seen.now)
    if status.phase is Phase.PROMOTING:
        return None
    answers = status.weight is not None and status.weight.verified_at and seen.smoke is not None and seen.smoke.live
    return enter(status, Phase.PROMOTING, seen.now) if answers else status


def a_suspended_object_starts_no_run(seen: Observation) -> Status | None:
    """Also not its first one."""
    return seen.status if seen.spec.suspend and seen.status.phase in (Phase.PENDING, Phase.STABLE) else None


def _answer(seen: Observation, asked: Asked) -> Answered:
    try:
        command = parse(asked.text)
    except ValueError as error:
        return Refused(str(error))
    if old := _outdated(seen.status, asked, command.verb) or _too_late(seen, asked, command.verb):
        return Refused(old)
    return commands.answer(seen, command, asked)


def _outdated(status: Status, asked: Asked, verb: Verb) -> str:
    """Why this is not a command of today; empty if it is one.

    A re-sync, a copy of an object, a backup of it, and an object whose status was lost bring an old command with them.
    An emergency is not refused for a clock.
    """
    answered = (status.last_command, *(status.run.commands if status.run else ()))
    earlier = (*filter(None, answered), *(taken for entry in status.history for taken in entry.commands))
    if before := next((taken for taken in earlier if taken.id == asked.id), None):
        return f"it was answered before ({before.answer}), and something has written it again: ask again"
    since = status.last_command.at if status.last_command else _known_since(status)
    if since is None:
        return "it is older than the status of this object: ask again"
    if verb not in _EMERGENCIES and given_at(asked.text) < since - _CLOCKS_DIFFER:
        words = f"its time is more than ten minutes before {since:%Y-%m-%dT%H:%M:%SZ}, so it may be an old one"
        return f"{words}: look at your clock, and ask again"
    return ""


def _known_since(status: Status) -> datetime | None:
    """When the phase began. In a run, `phase_started_at` moves by the time that does not count, and this does not."""
    run = status.run
    under_way = run is not None and run.outcome is None and run.phases
    return run.phases[-1].since if run is not None and under_way else status.phase_started_at


def _too_late(seen: Observation, asked: Asked, verb: Verb) -> str:
    """Why nobody expects this command to be carried out any more, as after an outage of the operator; empty if not.

    Both its own time and that of the API server must say so: the clock of a person may be slow.
    """
    given = given_at(asked.text)
    written = max(given, asked.at or given)
    if verb in _EMERGENCIES or seen.now - written <= _WAITS_FOR_AN_OPERATOR:
        return ""
    return f"it was asked at {written:%Y-%m-%dT%H:%M:%SZ}, and no operator has seen it for ten minutes: ask again"
