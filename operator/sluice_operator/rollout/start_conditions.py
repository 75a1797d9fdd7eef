"""What a start waits for, and who can help: conditions of the time before any traffic. Pure."""

from sluice_operator.analysis import criteria, hold_out
from sluice_operator.api.observation import Denied, Observation, Unreachable
from sluice_operator.api.run import BEFORE_TRAFFIC, Phase, Run
from sluice_operator.api.status import Status
from sluice_operator.rollout.condition_state import UNPROVEN_AFTER_SECONDS, ConditionState
from sluice_operator.rollout.roles import needed_to_start


def is_held(seen: Observation, status: Status, run: Run) -> bool:
    """Whether something else than the model holds the start: a gateway, a registry or a cluster in trouble."""
    pods = seen.workload(status.canary)
    answers_wrongly = seen.smoke is not None and seen.smoke.by_canary
    answers = pods.ready >= needed_to_start(seen, run) and not answers_wrongly
    return bool(pods.unavailable) or answers or seen.obstacle(status.canary) is not None


def hold_out_unknown(seen: Observation, status: Status) -> ConditionState | None:
    """A login that is refused needs a person at once; a registry that is silent for a moment does not."""
    run, began = status.run, status.phase_started_at
    if run is None or run.outcome is not None or began is None or status.phase not in BEFORE_TRAFFIC:
        return None
    words = "the start waits for the result on the hold-out, or for objectives without it"
    match hold_out.unknown(run.objectives, seen.hold_outs):
        case Denied(reason, message):
            return "True", reason, f"{message}; {words}"
        case Unreachable(message) if (seen.now - began).total_seconds() > UNPROVEN_AFTER_SECONDS:
            return "True", "RegistryUnreachable", f"{message}; {words}"
    return None


def waits_for(seen: Observation, status: Status, run: Run) -> str:
    """What a canary that is ready and answers still waits for, in Starting; nothing if it is something else."""
    if status.phase is not Phase.STARTING or status.stable is None or seen.smoke is None or not seen.smoke.live:
        return ""
    if seen.latency_thresholds is None:
        words = "Prometheus says how long stable's requests take; write latency.max to go on without"
    elif criteria.lacks_threshold(run.objectives, seen.latency_thresholds):
        words = "stable has answered requests that a latency can be compared with: send some, or write latency.max"
    elif not run.steps and seen.rate is None:
        words = "Prometheus says how many requests there are"
        words += "" if run.at_once else "; write rollout.canary.steps to choose it"
    else:
        return ""
    return f"the first weight waits until {words}"
