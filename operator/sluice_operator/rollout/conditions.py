"""What a person, `kubectl wait`, Argo CD and Flux read: conditions, and one sentence for the person paged.

Everything here is derived from the status and what was seen; no rule reads it back.
"""

from msgspec.structs import replace

from sluice_operator.analysis import criteria
from sluice_operator.api.names import workload
from sluice_operator.api.observation import Denied, NotAnswered, Observation, Unreachable, Unresolved
from sluice_operator.api.run import BEFORE_TRAFFIC, JUDGED, Outcome, Phase, Run
from sluice_operator.api.status import (
    LONGEST,
    LONGEST_REASON,
    METRICS_UNAVAILABLE,
    SIGNATURE_CHANGED,
    TOLERANCE_CHANGED,
    Condition,
    Status,
)
from sluice_operator.rollout import aliases, pauses
from sluice_operator.rollout.condition_state import UNPROVEN_AFTER_SECONDS, ConditionState
from sluice_operator.rollout.may_start import is_rejected, newer_revision, waits_its_time
from sluice_operator.rollout.roles import endpoints_to_keep, full_size, serves
from sluice_operator.rollout.stable_dead import stable_dead
from sluice_operator.rollout.start_conditions import hold_out_unknown, waits_for
from sluice_operator.rollout.traffic_conditions import (
    contested,
    traffic_verified,
    unproven,
    withheld,
)

# For these the registry is not asked at all.
_NOT_ASKED = "InvalidURI", "TrustNotAllowed", "PodTemplateInvalid", "HostAccessNotAllowed"
_LIFTED_BY = {
    SIGNATURE_CHANGED: "model.allowSignatureChange: true",
    TOLERANCE_CHANGED: "accuracy.min in the place of accuracy.maxDrop, or no such objective,",
}
_MOVING = Phase.PENDING, *BEFORE_TRAFFIC, Phase.ROLLING_BACK, Phase.FAILOVER


def with_conditions(seen: Observation, status: Status) -> Status:
    """`status` with its conditions and its message."""
    findings = {
        "Ready": _ready(seen, status),
        "Reconciling": _reconciling(status),
        "Stalled": _stalled(seen, status),
        "RolloutSucceeded": _rollout_succeeded(status),
        "RegistryReachable": _registry_reachable(seen, status),
        "MetricsAvailable": _metrics_available(seen, status),
        "TrafficVerified": traffic_verified(seen, status),
        "SignatureUnchanged": _signature_unchanged(status),
        "EvidenceReachable": _evidence_reachable(status),
        "Paused": pauses.condition(seen, status),
    }
    if seen.rival:
        findings["OperatorConflict"] = _rival(seen)
    known = {condition.type: condition for condition in status.conditions}
    conditions = tuple(_condition(seen, name, finding, known.get(name)) for name, finding in findings.items())
    return replace(status, conditions=conditions, message=_message(seen, status, findings)[:LONGEST])


def _rival(seen: Observation) -> ConditionState:
    words = f"the operator with the Lease {seen.rival} watches this namespace, too, and stands back"
    return "True", "OtherOperator", f"{words}: take one of the two away, or let it watch others"


def _condition(seen: Observation, name: str, finding: ConditionState, before: Condition | None) -> Condition:
    """Cut to what a person reads and the API server takes: no answer of a pod keeps a status from being written."""
    state, reason, message = finding
    since = before.last_transition_time if before and before.status == state else seen.now
    return Condition(
        type=name,
        status=state,
        reason=reason[:LONGEST_REASON],
        message=message[:LONGEST],
        last_transition_time=since,
        observed_generation=seen.generation,
    )


def _ready(seen: Observation, status: Status) -> ConditionState:
    serving = serves(status) if status.stable is not None else None
    if serving is None:
        return "False", "NoRevision", "no revision serves yet"
    pods, replicas = seen.workload(serving), full_size(seen.spec, status)
    words = f"{serving.model.uri} serves on {pods.ready} of {replicas} pods"
    if pods.ready == 0:
        return "False", "NoReadyPods", f"{words}: {pods.trouble or 'none is ready'}"
    if serving.edited_by:
        deployment = workload(seen.name, serving.revision)
        words += f"; {serving.edited_by} has edited the pod template of Deployment {deployment}"
    return "True", "Serving", words


def _reconciling(status: Status) -> ConditionState:
    run = status.run
    waits = status.phase is Phase.STARTING and run is not None and run.pause is not None  # for a person or a time
    moving = (status.phase in _MOVING and not waits) or (
        status.phase is Phase.STEPPING and run is not None and run.first_live_at is None
    )
    return ("True", status.phase, "") if moving else ("False", status.phase, "")


def _stalled(seen: Observation, status: Status) -> ConditionState:
    run = status.run
    for finding in (_needs_a_change, withheld, stable_dead, _kept, contested, unproven, _waiting_too_long):
        if (state := finding(seen, status)) is not None:
            return state
    if run is not None and status.phase is Phase.STEPPING and not run.pause and seen.now >= run.deadline_at:
        why = status.verdict.message if status.verdict else "no verdict yet"
        held = f"holds weight {status.weight.desired if status.weight else 0}"
        return "True", "DeadlineExceeded", f"{held}: evidence not complete within {run.rollout.deadline}: {why}"
    revision = seen.desired
    if revision is not None and status.phase is Phase.STABLE and is_rejected(seen, revision):
        not_again = f"{revision.model.uri} was rejected before and is not tried again as it is"
        return "False", "Rejected", f"{not_again}: {_to_retry(seen, status)}"
    if revision is not None and status.phase is Phase.STABLE and waits_its_time(seen, revision) and status.abandoned:
        by_itself = f"at {status.abandoned.retry_at:%H:%M} UTC, or " if status.abandoned.retry_at else ""
        words = f"is tried again {by_itself}with other steps, deadlines or objectives"
        return "False", "Abandoned", f"{revision.model.uri} {words}, or by {seen.command_line('retry')}"
    return aliases.refused(seen, status) or ("False", "Progressing", "")


def _to_retry(seen: Observation, status: Status) -> str:
    """What lets the revision of the spec be tried again with another end than the one before."""
    wanted = seen.desired.revision if seen.desired else ""
    reason = next((entry.reason for entry in status.rejected if entry.revision == wanted), "")
    if reason in _LIFTED_BY:
        return f"{_LIFTED_BY[reason]} in the spec lets it be tried again"
    return f"{seen.command_line('retry')}, or another rollout.retryToken, tries it again"


def _needs_a_change(seen: Observation, status: Status) -> ConditionState | None:
    """What no waiting mends: a name, a permission, the spec or the model."""
    run = status.run
    if seen.foreign:
        names = ", ".join(seen.foreign)
        return "True", "NameTaken", f"{names}: not created by this ModelDeployment; delete it or rename one of the two"
    if seen.refused:
        return "True", "WriteRefused", f"the API server refuses what this needs: {seen.refused}"
    if seen.unreadable:
        return "True", "CannotRead", f"the API server refuses what this needs to read: {seen.unreadable}"
    if isinstance(seen.resolution, Unresolved | Denied):
        return "True", seen.resolution.reason, seen.resolution.message
    if (silent := hold_out_unknown(seen, status)) is not None:
        return silent
    if seen.metrics_refusal is not None:
        return "True", seen.metrics_refusal.reason, seen.metrics_refusal.message
    if run is not None and status.phase is Phase.INITIALIZING and run.outcome is Outcome.REJECTED:
        return "True", run.reason, run.message
    return None


def _kept(seen: Observation, status: Status) -> ConditionState | None:
    serving, kept = serves(status), endpoints_to_keep(seen, status)
    if not kept:
        return None
    waits = f"revision {serving.revision}, which should serve, has no ready pods" if serving else "none may serve yet"
    return "True", "EndpointsKept", f"{waits}: Service {seen.name} goes on selecting revision {kept}, which answers"


def _waiting_too_long(seen: Observation, status: Status) -> ConditionState | None:
    """What holds the run and says nothing about the model: the registry, the gateway, metrics or capacity."""
    run, began = status.run, status.phase_started_at
    if run is None or began is None:
        return None
    late = (seen.now - began).total_seconds() > UNPROVEN_AFTER_SECONDS
    if late and status.phase is Phase.SWAPPING and seen.swap is not None and not seen.swap.live:
        until = began + run.rollout.progress_deadline
        waits = f"the promotion waits for the gateway until {until:%H:%M:%S} UTC, and the old pods stay"
        return "True", "SwapNotProven", f"{waits}: {seen.swap.detail}"
    if seen.now < began + run.rollout.progress_deadline:
        return None
    pods = seen.workload(status.canary)
    if status.phase in BEFORE_TRAFFIC and pods.unavailable:
        return "True", pods.unavailable, pods.trouble
    if status.phase in BEFORE_TRAFFIC and (obstacle := seen.obstacle(status.canary)):
        return "True", obstacle.reason, obstacle.message
    proof = seen.smoke or seen.weight or seen.swap
    if status.phase in BEFORE_TRAFFIC and proof is not None and not proof.live:
        return "True", "GatewayUnreachable", proof.detail
    if proof is not None and (waits := waits_for(seen, status, run)):
        quiet = seen.latency_thresholds is not None and criteria.lacks_threshold(
            run.objectives, seen.latency_thresholds
        )
        return "True", "TooFewRequests" if quiet else METRICS_UNAVAILABLE, waits
    if status.phase is Phase.PROMOTING:
        has = f"{pods.ready} of {full_size(seen.spec, status)} pods that the promotion needs are ready"
        return "True", "NoCapacity", f"{has}, traffic stays as it is: {pods.trouble or 'make room for more pods'}"
    if status.phase is Phase.WATCHING and status.verdict is not None and status.verdict.reason == METRICS_UNAVAILABLE:
        return "True", METRICS_UNAVAILABLE, f"the watch does not end without metrics: {status.verdict.message}"
    return None


def _rollout_succeeded(status: Status) -> ConditionState:
    run = status.run
    if run is None or run.outcome is None:
        return "Unknown", "Running" if run else "NoRun", ""
    if run.outcome is Outcome.PROMOTED:
        return "True", run.reason, run.message
    return "False", run.reason, run.message


def _registry_reachable(seen: Observation, status: Status) -> ConditionState:
    if isinstance(seen.resolution, NotAnswered):
        before = next((known for known in status.conditions if known.type == "RegistryReachable"), None)
        return (before.status, before.reason, before.message) if before else ("Unknown", "Asking", "")
    if isinstance(seen.resolution, Unreachable):
        serving = "the pinned version keeps serving, and nothing changes"
        return "False", "RegistryUnreachable", f"{seen.resolution.message}; {serving}"
    if isinstance(seen.resolution, Denied):
        return "False", seen.resolution.reason, f"{seen.resolution.message}; the pinned version keeps serving"
    if isinstance(seen.resolution, Unresolved) and seen.resolution.reason in _NOT_ASKED:
        return "Unknown", "NotAsked", seen.resolution.message
    return "True", "Answered", ""


def _metrics_available(seen: Observation, status: Status) -> ConditionState:
    verdict = status.verdict
    if seen.metrics_refusal is not None:
        return "False", seen.metrics_refusal.reason, seen.metrics_refusal.message
    if verdict is None or not _is_judged(status):
        return "Unknown", "NotJudging", ""
    if verdict.reason == METRICS_UNAVAILABLE:
        return "False", METRICS_UNAVAILABLE, f"{verdict.message}; nothing is promoted"
    return "True", "Found", ""


def _evidence_reachable(status: Status) -> ConditionState:
    verdict = status.verdict
    if status.phase is not Phase.STEPPING or verdict is None or not verdict.forecast:
        return "Unknown", "NoForecast", ""
    if verdict.unreachable:
        return "False", "TooLittleTraffic", verdict.unreachable
    return "True", "Reachable", verdict.forecast


def _is_judged(status: Status) -> bool:
    return status.phase in JUDGED


def _signature_unchanged(status: Status) -> ConditionState:
    """Of the canary, and of what it became; a change is here only if the spec allows it."""
    check = status.run.signature if status.run else None
    if check is None:
        return "Unknown", "NotCompared", ""
    states = {"Unchanged": "True", SIGNATURE_CHANGED: "False"}
    return states.get(check.reason, "Unknown"), check.reason, check.message


def _message(seen: Observation, status: Status, findings: dict[str, ConditionState]) -> str:
    for name, bad in (("Stalled", "True"), ("RegistryReachable", "False"), ("TrafficVerified", "False")):
        if findings[name][0] == bad:
            return findings[name][2]
    if findings["Paused"][0] == "True" and (status.run is None or status.run.pause or status.phase is Phase.PENDING):
        return findings["Paused"][2]
    if status.run is not None and status.phase not in (Phase.PENDING, Phase.STABLE):
        return _run_message(seen, status, status.run)
    rejected = findings["RolloutSucceeded"]
    if rejected[0] == "False":
        again = f"; {_to_retry(seen, status)}" if findings["Stalled"][1] == "Rejected" else ""
        tried = status.run.canary.revision if status.run else ""
        what = "" if status.stable and status.stable.revision == tried else "the last run was rolled back: "
        return f"{findings['Ready'][2]}; {what}{rejected[2]}{again}"
    return findings["Ready"][2]


def _run_message(seen: Observation, status: Status, run: Run) -> str:
    canary, pods = status.canary.model.uri if status.canary else "", seen.workload(status.canary)
    match status.phase:
        case Phase.INITIALIZING | Phase.STARTING:
            why = pods.trouble or waits_for(seen, status, run)
            return f"{canary} is starting" + (f": {why}" if why else "")
        case Phase.STEPPING if (step := run.strategy) is not None:
            weight = step.weight
            if status.weight is not None and status.weight.desired != weight:
                needed = step.pods(full_size(seen.spec, status))
                return f"{canary}, {step}: {pods.ready} of the {needed} pods that weight {weight} needs are ready"
            says = f": {status.verdict.message}" if status.verdict and status.verdict.message else ""
            return f"{canary}, {step}, weight {weight}{says}"
        case Phase.PROMOTING | Phase.SWAPPING:
            return f"{canary} takes over" if run.at_once else f"{canary} passed and takes over"
        case Phase.WATCHING:
            began, uri = status.phase_started_at or seen.now, status.stable.model.uri if status.stable else ""
            until = began + run.rollout.watch_after_promotion
            newer = newer_revision(seen)
            waits = f"; {newer.model.uri} waits until then" if newer is not None else ""
            return f"{uri} took over and is watched until {until:%H:%M:%S} UTC{waits}"
        case Phase.ROLLING_BACK:
            return f"traffic goes back: {run.message}"
        case _:
            return ""
