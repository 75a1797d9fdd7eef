"""Rules for a canary that takes traffic: how the weight rises, and what rolls it back."""

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.spec import OnDeadline
from sluice_operator.api.status import Outcome, Phase, Result, Status
from sluice_operator.rollout.transitions import begin_run, enter, is_rejected, take_back, write_weight


def a_failed_verdict_takes_traffic_back(seen: Observation) -> Status | None:
    """A Fail acts at any weight, and in Watching returns to the revision that served before."""
    status, verdict = seen.status, seen.verdict
    if verdict is None or verdict.result is not Result.FAIL:
        return None
    judged = status.phase in (Phase.STEPPING, Phase.PROMOTING) or (
        status.phase is Phase.WATCHING and status.previous is not None
    )
    return take_back(seen, Outcome.REJECTED, verdict.reason, verdict.message) if judged else None


def a_newer_revision_replaces(seen: Observation) -> Status | None:
    """The newest revision wins in mid-run; going back to the stable one ends the run. Weight 0 is seen live first."""
    status, revision = seen.status, seen.desired
    if revision is None or status.canary is None or revision.revision == status.canary.revision:
        return None
    if status.phase not in (Phase.STARTING, Phase.STEPPING, Phase.PROMOTING) or (status.run and status.run.swapped):
        return None
    if status.stable is None:
        return begin_run(seen, revision)
    model = revision.model
    if revision.revision == status.stable.revision:
        return take_back(
            seen, Outcome.WITHDRAWN, "Withdrawn", f"the spec names the stable revision again ({model.uri})"
        )
    return take_back(seen, Outcome.SUPERSEDED, "Superseded", f"{model.uri} (revision {revision.revision}) is newer")


def changed_terms_restart_the_run(seen: Observation) -> Status | None:
    """Other steps or objectives, or another Prometheus, in mid-run: the same canary begins again.

    From weight 0 and without evidence; unless it was rejected under these objectives before: then it stays so.
    """
    status, run, spec = seen.status, seen.status.run, seen.spec
    if status.phase not in (Phase.STARTING, Phase.STEPPING) or status.stable is None:
        return None
    if run is None or status.canary is None:
        return None
    terms = spec.rollout, spec.objectives, spec.confidence, spec.prometheus
    if (run.rollout, run.objectives, run.confidence, run.prometheus) == terms:
        return None
    if is_rejected(seen, status.canary):
        message = f"{status.canary.model.uri} was rejected before under these objectives"
        return take_back(seen, Outcome.WITHDRAWN, "Rejected", message)
    return begin_run(seen, status.canary)


def a_canary_without_ready_pods_gets_no_traffic(seen: Observation) -> Status | None:
    """Weight 0 at once; the step gets its weight again, from the start, when pods are ready."""
    status = seen.status
    if status.phase not in (Phase.STEPPING, Phase.PROMOTING) or status.weight is None or status.weight.desired == 0:
        return None
    if seen.workload(status.canary).ready > 0:
        return None
    assert status.run is not None
    without_clock = replace(status, run=replace(status.run, step_started_at=None))
    return enter(write_weight(without_clock, 0, seen.now), Phase.STEPPING, seen.now)


def a_step_with_ready_pods_gets_its_weight(seen: Observation) -> Status | None:
    """Pods first, then the weight that needs them."""
    status, run = seen.status, seen.status.run
    if status.phase is not Phase.STEPPING or status.weight is None or run is None:
        return None
    weight = run.strategy.weight
    if status.weight.desired == weight:
        return None
    if seen.workload(status.canary).ready < run.strategy.pods(seen.spec.server.replicas):
        return None
    run = replace(run, traffic_started_at=run.traffic_started_at or seen.now, step_started_at=None)
    return write_weight(replace(status, run=run), weight, seen.now)


def a_passed_step_leads_to_the_next(seen: Observation) -> Status | None:
    """Or, after the last one, to the promotion. Only a verdict on this step's proven weight counts."""
    status, run, verdict = seen.status, seen.status.run, seen.verdict
    if status.phase is not Phase.STEPPING or run is None or run.step_started_at is None:
        return None
    if verdict is None or verdict.result is not Result.PASS:
        return None
    if run.strategy.is_last:
        return enter(status, Phase.PROMOTING, seen.now)
    return replace(status, run=replace(run, step=run.step + 1, step_started_at=None), verdict=None)


def a_clean_run_past_its_deadline_is_promoted(seen: Observation) -> Status | None:
    """Only where `onDeadline` says so: the step's requests are there, nothing fails, and nothing is proven."""
    status, run, verdict = seen.status, seen.status.run, seen.verdict
    if status.phase is not Phase.STEPPING or run is None or verdict is None or not verdict.clean:
        return None
    late = seen.now >= run.started_at + run.rollout.deadline
    if run.rollout.on_deadline is not OnDeadline.PROMOTE_IF_CLEAN or not late:
        return None
    message = f"promoted at its deadline {run.rollout.deadline}, clean but without proof: {verdict.message}"
    unproven = replace(run, reason="PromotedUnproven", message=message)
    return enter(replace(status, run=unproven), Phase.PROMOTING, seen.now)


def a_run_past_its_deadline_is_taken_back(seen: Observation) -> Status | None:
    """Only where `onDeadline` says so; otherwise the run holds its weight, and the conditions say it."""
    status, run = seen.status, seen.status.run
    if status.phase is not Phase.STEPPING or run is None or run.rollout.on_deadline is not OnDeadline.ROLLBACK:
        return None
    if seen.now < run.started_at + run.rollout.deadline:
        return None
    why = status.verdict.message if status.verdict else "no verdict"
    message = f"evidence not complete within deadline {run.rollout.deadline}: {why}"
    return take_back(seen, Outcome.REJECTED, "DeadlineExceeded", message)
