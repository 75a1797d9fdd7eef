"""A stable revision without ready pods: what takes its place for good and when, and what is told meanwhile. Pure."""

from datetime import datetime, timedelta

from sluice_operator.api.observation import Observation, Workload
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Phase, Run
from sluice_operator.api.status import Status
from sluice_operator.rollout.condition_state import ConditionState
from sluice_operator.rollout.rejections import unacted_fail

_STEADY = timedelta(minutes=1)


def steady_after(run: Run) -> timedelta:
    """For how long a stable that was dead must be ready again: a minute, and not longer than it may be dead."""
    return min(_STEADY, run.rollout.stable_dead_deadline)


def yields_at(seen: Observation, status: Status) -> datetime | None:
    """When the canary that answers in stable's place becomes stable; None if it does not, however long that takes.

    It does not while somebody has paused the run, or if it fails, or unless the spec is known to name another revision
    than stable: a silent registry says nothing.
    """
    run, began, wanted = status.run, status.phase_started_at, seen.desired
    if run is None or began is None or _is_paused(seen, run) or unacted_fail(status) is not None:
        return None
    if wanted is None or (status.stable is not None and wanted.revision == status.stable.revision):
        return None
    return began + run.rollout.stable_dead_deadline - timedelta(seconds=run.failover_seconds)


def stable_dead(seen: Observation, status: Status) -> ConditionState | None:
    """The condition while requests are answered by a canary that nobody has judged, by one that fails, or by nobody."""
    undo = status.run is not None and status.run.returning
    if status.phase is Phase.WATCHING:
        serves, other = status.stable, status.previous
    elif status.phase in (Phase.SWAPPING, Phase.FAILOVER):
        serves, other = status.canary, status.stable
    elif undo and status.phase in (Phase.STARTING, Phase.PROMOTING):
        serves, other = status.stable, status.canary
    else:
        return None
    if serves is None or other is None:
        return None
    pods, others, failed = seen.workload(serves), seen.workload(other), unacted_fail(status)
    if pods.ready == 0 and others.ready == 0:
        nobody = f"neither {serves.model.uri} ({_why(pods)}) nor {other.model.uri} ({_why(others)}) has ready pods"
        ways_out = "mend one of them, or name another revision, which is tried at once"
        ends = f"; {seen.command_line('abort')} ends the undo" if undo else ""
        return "True", "StableDead", f"{nobody}: {ways_out}{ends}"
    if status.phase is Phase.FAILOVER:
        return "True", "StableDead", _failover(seen, status, other, serves)
    if status.phase is Phase.SWAPPING or failed is None or others.ready > 0:
        return None
    says = f"{serves.model.uri} fails ({failed.message})"
    return "True", "StableDead", f"{says}, but the previous revision has no ready pods to go back to"


def _failover(seen: Observation, status: Status, stable: Revision, canary: Revision) -> str:
    pods, run = seen.workload(stable), status.run
    if run is not None and run.stable_ready_since is not None:
        back = run.stable_ready_since + steady_after(run)
        ready = f"{stable.model.uri} is ready again, and gets its requests back at {back:%H:%M:%S} UTC if it stays so"
        return f"{ready}; until then {canary.model.uri} takes them all"
    has = f"has only {pods.ready}" if pods.ready > 0 else "has no"
    return f"{stable.model.uri} {has} ready pods: {_why(pods)}; {_in_its_place(seen, status, canary)}"


def _in_its_place(seen: Observation, status: Status, canary: Revision) -> str:
    takes, until = f"{canary.model.uri} takes all requests", yields_at(seen, status)
    if until is not None:
        return f"{takes} without a verdict, and is stable at {until:%H:%M:%S} UTC unless they come back"
    if (failed := unacted_fail(status)) is not None:
        return f"{takes} though it fails ({failed.message}), and is rejected when they are back"
    if status.run is not None and _is_paused(seen, status.run):
        return f"{takes} without a verdict, and is not stable while the run is paused"
    if seen.desired is None:
        return f"{takes} and is not stable before it is known which version the spec names"
    return f"{takes} until they come back, because the spec names the stable revision"


def _is_paused(seen: Observation, run: Run) -> bool:
    return run.pause is not None or seen.spec.suspend


def _why(pods: Workload) -> str:
    return pods.trouble or "none is there"
