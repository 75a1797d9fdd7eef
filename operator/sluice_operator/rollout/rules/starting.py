"""Rules for the way from a new revision to its first share of traffic."""

from msgspec.structs import replace

from sluice_operator.analysis import criteria, hold_out, signature_change, tolerances
from sluice_operator.api.observation import Observation, Refusal
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import BEFORE_TRAFFIC, Outcome, Phase, Run
from sluice_operator.api.status import SIGNATURE_CHANGED, Status
from sluice_operator.rollout import automatic_steps, pauses
from sluice_operator.rollout.granted_route import is_withheld
from sluice_operator.rollout.may_start import is_rejected, is_resting, waits_its_time
from sluice_operator.rollout.phases import run_in, time_in_phase
from sluice_operator.rollout.rejections import PROGRESS_DEADLINE_EXCEEDED
from sluice_operator.rollout.roles import needed_to_start
from sluice_operator.rollout.rules import initializing
from sluice_operator.rollout.start_conditions import is_held
from sluice_operator.rollout.starts import begin_run
from sluice_operator.rollout.transitions import enter, roll_back


def a_taken_name_or_route_holds_the_start(seen: Observation) -> Status | None:
    """Nothing goes forward while a Service, an Ingress or the host that we need is somebody else's, or not allowed.

    What ends or restarts a run comes before: a correction, a newer revision, or stable asked for again.
    """
    without_route = is_withheld(seen) and seen.status.route is None
    before = seen.status.phase in (Phase.PENDING, *BEFORE_TRAFFIC)
    if (seen.foreign or without_route) and before:
        return seen.status
    return None


def a_new_revision_starts_a_run(seen: Observation) -> Status | None:
    """The newest revision starts when nothing else is under way."""
    revision, status = seen.desired, seen.status
    if revision is None or status.phase not in (Phase.PENDING, Phase.STABLE):
        return None
    if status.stable is not None and status.stable.revision == revision.revision:
        return None
    return None if is_rejected(seen, revision) or waits_its_time(seen, revision) else begin_run(seen, revision)


def a_resting_revision_starts_only_while_nobody_answers(seen: Observation) -> Status | None:
    """It was tried before its time because no revision had ready pods. Stable has some again, so it goes on resting."""
    status, run = seen.status, run_in(seen, Phase.STARTING)
    if run is None or run.returning or status.canary is None or seen.workload(status.stable).ready == 0:
        return None
    if not is_resting(seen, status.canary):
        return None
    message = (
        f"{status.canary.model.uri} was tried because nobody had ready pods, and the stable revision has some again"
    )
    return roll_back(seen, pauses.resumed(run, seen.now), Outcome.WITHDRAWN, "Withdrawn", message)


def a_refused_model_is_rejected(seen: Observation) -> Status | None:
    """A model that the preflight refuses never gets traffic. Without a stable one there is nothing to go back to."""
    run, refusal = run_in(seen, *BEFORE_TRAFFIC), seen.workload(seen.status.canary).refusal
    return None if run is None or refusal is None else _reject_before_traffic(seen, run, refusal)


def a_model_without_a_good_hold_out_is_rejected(seen: Observation) -> Status | None:
    """Where an objective asks for it, a model gets no traffic unless its own hold-out shows that it is good enough."""
    run, hold_outs = run_in(seen, *BEFORE_TRAFFIC), seen.hold_outs
    if run is None or hold_outs is None:
        return None
    for objective in hold_out.decided_by_hold_outs(run.objectives):
        if (refusal := hold_out.refusal(objective, hold_outs, run.confidence)) is not None:
            return _reject_before_traffic(seen, run, refusal)
    return None


def a_hold_out_that_is_not_known_holds_the_start(seen: Observation) -> Status | None:
    """Nothing goes forward without it. What ends or restarts a run comes before: a correction, a newer revision."""
    run = run_in(seen, *BEFORE_TRAFFIC)
    return None if run is None or hold_out.unknown(run.objectives, seen.hold_outs) is None else seen.status


def a_changed_signature_is_rejected(seen: Observation) -> Status | None:
    """Where callers would be refused or misled, no share of them is tried, unless the spec says that they are ready.

    An undo is not asked: a person wants back what callers had before.
    """
    started = _beside_stable(seen)
    if started is None or seen.spec.model.allow_signature_change:
        return None
    run, canary, stable = started
    check = signature_change.checked(seen.signatures, stable.model.uri)
    if check is None or check.reason != SIGNATURE_CHANGED:
        return None
    ways_out = (
        f"write model.allowSignatureChange: true when callers are ready, or register a version like {stable.model.uri}"
    )
    message = (
        f"callers of {stable.model.uri} would be refused or misled: {canary.model.uri} {check.message}; {ways_out}"
    )
    return _reject_before_traffic(seen, run, Refusal(SIGNATURE_CHANGED, message))


def a_changed_tolerance_is_rejected(seen: Observation) -> Status | None:
    """Where accuracies are compared, they are counted alike, as both servers say once the canary answers.

    An undo is not asked: it compares nothing.
    """
    started = _beside_stable(seen)
    if started is None:
        return None
    run, canary, stable = started
    refusal = tolerances.refusal(run.objectives, seen.signatures, canary, stable)
    return None if refusal is None else _reject_before_traffic(seen, run, refusal)


def a_start_without_room_or_image_is_abandoned(seen: Observation) -> Status | None:
    """What keeps the pods from running says nothing about the model: it holds until `deadline`, and is tried again."""
    run, obstacle = run_in(seen, Phase.STARTING), seen.obstacle(seen.status.canary)
    if run is None or seen.status.stable is None or obstacle is None:
        return None
    if seen.now < run.deadline_at:
        return None
    message = f"did not start within deadline {run.rollout.deadline}: {obstacle.message}"
    rest = run.rollout.progress_deadline
    return roll_back(seen, run, Outcome.ABANDONED, obstacle.reason, message, retry_after=rest)


def a_canary_that_does_not_get_ready_is_rejected(seen: Observation) -> Status | None:
    """Too few pods that are ready, or that answer wrongly, within `progressDeadline`.

    A gateway, a registry or a cluster in trouble holds.
    """
    run, pods = run_in(seen, *BEFORE_TRAFFIC), seen.workload(seen.status.canary)
    if run is None or time_in_phase(seen) < run.rollout.progress_deadline:
        return None
    if is_held(seen, seen.status, run):
        return None
    why = pods.trouble or (seen.smoke.detail if seen.smoke else "") or pods.under_way or "its pods are not ready"
    message = f"not ready within progressDeadline {run.rollout.progress_deadline}: {why}"
    return _reject_before_traffic(seen, run, Refusal(PROGRESS_DEADLINE_EXCEEDED, message))


def a_ready_canary_that_answers_begins_to_step(seen: Observation) -> Status | None:
    """Its steps follow from stable's traffic, if the spec has none: they are chosen now, as soon as that is known."""
    status, run = seen.status, _ready_and_known(seen)
    if run is None or run.at_once:
        return None
    if not run.steps and seen.rate is None:
        return status
    steps = run.steps or automatic_steps.steps_for(seen.rate or 0.0)
    return enter(replace(status, run=replace(run, steps=steps)), Phase.STEPPING, seen.now)


def a_blue_green_revision_that_answers_takes_over(seen: Observation) -> Status | None:
    """Without steps: it is promoted when all of its pods are ready, after the pause that the spec asks for.

    A Prometheus that does not answer holds it: nobody would see how it does.
    """
    status, run = seen.status, _ready_and_known(seen)
    if run is None or run.returning or run.rollout.blue_green is None or seen.rate is None:
        return None
    if seen.workload(status.canary).ready < needed_to_start(seen, run):
        return None
    pause = run.rollout.blue_green.pause
    if pause is not None and run.pause_over != run.step:
        message = f"{run.canary.model} answers and gets no requests yet"
        return replace(status, run=pauses.paused(status, run, pauses.BY_STEP, message, seen.now, pause.duration))
    run = replace(run, traffic_started_at=run.traffic_started_at or seen.now)
    return enter(replace(status, run=run), Phase.PROMOTING, seen.now)


def _beside_stable(seen: Observation) -> tuple[Run, Revision, Revision] | None:
    """The run of a canary that starts beside stable, with both; None for an undo, which is not compared with it."""
    run, canary, stable = run_in(seen, Phase.STARTING), seen.status.canary, seen.status.stable
    return None if run is None or run.returning or canary is None or stable is None else (run, canary, stable)


def _ready_and_known(seen: Observation) -> Run | None:
    """The run, if its canary may get traffic, with what is known by then of its model and of stable's latencies.

    Pods are ready, the route at weight 0 was seen live, and one real request through the gateway was answered well. A
    canary whose Prometheus is not asked gets no traffic.
    """
    status, run, thresholds = seen.status, run_in(seen, Phase.STARTING), seen.latency_thresholds
    if run is None or status.weight is None or status.weight.verified_at is None:
        return None
    if seen.smoke is None or not seen.smoke.live or seen.metrics_refusal is not None:
        return None
    if thresholds is None or criteria.lacks_threshold(run.objectives, thresholds):
        return None
    check = signature_change.checked(seen.signatures, status.stable.model.uri) if status.stable else None
    return replace(run, latency_thresholds=dict(thresholds), signature=check)


def _reject_before_traffic(seen: Observation, run: Run, refusal: Refusal) -> Status | None:
    if seen.status.stable is None:
        return initializing.refused(seen, run, refusal)
    return roll_back(seen, run, Outcome.REJECTED, refusal.reason, refusal.message)
