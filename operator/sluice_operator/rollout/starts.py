"""How a run starts: the first of a revision, the same canary again from weight 0, and an undo. Pure."""

from dataclasses import replace as replace_seen

from msgspec.structs import replace

from sluice_operator.analysis.default_objectives import default_objectives
from sluice_operator.analysis.hold_out import decided_by_hold_outs
from sluice_operator.api.command import Verb
from sluice_operator.api.observation import Observation
from sluice_operator.api.revision import Revision, RevisionRef
from sluice_operator.api.run import AT_REST, Answer, Outcome, Phase, Run, TakenCommand
from sluice_operator.api.status import Rejection, Status
from sluice_operator.rollout import pauses, rejections
from sluice_operator.rollout.may_start import is_rejected, is_resting
from sluice_operator.rollout.preparation import as_made, returning
from sluice_operator.rollout.roles import full_size
from sluice_operator.rollout.transitions import (
    COMMANDS_KEPT,
    enter,
    roll_back,
    write_weight,
)


def begin_run(seen: Observation, canary: Revision) -> Status:
    """`canary` starts beside stable, or alone if there is none. The terms of the run are frozen here.

    Pods that it still has from before are its pods again, with the model that they have fetched.

    Only where no run is under way that could be lost: one that is replaced has ended before, in a look of its own.
    """
    assert seen.status.phase in (*AT_REST, Phase.INITIALIZING)
    return _begun(seen, as_made(canary, seen.workload(canary)))


def _begun(seen: Observation, canary: Revision) -> Status:
    run = Run(
        id=f"{canary.revision}-{int(seen.now.timestamp())}",
        started_at=seen.now,
        traffic=seen.status.route.traffic if seen.status.route else seen.spec.traffic,
        rollout=seen.spec.rollout,
        generation=seen.generation,
        replicas=full_size(seen.spec, seen.status),
        canary=_reference(canary),
        stable=_reference(seen.status.stable) if seen.status.stable else None,
        objectives=seen.spec.objectives,
        default_objectives=default_objectives(seen.spec.objectives),
        confidence=seen.spec.confidence,
        prometheus=seen.spec.prometheus,
        steps=seen.spec.rollout.canary.steps,
        commands=_asked_for(seen.status, canary),
        awaits_hold_out=seen.status.stable is None and bool(decided_by_hold_outs(seen.spec.objectives)),
    )
    retiring = tuple(entry for entry in seen.status.retiring if entry.revision.revision != canary.revision)
    status = replace(seen.status, canary=canary, run=run, verdict=None, retiring=retiring)
    if status.abandoned is not None and status.abandoned.revision == canary.revision and not is_resting(seen, canary):
        status = replace(status, abandoned=None)  # one that only answers for others meanwhile goes on resting
    if status.stable is None:
        return enter(status, Phase.INITIALIZING, seen.now)
    return enter(write_weight(status, 0, seen.now), Phase.STARTING, seen.now)


def begin_return(seen: Observation, revision: Revision, message: str) -> Status:
    """`revision`, which was stable before, comes back without steps; the stable one is rejected. `message`: why."""
    status, left = seen.status, seen.status.stable
    assert left is not None
    undone = Rejection(left.revision, left.model.uri, rejections.UNDONE, message, seen.now)
    pending = status.alias is not None and not status.alias.done and status.alias.version == left.model.version
    status = replace(
        status,
        rejected=rejections.with_newest(status.rejected, undone),
        alias=None if pending else status.alias,  # what was undone gets no name any more
    )
    former = returning(revision, seen.workload(revision), seen.defaults)
    return _without_steps(begin_run(replace_seen(seen, status=status), former), message)


def begin_again(seen: Observation, run: Run, canary: Revision) -> Status:
    """The same canary from weight 0, and what people asked of it. What comes back by an undo needs no steps.

    Objectives may have changed meanwhile: if it was rejected under today's before, it stays rejected. One that was
    given up before, and has only answered for others, goes on resting. Nobody has overruled another objective.
    """
    if not run.returning and (why := _not_again(seen, canary)) is not None:
        return roll_back(seen, pauses.resumed(run, seen.now), Outcome.WITHDRAWN, *why)
    status = _begun(seen, canary)
    assert status.run is not None
    same = {objective.name for objective in status.run.objectives if objective in run.objectives}
    begun = replace(
        status.run,
        pause=pauses.kept(run),
        overruled=tuple(name for name in run.overruled if name in same),
        failed=run.failed if run.objectives == status.run.objectives else None,
        commands=(*run.commands, *status.run.commands)[-COMMANDS_KEPT:],
        failover_seconds=run.failover_seconds,
        stable_ready_since=run.stable_ready_since,
    )
    status = replace(status, run=begun)
    return _without_steps(status, run.message) if run.returning else status


def _not_again(seen: Observation, canary: Revision) -> tuple[str, str] | None:
    """Reason and message of why `canary` may not be tried again now; None if it may."""
    if is_rejected(seen, canary):
        return "Rejected", f"{canary.model.uri} was rejected before under these objectives"
    if is_resting(seen, canary) and seen.status.abandoned is not None:
        return "Withdrawn", f"{canary.model.uri} was abandoned before ({seen.status.abandoned.reason})"
    return None


def _without_steps(status: Status, message: str) -> Status:
    assert status.run is not None
    run = replace(status.run, steps=(), objectives=(), returning=True, reason=rejections.RETURNED, message=message)
    return replace(status, run=run)


def _asked_for(status: Status, canary: Revision) -> tuple[TakenCommand, ...]:
    """The command that a person retried `canary` with, if no run knows it yet."""
    last, earlier = status.last_command, status.run.commands if status.run else ()
    if last is None or last.answer is not Answer.ACCEPTED or last in earlier:
        return ()
    return (last,) if last.id.startswith(f"{Verb.RETRY}/{canary.revision}/") else ()


def _reference(revision: Revision) -> RevisionRef:
    return RevisionRef(revision=revision.revision, model=revision.model.uri)
