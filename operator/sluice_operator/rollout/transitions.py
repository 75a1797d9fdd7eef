"""Transitions that several rules make: small functions from one status to the next. Pure."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from sluice_operator.api import names
from sluice_operator.api.observation import Observation
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import LiveWeight, Outcome, Phase, PhaseStart, Run, TakenCommand
from sluice_operator.api.status import (
    LONGEST,
    LONGEST_REASON,
    Abandoned,
    Alias,
    HistoryEntry,
    Retiring,
    Status,
    Weight,
)
from sluice_operator.rollout import rejections, revisions
from sluice_operator.rollout.roles import sizes

HISTORY_KEPT = 10
LIVE_KEPT = 40
PHASES_KEPT = 20
RETIRING_KEPT = 20  # the oldest leave early
FORMER_KEPT = 3
COMMANDS_KEPT = 10  # of one run


def enter(status: Status, phase: Phase, now: datetime) -> Status:
    """`status` in another phase, where nothing is on hold yet and a pause of the one before is over."""
    run = status.run
    if run is not None:
        if phase is Phase.SWAPPING:
            run = replace(run, swapped_at=run.swapped_at or now)
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
    elif status.weight is not None and (status.weight.desired != 0 or status.phase is Phase.SWAPPING):
        status = write_weight(status, 0, seen.now)  # proven anew: a swap leads callers to the canary without a weight
    if outcome is Outcome.REJECTED and status.canary is not None:
        status = rejected(status, status.canary, ending, seen.now)
    if outcome is Outcome.ABANDONED and status.canary is not None:
        status = abandoned(seen, status, status.canary, ending, retry_after)
    return enter(status, Phase.ROLLING_BACK, seen.now)


def rejected(status: Status, revision: Revision, run: Run, now: datetime) -> Status:
    """`status` that remembers that `run` ended against `revision`."""
    return replace(status, rejected=rejections.with_newest(status.rejected, rejections.of_run(run, revision, now)))


def abandoned(
    seen: Observation, status: Status, revision: Revision, run: Run, retry_after: timedelta | None = None
) -> Status:
    """`status` in which `revision` rests after `run`. `retry_after`: None if that ends only under other terms."""
    retry_at = None if retry_after is None else seen.now + retry_after
    terms = revisions.terms_hash(seen.spec)
    rests = Abandoned(revision.revision, run.reason, run.message, terms, seen.generation, retry_at)
    return replace(status, abandoned=rests)


def ended(run: Run, outcome: Outcome, reason: str, message: str, now: datetime) -> Run:
    """`run` when its end is decided."""
    return replace(run, outcome=outcome, reason=reason[:LONGEST_REASON], message=message[:LONGEST], ended_at=now)


def alias_after(seen: Observation, revision: Revision) -> Alias | None:
    """The alias or stage for `revision`, if the spec asks for one. Only a registered version can have one."""
    wanted, model = seen.spec.model.on_promote, revision.model
    if not wanted.name or not model.version.isdigit():
        return None
    return Alias(
        name=wanted.name,
        model=model.name,
        version=model.version,
        tracking_uri=revision.tracking_uri,
        kind=wanted.kind,
    )


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
        record=names.run_record(seen.name, run.id) if run.traffic_started_at or run.decides else "",
        commands=run.commands,
    )
    retiring = status.retiring
    if leaving is not None:
        rollout = run.rollout
        delay = max(rollout.scale_down_delay, rollout.progress_deadline) if unproven_route else rollout.scale_down_delay
        retiring = (*retiring, _retiring(seen, leaving, until=seen.now + delay))
    serves = status.stable.revision if status.stable else ""
    settled = replace(
        status,
        run=run,
        canary=None,
        previous=None,
        weight=None,
        rejected=rejections.without(status.rejected, status.stable),
        abandoned=None if status.abandoned and status.abandoned.revision == serves else status.abandoned,
        retiring=retiring[-RETIRING_KEPT:],
        former=_former(status, leaving if run.outcome is Outcome.PROMOTED or status.previous else None),
        history=(entry, *status.history)[:HISTORY_KEPT],
    )
    return enter(settled, Phase.STABLE, seen.now)


def _retiring(seen: Observation, leaving: Revision, until: datetime) -> Retiring:
    """With the pods that it has now."""
    pods = (replicas for revision, replicas in sizes(seen.spec, seen.status) if revision.revision == leaving.revision)
    return Retiring(revision=leaving, replicas=next(pods), until=until)


def _former(status: Status, leaving: Revision | None) -> tuple[Revision, ...]:
    """What undo can bring back once `leaving` is stable no more: neither what serves nor what was rejected."""
    out = {entry.revision for entry in status.rejected} | {status.stable.revision if status.stable else ""}
    newest = {revision.revision: revision for revision in (*([leaving] if leaving else ()), *status.former)}
    return tuple(revision for name, revision in newest.items() if name not in out)[:FORMER_KEPT]
