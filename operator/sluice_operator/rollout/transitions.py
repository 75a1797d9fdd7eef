"""Transitions that several rules make: small functions from one status to the next. Pure."""

from dataclasses import replace as replace_seen
from datetime import datetime, timedelta

from msgspec.structs import replace

from sluice_operator.analysis.default_objectives import default_objectives
from sluice_operator.analysis.hold_out import decided_by_hold_outs
from sluice_operator.api import names
from sluice_operator.api.command import Verb
from sluice_operator.api.observation import Observation
from sluice_operator.api.revision import Revision, RevisionRef
from sluice_operator.api.run import Answer, LiveWeight, Outcome, Phase, PhaseStart, Run, TakenCommand
from sluice_operator.api.status import (
    LONGEST,
    LONGEST_REASON,
    SIGNATURE_CHANGED,
    Abandoned,
    Alias,
    HistoryEntry,
    Rejection,
    Retiring,
    Status,
    Weight,
)
from sluice_operator.rollout import pauses, rejections, revisions
from sluice_operator.rollout.roles import full_size, sizes

HISTORY_KEPT = 10
LIVE_KEPT = 40
PHASES_KEPT = 20
RETIRING_KEPT = 20  # the oldest leave early
FORMER_KEPT = 3
COMMANDS_KEPT = 10  # of one run


def is_rejected(seen: Observation, revision: Revision) -> bool:
    """Whether `revision` failed before under today's objectives, or under ones that are not known.

    In a spec that nobody has edited since, objectives that read otherwise are still the same: a CRD has other defaults.
    A changed signature is no failure any more where the spec allows it.
    """
    today = revisions.objectives_hash(seen.spec.objectives)
    allowed = {SIGNATURE_CHANGED} if seen.spec.model.allow_signature_change else set()
    return any(
        entry.objectives_hash in ("", today) or entry.generation == seen.generation
        for entry in seen.status.rejected
        if entry.revision == revision.revision and entry.reason not in allowed
    )


def is_resting(seen: Observation, revision: Revision) -> bool:
    """Whether the last run of `revision` was abandoned, and it is too early to try it again."""
    abandoned = seen.status.abandoned
    if abandoned is None or abandoned.revision != revision.revision:
        return False
    if abandoned.generation != seen.generation and abandoned.terms_hash != revisions.terms_hash(seen.spec):
        return False
    return abandoned.retry_at is None or seen.now < abandoned.retry_at


def enter(status: Status, phase: Phase, now: datetime) -> Status:
    """`status` in another phase, where nothing is on hold yet and a pause of the one before is over."""
    run = status.run
    if run is not None:
        phases = (*run.phases, PhaseStart(phase=phase, since=now))[-PHASES_KEPT:]
        pause = run.pause if phase is status.phase else None
        run = replace(run, on_hold_since=None, phases=phases, pause=pause)
    return replace(status, run=run, phase=phase, phase_started_at=now)


def write_weight(status: Status, desired: int, now: datetime) -> Status:
    """`status` with another desired weight. The live weight stays what it was until a proof shows the new one."""
    live = status.weight.live if status.weight else 0
    run = not_live(status.run, now) if status.run else None
    return replace(status, run=run, weight=Weight(desired=desired, live=live, written_at=now))


def now_live(run: Run, weight: int, now: datetime) -> Run:
    """`run` from when `weight` was seen live."""
    return replace(run, live_weights=(*run.live_weights, LiveWeight(weight=weight, since=now))[-LIVE_KEPT:])


def not_live(run: Run, now: datetime, *, disturbed: bool = False) -> Run:
    """`run` from when its live weight begins to change. `disturbed`: somebody else changes it."""
    if not run.live_weights or run.live_weights[-1].until is not None:
        return run
    last = run.live_weights[-1]
    ended = replace(last, until=max(last.since, now), disturbed=disturbed)
    return replace(run, live_weights=(*run.live_weights[:-1], ended))


def in_doubt(run: Run, since: datetime) -> Run:
    """`run` from when it is not known any more which weight is live: the step begins again with the next proof."""
    return replace(not_live(run, since, disturbed=True), step_started_at=None)


def begin_run(seen: Observation, canary: Revision) -> Status:
    """`canary` starts beside stable, or alone if there is none. The terms of the run are frozen here."""
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
    status = replace(seen.status, canary=canary, run=run, verdict=None, retiring=retiring, abandoned=None)
    if status.stable is None:
        return enter(status, Phase.INITIALIZING, seen.now)
    return enter(write_weight(status, 0, seen.now), Phase.STARTING, seen.now)


def begin_return(seen: Observation, revision: Revision, message: str) -> Status:
    """`revision`, which was stable before, comes back without steps; the stable one is rejected. `message`: why."""
    status, left = seen.status, seen.status.stable
    assert left is not None
    undone = Rejection(left.revision, left.model.uri, rejections.UNDONE, message, seen.now)
    status = replace(status, rejected=rejections.with_newest(status.rejected, undone))
    return _without_steps(begin_run(replace_seen(seen, status=status), revision), message)


def withdraw_if_rejected(seen: Observation, run: Run, canary: Revision) -> Status | None:
    """The end of a run whose canary was rejected before under the objectives of today's spec; None if it was not."""
    if not is_rejected(seen, canary):
        return None
    message = f"{canary.model.uri} was rejected before under these objectives"
    return roll_back(seen, pauses.resumed(run, seen.now), Outcome.WITHDRAWN, "Rejected", message)


def begin_again(seen: Observation, run: Run, canary: Revision) -> Status:
    """The same canary from weight 0, and what people asked of it. What comes back by an undo needs no steps.

    Objectives may have changed meanwhile: if it was rejected under today's before, it stays rejected.
    """
    if not run.returning and (withdrawn := withdraw_if_rejected(seen, run, canary)) is not None:
        return withdrawn
    status = begin_run(seen, canary)
    assert status.run is not None
    begun = replace(
        status.run,
        pause=pauses.kept(run),
        overruled=run.overruled,
        commands=(*run.commands, *status.run.commands)[-COMMANDS_KEPT:],
        failover_seconds=run.failover_seconds,
        stable_ready_since=run.stable_ready_since,
    )
    status = replace(status, run=begun)
    return _without_steps(status, run.message) if run.returning else status


def next_step(status: Status, run: Run) -> Status:
    """`status` with `run` at the step after its present one."""
    return replace(status, run=replace(run, step=run.step + 1, step_started_at=None), verdict=None)


def with_command(status: Status, taken: TakenCommand) -> Status:
    """`status` after a command was answered; a run that goes on remembers it."""
    run = status.run
    if run is not None and status.phase not in (Phase.PENDING, Phase.STABLE):
        run = replace(run, commands=(*run.commands, taken)[-COMMANDS_KEPT:])
    return replace(status, run=run, last_command=taken)


def roll_back(
    seen: Observation,
    run: Run,
    outcome: Outcome,
    reason: str,
    message: str,
    *,
    retry_after: timedelta | None = None,
) -> Status:
    """Status first: the run's end is recorded and weight 0 is asked for in one write; traffic follows.

    `retry_after`: when an abandoned revision is tried again by itself. None: only under other terms.
    """
    ending = ended(run, outcome, reason, message, seen.now)
    status = replace(seen.status, run=ending)
    if status.phase is Phase.WATCHING:  # roles turn back: the old revision is still there at full size
        status = replace(status, stable=status.previous, canary=status.stable, previous=None)
    elif status.weight is not None and status.weight.desired != 0:
        status = write_weight(status, 0, seen.now)
    if outcome is Outcome.REJECTED and status.canary is not None:
        newest = rejections.of_run(ending, status.canary, seen.now)
        status = replace(status, rejected=rejections.with_newest(status.rejected, newest))
    if outcome is Outcome.ABANDONED and status.canary is not None:
        status = replace(status, abandoned=_abandoned(seen, status.canary, ending, retry_after))
    return enter(status, Phase.ROLLING_BACK, seen.now)


def ended(run: Run, outcome: Outcome, reason: str, message: str, now: datetime) -> Run:
    """`run` when its end is decided."""
    return replace(run, outcome=outcome, reason=reason[:LONGEST_REASON], message=message[:LONGEST], ended_at=now)


def alias_after(seen: Observation, revision: Revision) -> Alias | None:
    """The alias that is to move to `revision`, if the spec asks for one. Only a registered version can have one."""
    name, model = seen.spec.model.on_promote.set_alias, revision.model
    if not name or not model.version.isdigit():
        return None
    return Alias(name=name, model=model.name, version=model.version, tracking_uri=revision.tracking_uri)


def end_run(
    seen: Observation,
    status: Status,
    run: Run,
    subject: Revision,
    *,
    leaving: Revision | None,
    unproven_route: bool = False,
) -> Status:
    """`status` back in Stable: `run` of `subject` goes to history, and the pods of the revision that leaves retire.

    Where a gateway may still lead to them, they stay for `progressDeadline` at least.
    """
    entry = HistoryEntry(
        revision=subject.revision,
        model=subject.model.uri,
        outcome=run.outcome or Outcome.PROMOTED,
        reason=run.reason,
        started_at=run.started_at,
        ended_at=seen.now,
        record=names.run_record(seen.name, run.id) if run.traffic_started_at else "",
        commands=run.commands,
    )
    retiring = status.retiring
    if leaving is not None:
        rollout = run.rollout
        delay = max(rollout.scale_down_delay, rollout.progress_deadline) if unproven_route else rollout.scale_down_delay
        retiring = (*retiring, _retiring(seen, leaving, until=seen.now + delay))
    settled = replace(
        status,
        run=run,
        canary=None,
        previous=None,
        weight=None,
        rejected=rejections.without(status.rejected, status.stable),
        retiring=retiring[-RETIRING_KEPT:],
        former=_former(status, leaving if run.outcome is Outcome.PROMOTED or status.previous else None),
        history=(entry, *status.history)[:HISTORY_KEPT],
    )
    return enter(settled, Phase.STABLE, seen.now)


def _retiring(seen: Observation, leaving: Revision, until: datetime) -> Retiring:
    """With the pods that it has now."""
    pods = (replicas for revision, replicas in sizes(seen.spec, seen.status) if revision.revision == leaving.revision)
    return Retiring(revision=leaving, replicas=next(pods), until=until)


def _abandoned(seen: Observation, revision: Revision, run: Run, retry_after: timedelta | None) -> Abandoned:
    retry_at = None if retry_after is None else seen.now + retry_after
    return Abandoned(
        revision.revision, run.reason, run.message, revisions.terms_hash(seen.spec), seen.generation, retry_at
    )


def _without_steps(status: Status, message: str) -> Status:
    assert status.run is not None
    run = replace(status.run, steps=(), objectives=(), returning=True, reason="Returned", message=message)
    return replace(status, run=run)


def _former(status: Status, leaving: Revision | None) -> tuple[Revision, ...]:
    """What undo can bring back once `leaving` is stable no more: neither what serves nor what was rejected."""
    out = {entry.revision for entry in status.rejected} | {status.stable.revision if status.stable else ""}
    newest = {revision.revision: revision for revision in (*([leaving] if leaving else ()), *status.former)}
    return tuple(revision for name, revision in newest.items() if name not in out)[:FORMER_KEPT]


def _asked_for(status: Status, canary: Revision) -> tuple[TakenCommand, ...]:
    """The command that a person retried `canary` with, if no run knows it yet."""
    last, earlier = status.last_command, status.run.commands if status.run else ()
    if last is None or last.answer is not Answer.ACCEPTED or last in earlier:
        return ()
    return (last,) if last.id.startswith(f"{Verb.RETRY}/{canary.revision}/") else ()


def _reference(revision: Revision) -> RevisionRef:
    return RevisionRef(revision=revision.revision, model=revision.model.uri)
