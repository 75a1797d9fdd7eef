"""Rules for the end of a run: the swap of roles, the watch, and the way back."""

from datetime import timedelta

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.status import METRICS_UNAVAILABLE, Outcome, Phase, Status
from sluice_operator.rollout.transitions import alias_after, end_run, ended, enter, not_live, take_back

# After this a way back goes on unproven, because removing the route is safer than waiting; and a swap can be failed.
PROOF_PATIENCE = timedelta(seconds=30)


def a_full_canary_is_swapped_in(seen: Observation) -> Status | None:
    """Service NAME turns to the canary only when as many pods are ready there as stable should have."""
    status, run = seen.status, seen.status.run
    if status.phase is not Phase.PROMOTING or run is None or run.swapped:
        return None
    if seen.workload(status.canary).ready < seen.spec.server.replicas:
        return None
    return replace(status, run=replace(run, swapped=True))


def a_successor_without_ready_pods_gives_the_role_back(seen: Observation) -> Status | None:
    """Callers get no answer from it and would from the old revision: no question of evidence, nor of a proof."""
    status, run = seen.status, seen.status.run
    if status.phase is Phase.PROMOTING and run is not None and run.swapped:
        successor, old = status.canary, status.stable
    elif status.phase is Phase.WATCHING:
        successor, old = status.stable, status.previous
    else:
        return None
    pods, others = seen.workload(successor), seen.workload(old)
    if pods.ready > 0 or others.ready == 0:
        return None
    message = f"no pod of it is ready any more, {others.ready} of the old revision are: {pods.trouble or 'they left'}"
    return take_back(seen, Outcome.REJECTED, "NoReadyPods", message)


def a_promotion_once_swapped_is_finished(seen: Observation) -> Status | None:
    """When the swap is proven, the canary route goes: both of its backends are the same pods by now."""
    status, run = seen.status, seen.status.run
    if status.phase is not Phase.PROMOTING or run is None or not run.swapped:
        return None
    if seen.swap is None or not seen.swap.live:
        assert status.phase_started_at is not None
        return status if seen.now < status.phase_started_at + PROOF_PATIENCE else None
    run = not_live(run, seen.now) or run
    watched = replace(run, step_started_at=None, swapped=False, promoted_at=seen.now)
    promoted = replace(
        status,
        stable=status.canary,
        previous=status.stable,
        canary=None,
        weight=None,
        verdict=None,
        run=watched,  # judged on, with one error budget
    )
    return enter(promoted, Phase.WATCHING, seen.now)


def a_quiet_watch_ends_in_stable(seen: Observation) -> Status | None:
    """The old revision leaves, and the alias follows the evidence; a watch that sees nothing does not end."""
    status, run = seen.status, seen.status.run
    if status.phase is not Phase.WATCHING or run is None or status.phase_started_at is None or status.stable is None:
        return None
    blind = seen.verdict is not None and seen.verdict.reason == METRICS_UNAVAILABLE
    if blind or seen.now < status.phase_started_at + run.rollout.watch_after_promotion:
        return None
    reason = run.reason or "Promoted"
    message = run.message or f"{status.stable.model.uri} was promoted"
    promoted = replace(
        status,
        run=ended(run, Outcome.PROMOTED, reason, message, seen.now),
        alias=alias_after(seen, status.stable),
        verdict=None,  # it watched for a failure, and there was none
    )
    return end_run(seen, promoted, leaving=status.previous)


def a_rollback_is_finished(seen: Observation) -> Status | None:
    """When weight 0 (or, after Watching, the returned role) is seen live, the canary's pods retire."""
    status = seen.status
    if status.phase is not Phase.ROLLING_BACK:
        return None
    assert status.phase_started_at is not None
    proof = seen.weight if status.weight is not None else seen.swap
    if proof is not None and not proof.live and seen.now < status.phase_started_at + PROOF_PATIENCE:
        return status
    proven = proof is None or proof.live
    return end_run(seen, status, leaving=status.canary, unproven_route=not proven)
