"""Rules for the way from a new revision to its first share of traffic."""

from msgspec.structs import replace

from sluice_operator.analysis import criteria, hold_out
from sluice_operator.api.observation import Observation, Refusal, Unreachable
from sluice_operator.api.status import Outcome, Phase, Status
from sluice_operator.rollout import automatic_steps
from sluice_operator.rollout.transitions import (
    alias_after,
    begin_run,
    end_run,
    ended,
    enter,
    is_rejected,
    take_back,
)

_LATE = "ProgressDeadlineExceeded"  # a first revision that gets ready later is welcome all the same


def an_object_of_somebody_else_holds_the_start(seen: Observation) -> Status | None:
    """Nothing new begins while a Service, an Ingress or the host that we need is somebody else's."""
    if (seen.foreign or seen.host_taken) and seen.status.phase in (Phase.PENDING, Phase.STARTING):
        return seen.status
    return None


def a_new_revision_starts_a_run(seen: Observation) -> Status | None:
    """The newest revision starts when nothing else is under way."""
    revision, status = seen.desired, seen.status
    if revision is None or status.phase not in (Phase.PENDING, Phase.STABLE):
        return None
    if status.stable is not None and status.stable.revision == revision.revision:
        return None
    return None if is_rejected(seen, revision) else begin_run(seen, revision)


def a_refused_model_is_rejected(seen: Observation) -> Status | None:
    """A model that the preflight refuses never gets traffic. Without a stable one there is nothing to go back to."""
    refusal = seen.workload(seen.status.canary).refusal
    if seen.status.phase is not Phase.STARTING or refusal is None:
        return None
    return _reject_before_traffic(seen, refusal)


def a_model_without_a_good_hold_out_is_rejected(seen: Observation) -> Status | None:
    """Where an objective asks for it, nobody meets a model whose own hold-out does not show that it is good enough."""
    run, trained = seen.status.run, seen.hold_outs
    if seen.status.phase is not Phase.STARTING or run is None or trained is None:
        return None
    for objective in hold_out.asking(run.objectives):
        if (refusal := hold_out.refusal(objective, trained, run.confidence)) is not None:
            return _reject_before_traffic(seen, refusal)
    unknown = any(isinstance(one, Unreachable) for one in (trained.canary, trained.stable))
    return seen.status if unknown else None


def a_canary_that_does_not_get_ready_is_rejected(seen: Observation) -> Status | None:
    """Pods that are not ready, or answer wrongly, within `progressDeadline`; a gateway or registry in trouble holds."""
    status, run = seen.status, seen.status.run
    if status.phase is not Phase.STARTING or run is None or status.phase_started_at is None:
        return None
    if seen.now < status.phase_started_at + run.rollout.progress_deadline:
        return None
    pods = seen.workload(status.canary)
    answers_wrongly = seen.smoke is not None and seen.smoke.by_canary
    if pods.registry_lost or (pods.ready > 0 and not answers_wrongly):
        return None
    why = pods.trouble or (seen.smoke.detail if seen.smoke else "") or "its pods are not ready"
    message = f"not ready within progressDeadline {run.rollout.progress_deadline}: {why}"
    return _reject_before_traffic(seen, Refusal(_LATE, message))


def a_first_revision_is_stable_once_ready(seen: Observation) -> Status | None:
    """There is nothing to compare a first revision with; it is stable when callers get answers through the gateway."""
    status = seen.status
    if status.phase is not Phase.STARTING or status.stable is not None or status.canary is None:
        return None
    if status.run is not None and status.run.outcome is Outcome.REJECTED and status.run.reason != _LATE:
        return None
    unproven = seen.swap is not None and not seen.swap.live
    if unproven or seen.workload(status.canary).ready < seen.spec.server.replicas:
        return status
    assert status.run is not None
    promoted = replace(
        status,
        stable=status.canary,
        run=ended(status.run, Outcome.PROMOTED, "FirstRevision", "", seen.now),
        alias=alias_after(seen, status.canary),
    )
    return end_run(seen, promoted, leaving=None)


def a_ready_canary_that_answers_begins_to_step(seen: Observation) -> Status | None:
    """Ready, the route at weight 0 seen live, and one real request through the gateway answered well.

    What follows from stable's traffic (steps, and what is slow) is chosen now, as soon as that is known. Nobody meets a
    canary whose Prometheus is not asked.
    """
    status, run = seen.status, seen.status.run
    if status.phase is not Phase.STARTING or status.weight is None or run is None:
        return None
    if not status.weight.verified_at or seen.smoke is None or not seen.smoke.live:
        return None
    if seen.metrics_refusal is not None:
        return status
    if (
        seen.latency_thresholds is None
        or criteria.lacks_threshold(run.objectives, seen.latency_thresholds)
        or (not run.steps and seen.rate is None)
    ):
        return status
    run = replace(
        run,
        steps=run.steps or automatic_steps.steps_for(seen.rate or 0.0),
        latency_thresholds=dict(seen.latency_thresholds),
    )
    return enter(replace(status, run=run), Phase.STEPPING, seen.now)


def _reject_before_traffic(seen: Observation, refusal: Refusal) -> Status | None:
    status = seen.status
    assert status.run is not None
    if status.stable is not None:
        return take_back(seen, Outcome.REJECTED, refusal.reason, refusal.message)
    if status.run.outcome is Outcome.REJECTED:
        return None
    run = ended(status.run, Outcome.REJECTED, refusal.reason, refusal.message, seen.now)
    return replace(status, run=run)
