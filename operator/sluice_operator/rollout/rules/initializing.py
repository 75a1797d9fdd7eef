"""Rules for the first revision. There is nothing to compare it with, and nothing to go back to.

So nothing of the spec is frozen, and every correction acts at once.
"""

from msgspec.structs import replace

from sluice_operator.api.observation import Observation, Refusal
from sluice_operator.api.run import Outcome, Phase, Run
from sluice_operator.api.status import Status
from sluice_operator.rollout import revisions
from sluice_operator.rollout.phases import run_in, time_in_phase
from sluice_operator.rollout.roles import serves
from sluice_operator.rollout.starts import begin_run
from sluice_operator.rollout.transitions import alias_after, end_run, ended


def a_corrected_spec_starts_the_first_revision_anew(seen: Observation) -> Status | None:
    """Another revision or another policy, as long as no caller gets answers from this one."""
    status, run, wanted = seen.status, run_in(seen, Phase.INITIALIZING), seen.desired
    if run is None or status.canary is None:
        return None
    if _serves(seen):
        return None
    if wanted is not None and wanted.revision != status.canary.revision:
        return begin_run(seen, wanted)
    retried = run.rollout.retry_token != seen.spec.rollout.retry_token
    changed = retried or revisions.terms_changed(run, seen.spec, seen.generation)
    return begin_run(seen, status.canary) if changed else None


def a_first_revision_with_a_good_hold_out_may_serve(seen: Observation) -> Status | None:
    """Service NAME selects it from now on. Where no objective asks for a hold-out, it did so from the start."""
    run = run_in(seen, Phase.INITIALIZING)
    if run is None or not run.awaits_hold_out or run.outcome is not None or seen.hold_outs is None:
        return None
    return replace(seen.status, run=replace(run, awaits_hold_out=False))


def a_first_revision_that_serves_is_stable(seen: Observation) -> Status | None:
    """With all of its pods, and proven through the gateway.

    If it had its time, some of its pods are enough. If a newer revision is to be its canary, the proof is not needed
    either: what callers use is never thrown away.
    """
    status, run = seen.status, run_in(seen, Phase.INITIALIZING)
    if run is None or status.canary is None or not _serves(seen):
        return None
    proven = seen.swap is None or seen.swap.live
    complete = proven and seen.workload(status.canary).ready >= seen.spec.server.replicas
    replaced = seen.desired is not None and seen.desired.revision != status.canary.revision
    degraded = proven and time_in_phase(seen) >= run.rollout.progress_deadline
    if not (complete or degraded or replaced):
        return status
    alias = status.alias if replaced else alias_after(seen, status.canary)
    promoted = replace(status, stable=status.canary, alias=alias)
    ending = ended(run, Outcome.PROMOTED, "FirstRevision", "", seen.now)
    return end_run(seen, promoted, ending, status.canary, leaving=None)


def refused(seen: Observation, run: Run, refusal: Refusal) -> Status | None:
    """A first revision that is refused never serves. One that answers callers by then is stable, and that is told."""
    status, canary = seen.status, seen.status.canary
    if run.outcome is Outcome.REJECTED or canary is None:
        return None
    if not _serves(seen):
        return replace(status, run=ended(run, Outcome.REJECTED, refusal.reason, refusal.message, seen.now))
    message = f"{refusal.message}; callers get its answers, so it stays until the spec names another version"
    ending = ended(run, Outcome.ABANDONED, refusal.reason, message, seen.now)
    return end_run(seen, replace(status, stable=canary), ending, canary, leaving=None)


def _serves(seen: Observation) -> bool:
    """Whether the first revision is selected by Service NAME and has ready pods."""
    serving = serves(seen.status)
    return serving is not None and serving == seen.status.canary and seen.workload(serving).ready > 0
