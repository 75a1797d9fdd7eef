"""What each command of a person does to a rollout, or why it is refused. Pure: neither registry nor metrics are needed.

A command is fenced to what it was meant for. Abort and pause name the revision only, because an emergency must not be
refused for a step that has just moved; promote and resume name the step as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from sluice_operator.api.command import Asked, Command, Verb
from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Outcome, Phase, Run
from sluice_operator.api.status import Result, Status
from sluice_operator.rollout import pauses, rejections, without_pass
from sluice_operator.rollout.phases import run_in
from sluice_operator.rollout.rejections import ABORTED, UNDONE, unacted_fail
from sluice_operator.rollout.starts import begin_return, begin_run
from sluice_operator.rollout.transitions import ended, enter, next_step, roll_back

_PAUSABLE = (Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.WATCHING, Phase.FAILOVER)
_CANARY_SERVES = (Phase.SWAPPING, Phase.WATCHING, Phase.FAILOVER)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The status that the command leads to, and in words what it does."""

    status: Status
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the command does nothing, and what to do instead."""

    message: str


Answered = Accepted | Refused


def waits(asked: Asked | None, status: Status) -> bool:
    """Whether a command has not been answered yet."""
    return asked is not None and (status.last_command is None or status.last_command.id != asked.id)


def answer(seen: Observation, command: Command, asked: Asked) -> Answered:
    """What `command` leads to."""
    return _VERBS[command.verb](seen, command, asked.by or "somebody")


def _abort(seen: Observation, command: Command, by: str) -> Answered:
    status, run = seen.status, seen.status.run
    if run is None or status.phase in (Phase.PENDING, Phase.INITIALIZING, Phase.STABLE):
        return _no_run(seen)
    if run.canary.revision != command.revision:
        return _other_revision(run, command)
    if status.phase is Phase.ROLLING_BACK:
        return _abort_on_the_way_back(seen, run, by)
    return _go_back(seen, run, ABORTED, f"{run.canary.model} was aborted by {by}")


def _abort_on_the_way_back(seen: Observation, run: Run, by: str) -> Answered:
    """Traffic goes back already. Whatever ended the run, its revision is not tried again after this."""
    status, canary = seen.status, seen.status.canary
    if canary is None or run.outcome is Outcome.REJECTED or _outcome(seen, run) is not Outcome.REJECTED:
        return Accepted(status, f"traffic goes back already: {run.message}")
    ending = ended(run, Outcome.REJECTED, ABORTED, f"{run.canary.model} was aborted by {by}", seen.now)
    status = rejections.forgotten(replace(status, run=ending), canary.revision)
    newest = rejections.of_run(ending, canary, seen.now)
    status = replace(status, rejected=rejections.with_newest(status.rejected, newest))
    return Accepted(status, f"traffic goes back already, and {run.canary.model} is rejected")


def _pause(seen: Observation, command: Command, by: str) -> Answered:
    status, run = seen.status, run_in(seen, *_PAUSABLE)
    if run is None:
        return _no_run(seen)
    if run.canary.revision != command.revision:
        return _other_revision(run, command)
    if run.returning:
        return Refused(f"{run.canary.model} comes back by an undo, which has no steps to pause at")
    run = pauses.paused(status, run, pauses.BY_COMMAND, f"paused by {by}", seen.now)
    says = f"weight {status.weight.desired} stays" if status.weight else "the previous revision stays ready"
    return Accepted(with_pause(seen, run), f"{says} until it is resumed")


def _resume(seen: Observation, command: Command, by: str) -> Answered:
    run = run_in(seen, *_PAUSABLE)
    if run is None:
        return _no_run(seen)
    if refusal := _elsewhere(seen, run, command):
        return refusal
    if run.pause is None:
        return Refused("it is not paused")
    holding = seen.status.verdict.holding if seen.status.verdict else ()
    run = pauses.overruled(pauses.resumed(run, seen.now), holding)
    on = f"; {', '.join(holding)} decides nothing in this run any more" if holding else ""
    return Accepted(replace(seen.status, run=run), f"the run goes on{on}")


def _promote(seen: Observation, command: Command, by: str) -> Answered:
    status, run = seen.status, run_in(seen, Phase.STEPPING)
    if run is None or (strategy := run.strategy) is None:
        waiting = run_in(seen, Phase.STARTING)
        is_asked = waiting is not None and waiting.pause is not None and waiting.pause.reason == pauses.BY_STEP
        return _resume(seen, command, by) if is_asked else _nothing_to_promote(seen)
    if refusal := _elsewhere(seen, run, command):
        return refusal
    verdict = seen.verdict or status.verdict
    if (failed := unacted_fail(status)) is not None:
        return Refused(f"the verdict is Fail: {failed.message}")
    everything = command.verb is Verb.PROMOTE_FULL
    passed = verdict is not None and verdict.result is Result.PASS and (strategy.is_last or not everything)
    run = pauses.overruled(pauses.resumed(run, seen.now), verdict.holding if verdict else ())
    message = f"{run.canary.model} was promoted by {by} without a Pass of {strategy}"
    run = without_pass.passed(run) if passed else without_pass.left(run, "PromotedByHand", message)
    if everything or strategy.is_last:
        return Accepted(enter(replace(status, run=run), Phase.PROMOTING, seen.now), "the promotion begins")
    return Accepted(next_step(status, run), f"step {run.step + 2} of {len(run.steps)} begins")


def _retry(seen: Observation, command: Command, by: str) -> Answered:
    status, run = seen.status, seen.status.run
    if run is not None and run.canary.revision == command.revision and _waits_rejected(status, run):
        assert status.canary is not None
        return Accepted(begin_run(seen, status.canary), f"{run.canary.model} is tried again")
    model = next((entry.model for entry in status.rejected if entry.revision == command.revision), "")
    abandoned = status.abandoned is not None and status.abandoned.revision == command.revision
    if not model and not abandoned:
        return Refused(f"revision {command.revision} is not among the rejected ones in status.rejected")
    if status.stable is not None and status.stable.revision == command.revision:
        return Refused(f"revision {command.revision} serves: there is nothing to try again")
    forgotten = rejections.forgotten(status, command.revision)
    return Accepted(forgotten, f"{model or 'it'} may be tried again{_what_next(seen, command)}")


def _undo(seen: Observation, command: Command, by: str) -> Answered:
    status, stable = seen.status, seen.status.stable
    run = run_in(seen, Phase.WATCHING)
    if stable is None or (run is None and status.phase is not Phase.STABLE):
        return Refused(f"a rollout is under way: {seen.command_line('abort')} rolls it back")
    if stable.revision != command.revision:
        return Refused(f"revision {stable.revision} ({stable.model.uri}) serves now, not {command.revision}")
    message = f"{stable.model.uri} was undone by {by}"
    if run is not None:
        return _go_back(seen, run, UNDONE, message)
    rejected = {entry.revision for entry in status.rejected}
    former = next((revision for revision in status.former if revision.revision not in rejected), None)
    if former is None:
        return Refused("no revision is kept that served before: name the model to go back to in spec.model.uri")
    return Accepted(begin_return(seen, former, message), f"{former.model.uri} comes back")


_VERBS: Mapping[Verb, Callable[[Observation, Command, str], Answered]] = {
    Verb.PROMOTE: _promote,
    Verb.PROMOTE_FULL: _promote,
    Verb.ABORT: _abort,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.RETRY: _retry,
    Verb.UNDO: _undo,
}


def with_pause(seen: Observation, run: Run) -> Status:
    """The status with `run`, which has just paused. A promotion that has not swapped the roles yet is put off."""
    status = replace(seen.status, run=run)
    if status.phase is not Phase.PROMOTING:
        return status
    put_off = enter(status, Phase.STARTING if run.at_once else Phase.STEPPING, seen.now)
    return replace(put_off, run=replace(put_off.run, pause=run.pause)) if put_off.run else put_off


def _elsewhere(seen: Observation, run: Run, command: Command) -> Refused | None:
    """Why a command that is fenced by revision and step is not meant for the run as it is now."""
    if seen.spec.suspend:
        return Refused("spec.suspend is true: set it to false first")
    if run.canary.revision != command.revision:
        return _other_revision(run, command)
    if run.step != command.step:
        meant, now = command.step + 1, run.step + 1  # people count from 1
        return Refused(f"it was meant for step {meant}, the run is at step {now}: look, and ask again")
    return None


def _other_revision(run: Run, command: Command) -> Refused:
    return Refused(f"it was meant for revision {command.revision}, the run is one of {run.canary.revision}")


def _go_back(seen: Observation, run: Run, reason: str, message: str) -> Answered:
    """Roll back by hand. Callers that get answers go on getting some: from the swap on, and in Failover."""
    status = seen.status
    watching = status.phase is Phase.WATCHING
    serving, back = (status.stable, status.previous) if watching else (status.canary, status.stable)
    answered = status.phase in _CANARY_SERVES and seen.workload(serving).ready > 0
    if back is None or (answered and seen.workload(back).ready == 0):
        pause = f"; {seen.command_line('pause')} keeps the canary from becoming stable"
        stays = pause if status.phase is Phase.FAILOVER else ""
        return Refused(f"{back.model.uri if back else 'the previous revision'} has no ready pods to go back to{stays}")
    status = roll_back(seen, pauses.resumed(run, seen.now), _outcome(seen, run), reason, message)
    return Accepted(status, f"traffic goes back to {back.model.uri}")


def _outcome(seen: Observation, run: Run) -> Outcome:
    """Of a run that a person ends.

    Whoever ends an undo says nothing against what served before; unless the spec names it, it does not start again.
    """
    named = seen.desired is not None and seen.desired.revision == run.canary.revision
    return Outcome.WITHDRAWN if run.returning and not named else Outcome.REJECTED


def _no_run(seen: Observation) -> Refused:
    status, serving = seen.status, seen.status.stable
    match status.phase:
        case Phase.INITIALIZING:
            first = f"{status.run.canary.model} is the first revision" if status.run else "it is the first revision"
            return Refused(f"{first}, there is none to go back to: name another model in spec.model.uri")
        case Phase.SWAPPING:
            return Refused("the roles are being swapped: abort, or pause the watch that follows")
        case Phase.FAILOVER | Phase.ROLLING_BACK:
            return Refused(f"requests are being moved: {status.message}")
    way = f"; {seen.command_line('undo')} goes back to the revision before" if status.former else ""
    return Refused(f"no rollout is under way, {serving.model.uri} serves{way}" if serving else "nothing serves yet")


def _nothing_to_promote(seen: Observation) -> Refused:
    run = seen.status.run
    match seen.status.phase:
        case Phase.STARTING if run is not None and run.pause is not None:
            return Refused(f"{run.canary.model} is starting and paused: {seen.command_line('resume')} goes on")
        case Phase.STARTING if run is not None:
            return Refused(f"{run.canary.model} is starting, and has not been proven to answer: {seen.status.message}")
        case Phase.PROMOTING | Phase.SWAPPING | Phase.WATCHING if run is not None:
            return Refused(f"{run.canary.model} takes over already")
        case Phase.ROLLING_BACK if run is not None:
            return Refused(f"traffic goes back: {run.message}")
        case _:
            return _no_run(seen)


def _waits_rejected(status: Status, run: Run) -> bool:
    """Whether a first revision failed: there is nothing to go back to, so its run stays where it is."""
    return status.phase is Phase.INITIALIZING and run.outcome is Outcome.REJECTED


def _what_next(seen: Observation, command: Command) -> str:
    if seen.spec.suspend:
        return " when spec.suspend is false"
    if seen.desired is not None and seen.desired.revision != command.revision:
        return f" when the spec names it; now it names {seen.desired.model.uri}"
    return ""
