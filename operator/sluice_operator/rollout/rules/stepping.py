"""Rules for a canary that takes traffic: how the weight rises, and what brings it back to 0."""

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.rollout_spec import OnDeadline
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import Result, Status
from sluice_operator.rollout import revisions, without_pass
from sluice_operator.rollout.contest import contested_by
from sluice_operator.rollout.phases import run_in
from sluice_operator.rollout.rejections import unacted_fail
from sluice_operator.rollout.roles import full_size
from sluice_operator.rollout.starts import begin_again
from sluice_operator.rollout.transitions import (
    enter,
    next_step,
    roll_back,
    write_weight,
)


def a_failed_verdict_takes_traffic_back(seen: Observation) -> Status | None:
    """A Fail acts at any weight. In the watch the revision that served before takes over again."""
    run = run_in(seen, Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING, Phase.WATCHING)
    failed = unacted_fail(seen.status)
    if run is None or failed is None:
        return None
    back_to = seen.status.previous if seen.status.phase is Phase.WATCHING else seen.status.stable
    if seen.workload(back_to).ready == 0:  # no answer at all is worse than the answers of a bad model
        return None
    return roll_back(seen, run, Outcome.REJECTED, failed.reason, failed.message)


def a_newer_revision_replaces(seen: Observation) -> Status | None:
    """The newest revision wins in mid-run; the stable one, asked for again, ends the run. Weight 0 comes first."""
    status, revision, run = seen.status, seen.desired, run_in(seen, Phase.STARTING, Phase.STEPPING, Phase.PROMOTING)
    if run is None or run.returning or revision is None or status.canary is None or status.stable is None:
        return None
    if revision.revision == status.canary.revision:
        return None
    uri = revision.model.uri
    if revision.revision == status.stable.revision:
        return roll_back(seen, run, Outcome.WITHDRAWN, "Withdrawn", f"the spec names the stable revision again ({uri})")
    if seen.spec.suspend:
        return None
    message = f"{uri} (revision {revision.revision}) is newer"
    return roll_back(seen, run, Outcome.SUPERSEDED, "Superseded", message)


def a_changed_route_restarts_the_run(seen: Observation) -> Status | None:
    """Another host or class in mid-run: the same canary begins again, at weight 0 of the new route.

    No run is judged with requests from two routes. From the swap on there is no weight that could be moved.
    """
    status, run = seen.status, run_in(seen, Phase.STARTING, Phase.STEPPING, Phase.PROMOTING)
    if run is None or status.canary is None or status.route is None:
        return None
    return None if status.route.traffic == run.traffic else begin_again(seen, run, status.canary)


def changed_terms_restart_the_run(seen: Observation) -> Status | None:
    """Other steps or objectives in mid-run: the same canary begins again.

    It begins at weight 0 and without evidence; the pause of a person stays. If it was rejected under these objectives
    before, it stays rejected.
    """
    status, run, spec = seen.status, run_in(seen, Phase.STARTING, Phase.STEPPING), seen.spec
    if run is None or status.canary is None or run.returning or spec.suspend:
        return None
    if not revisions.terms_changed(run, spec, seen.generation):
        return None
    return begin_again(seen, run, status.canary)


def a_canary_without_ready_pods_gets_no_traffic(seen: Observation) -> Status | None:
    """Weight 0 at once. When pods are ready, the step gets its weight again, and starts anew; so does blue-green."""
    status, run = seen.status, run_in(seen, Phase.STEPPING, Phase.PROMOTING)
    if run is None or status.weight is None or seen.workload(status.canary).ready > 0:
        return None
    if status.phase is Phase.PROMOTING and run.at_once and not run.returning:
        return enter(status, Phase.STARTING, seen.now)
    if status.weight.desired == 0:
        return None
    without_clock = replace(status, run=replace(run, step_started_at=None))
    return enter(write_weight(without_clock, 0, seen.now), Phase.STEPPING, seen.now)


def a_contested_route_keeps_its_weight(seen: Observation) -> Status | None:
    """Somebody else writes the route again and again: nothing is raised or promoted, and nobody is rolled back for it.

    `rollout.deadline` goes on.
    """
    run = run_in(seen, Phase.STEPPING, Phase.PROMOTING)
    if run is None or contested_by(run, seen.now) is None:
        return None
    return a_run_past_its_deadline_is_rolled_back(seen) or seen.status


def a_step_with_ready_pods_gets_its_weight(seen: Observation) -> Status | None:
    """Pods first, then the weight that needs them."""
    status, run = seen.status, run_in(seen, Phase.STEPPING)
    if run is None or (strategy := run.strategy) is None or status.weight is None:
        return None
    if status.weight.desired == strategy.weight:
        return None
    if seen.workload(status.canary).ready < strategy.pods(full_size(seen.spec, status)):
        return None
    weighted = replace(run, traffic_started_at=run.traffic_started_at or seen.now, step_started_at=None)
    return write_weight(replace(status, run=weighted), strategy.weight, seen.now)


def a_passed_step_leads_to_the_next(seen: Observation) -> Status | None:
    """Or, after the last one, to the promotion. Only a verdict on this step's proven weight counts."""
    status, run, verdict = seen.status, run_in(seen, Phase.STEPPING), seen.verdict
    if run is None or run.step_started_at is None or verdict is None or verdict.result is not Result.PASS:
        return None
    if (strategy := run.strategy) is None:
        return None
    run = without_pass.passed(run)
    return enter(replace(status, run=run), Phase.PROMOTING, seen.now) if strategy.is_last else next_step(status, run)


def a_clean_run_past_its_deadline_is_promoted(seen: Observation) -> Status | None:
    """Only where `onDeadline` says so: the step has its requests and nothing fails, but nothing is proven either."""
    status, run, verdict = seen.status, run_in(seen, Phase.STEPPING), seen.verdict
    if run is None or verdict is None or not verdict.clean:
        return None
    late = seen.now >= run.deadline_at
    if run.rollout.on_deadline is not OnDeadline.PROMOTE_IF_CLEAN or not late:
        return None
    message = f"promoted at its deadline {run.rollout.deadline}, clean but without proof: {verdict.message}"
    unproven = without_pass.left(run, "PromotedUnproven", message)
    return enter(replace(status, run=unproven), Phase.PROMOTING, seen.now)


def a_run_past_its_deadline_is_rolled_back(seen: Observation) -> Status | None:
    """Only where `onDeadline` says so. Otherwise the run holds its weight, and the conditions say it.

    Too little evidence is no verdict on the model: it is tried again under other terms.
    """
    run, verdict = run_in(seen, Phase.STEPPING), seen.status.verdict
    if run is None or run.rollout.on_deadline is not OnDeadline.ROLLBACK:
        return None
    if seen.now < run.deadline_at:
        return None
    why = verdict.message if verdict else "no verdict"
    message = f"evidence not complete within deadline {run.rollout.deadline}: {why}"
    return roll_back(seen, run, Outcome.ABANDONED, "DeadlineExceeded", message)
