"""Which revision serves, and how many pods each one has, as a function of spec and status. Pure."""

from sluice_operator.api.observation import Observation
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Outcome, Phase, Run
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Status
from sluice_operator.rollout.rejections import is_for_answers

_CANARY_SERVES = (Phase.SWAPPING, Phase.FAILOVER)


def serves(status: Status) -> Revision | None:
    """The revision that Service NAME selects. None before the first one has pods, or if it may not serve."""
    if status.phase is Phase.INITIALIZING:
        has_pods = status.canary is not None and status.canary.is_prepared
        return status.canary if has_pods and status.run is not None and _may_serve(status.run) else None
    return status.canary if status.phase in _CANARY_SERVES else status.stable


def endpoints_to_keep(seen: Observation, status: Status) -> str:
    """The revision that Service NAME goes on selecting, although another one should serve; empty if there is none.

    Whatever led here (a status from a backup, pods that died in between): callers keep the answers that they get.
    """
    serving = serves(status)
    if serving is not None and (seen.selected in ("", serving.revision) or seen.workload(serving).ready > 0):
        return ""
    return seen.selected if seen.answered else ""


def _may_serve(run: Run) -> bool:
    """Whether a first revision may serve when its pods get ready: it was not refused. One that is only late may."""
    refused = run.outcome is Outcome.REJECTED and is_for_answers(run.reason)
    return not refused and not run.awaits_hold_out


def needed_to_start(seen: Observation, run: Run) -> int:
    """Ready pods of the canary that a start waits for: one, or all where all requests move at once."""
    return full_size(seen.spec, seen.status) if run.rollout.blue_green is not None and not run.returning else 1


def full_size(spec: Spec, status: Status) -> int:
    """Pods of a revision that serves all requests: those of the spec, or as many as somebody has scaled stable to."""
    return max(spec.server.replicas, status.scaled_to)


def sizes(spec: Spec, status: Status) -> list[tuple[Revision, int]]:
    """Revisions that have pods, each with its number of replicas."""
    full = full_size(spec, status)
    active = [(revision, full) for revision in (status.stable, status.previous) if revision]
    if status.canary is not None:
        active.append((status.canary, _canary(status, full)))
    names = {revision.revision for revision, _ in active}
    return active + [(old.revision, old.replicas) for old in status.retiring if old.revision.revision not in names]


def _canary(status: Status, full: int) -> int:
    """Pods of the canary.

    All, if it has no route (there is no stable, or it is rolled back out of the watch), serves, is being promoted, or
    gets all requests at once. Else what its step needs; one before the steps are chosen.
    """
    run = status.run
    if status.weight is None or run is None or run.at_once or status.phase in (Phase.PROMOTING, *_CANARY_SERVES):
        return full
    return run.strategy.pods(full) if run.strategy else 1
