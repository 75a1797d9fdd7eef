"""Rules for a stable revision that has no ready pods. Requests never go to it while the canary could answer them.

The canary then takes all requests, unjudged. If stable stays dead, its successor does not wait for a comparison.
A revision that was rejected takes over from nobody.
"""

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import Status
from sluice_operator.rollout.phases import run_in, time_in_phase
from sluice_operator.rollout.transitions import begin_run, end_run, ended, enter, not_live


def a_stable_without_ready_pods_leaves_its_requests_to_the_canary(seen: Observation) -> Status | None:
    """At once: Service NAME selects the canary, which gets all of its pods. Its weight stays as it is."""
    status = seen.status
    run = run_in(seen, Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.ROLLING_BACK)
    if run is None or run.outcome is Outcome.REJECTED or run.returning or status.weight is None:
        return None
    if seen.workload(status.stable).ready > 0 or seen.workload(status.canary).ready == 0:
        return None
    going_on = replace(
        not_live(run, seen.now), step_started_at=None, outcome=None, ended_at=None, reason="", message=""
    )
    return enter(replace(status, run=going_on, verdict=None), Phase.FAILOVER, seen.now)


def a_stable_that_is_ready_again_takes_its_requests_back(seen: Observation) -> Status | None:
    """The canary begins again at weight 0: nothing that it did alone can be compared."""
    status, run = seen.status, run_in(seen, Phase.FAILOVER)
    if run is None or status.canary is None or seen.workload(status.stable).ready == 0:
        return None
    return begin_run(seen, status.canary)


def a_stable_that_stays_dead_yields_to_the_newest_revision(seen: Observation) -> Status | None:
    """After `stableDeadDeadline`, or at once if an even newer revision is to start beside what serves now.

    Without any ready pod the newest revision of the spec is tried in the canary's place.
    """
    status, run, wanted = seen.status, run_in(seen, Phase.FAILOVER), seen.desired
    if run is None or status.canary is None or status.stable is None:
        return None
    newer = wanted is not None and wanted.revision not in (status.canary.revision, status.stable.revision)
    if seen.workload(status.canary).ready == 0:
        return begin_run(seen, wanted) if newer and wanted is not None else status
    if not newer and time_in_phase(seen) < run.rollout.stable_dead_deadline:
        return status
    message = f"{status.stable.model.uri} had no ready pods; {status.canary.model.uri} took over without a verdict"
    ending = ended(run, Outcome.PROMOTED, "StableDead", message, seen.now)
    return end_run(
        seen, replace(status, stable=status.canary, verdict=None), ending, status.canary, leaving=status.stable
    )
