"""Rules for a stable revision that has no ready pods. Requests never go to it while somebody else could answer them.

The canary then takes all requests, unjudged. If stable stays dead, the canary becomes stable without a comparison. One
whose verdict was Fail answers meanwhile, but never becomes stable. One whose answers were rejected gets no requests.
"""

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Outcome, Phase, Run
from sluice_operator.api.status import Status
from sluice_operator.rollout import pauses
from sluice_operator.rollout.leaving import give_up
from sluice_operator.rollout.may_start import newer_revision
from sluice_operator.rollout.phases import run_in, time_in_phase
from sluice_operator.rollout.rejections import is_for_answers, unacted_fail
from sluice_operator.rollout.roles import full_size
from sluice_operator.rollout.stable_dead import steady_after, yields_at
from sluice_operator.rollout.starts import begin_again, begin_run
from sluice_operator.rollout.transitions import (
    end_run,
    ended,
    enter,
    not_live,
    roll_back,
    write_weight,
)


def a_stable_without_ready_pods_leaves_its_requests_to_the_canary(seen: Observation) -> Status | None:
    """At once: Service NAME selects the canary, which gets all of its pods. Its weight stays as it is."""
    status = seen.status
    run = run_in(seen, Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.ROLLING_BACK)
    if run is None or (run.outcome is Outcome.REJECTED and is_for_answers(run.reason)):
        return None
    if run.returning and run.outcome is None:  # it takes over for good, by a rule of its own
        return None
    if seen.workload(status.stable).ready > 0 or seen.workload(status.canary).ready == 0:
        return None
    return _fail_over(seen, run)


def a_swap_without_ready_pods_on_either_side_is_a_failover(seen: Observation) -> Status | None:
    """After `stableDeadDeadline`, or at once for a newer revision: nothing can be proven, whoever is ready serves."""
    run = run_in(seen, Phase.SWAPPING)
    if run is None or seen.workload(seen.status.stable).ready > 0 or seen.workload(seen.status.canary).ready > 0:
        return None
    waits = newer_revision(seen) is None and time_in_phase(seen) < run.rollout.stable_dead_deadline
    return None if waits else _fail_over(seen, run)


def a_watch_or_an_undo_without_ready_pods_yields_to_a_newer_revision(seen: Observation) -> Status | None:
    """At once: there is nobody to watch, nobody to go back to and nobody to come back. The alias does not move."""
    status, newer = seen.status, newer_revision(seen)
    run = run_in(seen, Phase.WATCHING, Phase.STARTING, Phase.PROMOTING)
    if run is None or newer is None or not (run.returning or status.phase is Phase.WATCHING):
        return None
    if any(seen.workload(role).ready > 0 for role in (status.stable, status.canary, status.previous)):
        return None
    message = f"{newer.model.uri} is newer, and neither {run.canary.model} nor the one before has ready pods"
    return give_up(seen, run, Outcome.SUPERSEDED, "Superseded", message)


def an_undo_goes_on_when_its_revision_answers(seen: Observation) -> Status | None:
    """Whoever was undone gets no requests back, and whatever the spec names says nothing about that."""
    run = run_in(seen, Phase.FAILOVER)
    if run is None or not run.returning or seen.workload(seen.status.canary).ready == 0:
        return None
    return enter(seen.status, Phase.SWAPPING, seen.now)


def a_failover_whose_status_was_lost_waits_for_a_person(seen: Observation) -> Status | None:
    """Nobody knows any more whether its canary had failed, or was paused: it answers, and does not become stable."""
    status = seen.status
    canary = next((entry.revision for entry in status.retiring if entry.revision.revision == seen.selected), None)
    if not seen.adopted or canary is None or canary.revision in _rejected_for_answers(status):
        return None
    if seen.workload(status.stable).ready > 0 or seen.workload(canary).ready == 0:
        return None
    begun = enter(begin_run(seen, canary), Phase.FAILOVER, seen.now)
    assert begun.run is not None
    message = f"the status was lost while {canary.model.uri} answered in stable's place, and what was known of it, too"
    return replace(begun, run=pauses.paused(begun, begun.run, pauses.STATUS_LOST, message, seen.now))


def a_stable_without_ready_pods_leaves_its_requests_to_a_retiring_revision(seen: Observation) -> Status | None:
    """Of those that still have ready pods the newest, if none that has a role can answer, unless its answers are bad.

    A run that is under way ends first. A canary that nobody holds starts again beside whoever is stable then.
    """
    status, run = seen.status, run_in(seen, Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.FAILOVER)
    if status.phase is not Phase.STABLE and run is None:
        return None
    if any(seen.workload(role).ready > 0 for role in (status.stable, status.canary)):
        return None
    rejected = _rejected_for_answers(status)
    ready = (entry.revision for entry in reversed(status.retiring) if seen.workload(entry.revision).ready > 0)
    answers = next((revision for revision in ready if revision.revision not in rejected), None)
    if answers is None:
        return None
    if run is None:
        return enter(begin_run(seen, answers), Phase.FAILOVER, seen.now)
    dead = f"neither {run.canary.model} nor {run.stable.model if run.stable else 'stable'} had ready pods"
    return give_up(seen, run, Outcome.ABANDONED, "StableDead", f"{dead}, and {answers.model.uri} answered")


def a_stable_that_is_ready_again_takes_its_requests_back(seen: Observation) -> Status | None:
    """With half of its pods, for a minute without a break: else each flap takes callers along. From a dead one at once.

    The canary begins again at weight 0: nothing that it did alone can be compared. One that fails is rejected then.
    """
    status, run = seen.status, run_in(seen, Phase.FAILOVER)
    if run is None or status.canary is None:
        return None
    ready, failed = seen.workload(status.stable).ready, unacted_fail(status)
    since = (run.stable_ready_since or seen.now) if 2 * ready >= full_size(seen.spec, status) else None
    steady = since is not None and seen.now - since >= steady_after(run)
    if steady or (ready > 0 and seen.workload(status.canary).ready == 0):
        if failed is not None:
            return _reject(seen, run, failed.reason, failed.message)
        return _give_back(seen, run, status.canary)
    return None if since == run.stable_ready_since else replace(status, run=replace(run, stable_ready_since=since))


def a_stable_that_stays_dead_yields_to_the_newest_revision(seen: Observation) -> Status | None:
    """After `stableDeadDeadline`, or at once if an even newer revision is to start beside what serves now.

    Without any ready pod the run ends for it: whoever of the two is ready first serves.
    """
    status, run, newer = seen.status, run_in(seen, Phase.FAILOVER), newer_revision(seen)
    if run is None or status.canary is None or status.stable is None or run.stable_ready_since is not None:
        return None
    if seen.workload(status.canary).ready == 0:
        message = f"{newer.model.uri} is newer, and nobody had ready pods" if newer else ""
        return give_up(seen, run, Outcome.SUPERSEDED, "Superseded", message) if newer else None
    if (failed := unacted_fail(status)) is not None:
        return None if newer is None else _reject(seen, run, failed.reason, failed.message)
    over = yields_at(seen, status)
    if newer is None and (over is None or seen.now < over):
        return None
    dead = f"{status.stable.model.uri} had {seen.workload(status.stable).ready or 'no'} ready pods"
    message = f"{dead}; {status.canary.model.uri} took over without a verdict"
    ending = ended(run, Outcome.PROMOTED, "StableDead", message, seen.now)
    promoted = replace(status, stable=status.canary, verdict=None)
    return end_run(seen, promoted, ending, status.canary, leaving=status.stable)


def _rejected_for_answers(status: Status) -> set[str]:
    return {entry.revision for entry in status.rejected if is_for_answers(entry.reason)}


def _fail_over(seen: Observation, run: Run) -> Status:
    """A run that had ended goes on. A Fail and the pause of a person are kept; who flaps gets no new deadline."""
    status, recent = seen.status, run.stable_ready_since
    flaps = recent is not None and seen.now - recent < run.rollout.stable_dead_deadline
    going_on = replace(
        not_live(run, seen.now),
        step_started_at=None,
        failover_seconds=run.failover_seconds if flaps else 0,
        stable_ready_since=None,
    )
    if run.outcome is not None:
        going_on = replace(going_on, outcome=None, ended_at=None, reason="", message="", returning=False)
    if status.weight is None:
        status = write_weight(status, 0, seen.now)
    verdict = status.verdict if unacted_fail(status) else None
    entered = enter(replace(status, run=going_on, verdict=verdict), Phase.FAILOVER, seen.now)
    return replace(entered, run=replace(entered.run, pause=pauses.of_a_person(run))) if entered.run else entered


def _give_back(seen: Observation, run: Run, canary: Revision) -> Status:
    """The time without stable is remembered until stable has been ready for as long as it may be dead."""
    seconds = run.failover_seconds + round(time_in_phase(seen).total_seconds())
    noted = replace(run, failover_seconds=seconds, stable_ready_since=run.stable_ready_since or seen.now)
    return begin_again(seen, noted, canary)


def _reject(seen: Observation, run: Run, reason: str, message: str) -> Status:
    return roll_back(seen, pauses.resumed(run, seen.now), Outcome.REJECTED, reason, message)
