"""Rules for the end of a run: the swap of roles, the watch, and the rollback."""

from datetime import timedelta

from msgspec.structs import replace

from sluice_operator.api.observation import Observation, Refusal
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Outcome, Phase, Run
from sluice_operator.api.status import METRICS_UNAVAILABLE, Status
from sluice_operator.rollout.phases import run_in, time_in_phase
from sluice_operator.rollout.rejections import NO_READY_PODS, unacted_fail
from sluice_operator.rollout.roles import full_size
from sluice_operator.rollout.transitions import alias_after, end_run, ended, enter, not_live, roll_back

# After this a rollback ends without a proof, because removing the route is safer than waiting. A swap that is not
# proven by then no longer keeps other rules from acting: a Fail may end the promotion.
PROOF_PATIENCE = timedelta(seconds=30)


def a_full_canary_is_swapped_in(seen: Observation) -> Status | None:
    """Service NAME selects the canary only when as many of its pods are ready as stable should have."""
    run = run_in(seen, Phase.PROMOTING)
    if run is None or seen.workload(seen.status.canary).ready < full_size(seen.spec, seen.status):
        return None
    return enter(seen.status, Phase.SWAPPING, seen.now)


def a_promoted_revision_without_ready_pods_is_rolled_back(seen: Observation) -> Status | None:
    """Callers get no answer from it and would get one from the old revision: no evidence and no proof is needed.

    What keeps its pods from running, such as a full cluster, is nothing to remember of the model: it is tried again. A
    Fail that waited for pods to go back to comes first.
    """
    status, run = seen.status, run_in(seen, Phase.SWAPPING, Phase.WATCHING)
    if run is None:
        return None
    swapping = status.phase is Phase.SWAPPING
    promoted, old = (status.canary, status.stable) if swapping else (status.stable, status.previous)
    pods, others = seen.workload(promoted), seen.workload(old)
    if pods.ready > 0 or others.ready == 0:
        return None
    if (failed := unacted_fail(status)) is not None:
        return roll_back(seen, run, Outcome.REJECTED, failed.reason, failed.message)
    message = f"no pod of it is ready any more, {others.ready} of the old revision are: {_why(seen, promoted)}"
    obstacle = seen.obstacle(promoted)
    if pods.unavailable:
        obstacle = Refusal(pods.unavailable, pods.trouble)
    if obstacle is None:
        return roll_back(seen, run, Outcome.REJECTED, NO_READY_PODS, message)
    rest = run.rollout.progress_deadline
    return roll_back(seen, run, Outcome.ABANDONED, obstacle.reason, message, retry_after=rest)


def a_promotion_once_swapped_is_finished(seen: Observation) -> Status | None:
    """When the swap is proven, the canary route goes: both of its backends are the same pods by now.

    A pod that never gets ready, or a gateway that does not answer, delays that for `progressDeadline` at most.
    """
    status, run = seen.status, run_in(seen, Phase.SWAPPING)
    if run is None:
        return None
    proven, waited = seen.swap is not None and seen.swap.live, time_in_phase(seen)
    if not proven and (waited < run.rollout.progress_deadline or seen.workload(status.canary).ready == 0):
        return status if waited < PROOF_PATIENCE else None
    watched = replace(not_live(run, seen.now), step_started_at=None, promoted_at=seen.now)
    promoted = replace(
        status,
        stable=status.canary,
        previous=status.stable,
        canary=None,
        weight=None,
        verdict=None,
        run=watched,  # still judged, with one error budget
    )
    return enter(promoted, Phase.WATCHING, seen.now)


def the_previous_revision_asked_for_again_comes_back(seen: Observation) -> Status | None:
    """Nobody who goes back waits for a proof or for the end of the watch, if pods are there to go back to."""
    status, run, wanted = seen.status, run_in(seen, Phase.SWAPPING, Phase.WATCHING), seen.desired
    old = status.stable if status.phase is Phase.SWAPPING else status.previous
    if run is None or run.returning or wanted is None or old is None or wanted.revision != old.revision:
        return None
    if seen.workload(old).ready == 0:
        return None
    message = f"the spec names the previous revision again ({old.model.uri})"
    return roll_back(seen, run, Outcome.WITHDRAWN, "Withdrawn", message)


def a_watch_that_is_over_ends_in_stable(seen: Observation) -> Status | None:
    """The old revision leaves. If the watch was quiet, the alias moves to the promoted version.

    Without metrics, or with a failure that nobody is left to go back from, it has `deadline` more time, unless a newer
    revision waits for its end.
    """
    status, run = seen.status, run_in(seen, Phase.WATCHING)
    if run is None or status.stable is None:
        return None
    newer = seen.desired is not None and seen.desired.revision != status.stable.revision
    blind = seen.verdict is not None and seen.verdict.reason == METRICS_UNAVAILABLE
    ending = _with_failure(seen, run, status.stable)
    patience = run.rollout.deadline if (blind or ending is not None) and not newer else timedelta(0)
    if time_in_phase(seen) < run.rollout.watch_after_promotion + patience:
        return None
    alias = status.alias
    if ending is None:
        reason, message = run.reason or "Promoted", run.message or f"{status.stable.model.uri} was promoted"
        if blind and run.at_once and not run.returning:  # nothing was known before the watch either
            reason, message = "PromotedUnproven", f"{message}, and its watch had no metrics"
        alias, ending = (
            alias_after(seen, status.stable),
            ended(run, Outcome.PROMOTED, reason, message, seen.now),
        )
    over = replace(status, alias=alias, verdict=None)
    return end_run(seen, over, ending, status.stable, leaving=status.previous)


def a_rollback_is_finished(seen: Observation) -> Status | None:
    """When weight 0 (or, after the watch, the returned role) is seen live, the canary's pods retire."""
    status, run = seen.status, run_in(seen, Phase.ROLLING_BACK)
    if run is None or status.canary is None:
        return None
    proof = seen.weight if status.weight is not None else seen.swap
    proven = proof is None or proof.live
    if not proven and time_in_phase(seen) < PROOF_PATIENCE:
        return status
    return end_run(seen, status, run, status.canary, leaving=status.canary, unproven_route=not proven)


def _with_failure(seen: Observation, run: Run, promoted: Revision) -> Run | None:
    """`run` at the end of a watch in which the promoted revision failed; None after a quiet one."""
    failed, stays = unacted_fail(seen.status), "it stays, because the previous revision had no ready pods to go back to"
    if failed is not None:
        message = f"{promoted.model.uri} fails ({failed.message}); {stays}"
        return ended(run, Outcome.REJECTED, failed.reason, message, seen.now)
    if seen.workload(promoted).ready == 0:
        message = f"no pod of {promoted.model.uri} is ready: {_why(seen, promoted)}; {stays}"
        return ended(run, Outcome.ABANDONED, NO_READY_PODS, message, seen.now)
    return None


def _why(seen: Observation, revision: Revision | None) -> str:
    obstacle = seen.obstacle(revision)
    return seen.workload(revision).trouble or (obstacle.message if obstacle else "they left")
