"""The end of a run: the swap of roles, the watch, the way back, and what is remembered."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import Observation, Refusal, Resolved, Unreachable, Workload
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.spec import NameKind
from sluice_operator.api.status import Alias, HistoryEntry, Retiring, Verdict, Verification, dump, parse
from sluice_operator.rollout import revisions
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.rejections import REJECTED_KEPT
from sluice_operator.rollout.transitions import HISTORY_KEPT, RETIRING_KEPT
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    LOST,
    NOW,
    PASS,
    ROLLOUT,
    SPEC,
    UNDECIDED,
    At,
    a_spec,
    again,
    at,
    both_ready,
    condition,
    model,
    not_live,
    pods,
    promoting,
    resolved,
    revision,
    rolling_back,
    stable_on,
    starting,
    stepping,
    swapped,
    watching,
    with_status,
)

WATCH = timedelta(minutes=15).total_seconds()


def ended_rollback() -> Observation:
    """Version 2 was rolled back, and version 1 serves alone."""
    return again(rolling_back(weight=LIVE))


def test_the_swap_waits_for_a_full_canary() -> None:
    """As many pods as stable should have are ready before any of stable's traffic turns."""
    short = decide(promoting(workloads=both_ready(2, 1)))
    assert short.phase is Phase.PROMOTING
    assert decide(promoting()).phase is Phase.SWAPPING


def test_a_promotion_without_room_holds_and_says_so() -> None:
    """Traffic stays as it is: a full cluster is nobody's verdict on the model."""
    status = decide(promoting(workloads=both_ready(2, 1), after=600))
    assert at(status) == At(Phase.PROMOTING, stable="1", canary="2", weight=50, live=50, step=1)
    assert condition(status, "Stalled")[:2] == ("True", "NoCapacity")


def test_a_swap_is_over_only_when_it_was_seen() -> None:
    """Until then stable is still called stable, and the canary route stays."""
    seen = swapped(swap=not_live("Service iris has 2 ready endpoints, 1 of another revision"))
    assert at(decide(seen)) == at(seen.status)
    assert at(decide(again(seen, swap=LIVE))) == At(Phase.WATCHING, stable="2", previous="1", step=1)


def test_a_fail_after_the_swap_acts_in_watching() -> None:
    """A promotion that has swapped is finished first; then the same Fail returns to the old revision."""
    seen = swapped(swap=not_live(), verdict=FAIL)
    assert decide(seen).phase is Phase.SWAPPING
    watched = again(again(seen, swap=LIVE), verdict=FAIL)
    assert decide(watched).phase is Phase.ROLLING_BACK


def test_watching_goes_on_with_the_run_s_evidence() -> None:
    """One run has one error budget; only the verdict on the last step is over."""
    seen = swapped(swap=LIVE, verdict=PASS)
    status, before = decide(seen), seen.status.run
    assert status.run is not None
    assert before is not None
    assert status.run.traffic_started_at == before.traffic_started_at is not None
    assert status.run.first_live_at == before.first_live_at is not None
    assert (status.verdict, status.run.step_started_at) == (None, None)


@pytest.mark.parametrize("verdict", [UNDECIDED, None])
def test_a_quiet_watch_ends_in_stable(verdict: object) -> None:
    """After its time the old revision leaves, the run goes to history, and the alias follows."""
    early, late = watching(after=WATCH - 1, verdict=verdict), watching(after=WATCH, verdict=verdict)
    assert decide(early).phase is Phase.WATCHING
    status = decide(late)
    assert at(status) == At(Phase.STABLE, stable="2", step=1, outcome=Outcome.PROMOTED)
    assert status.alias == Alias("champion", "iris", "2")
    begun = starting().status.run
    assert begun is not None
    assert status.history[0] == HistoryEntry(
        revision(2).revision,
        "models:/iris/2",
        Outcome.PROMOTED,
        "Promoted",
        begun.started_at,
        late.now,
        record=f"iris-run-{begun.id}",
    )
    leaving = [(entry.revision.revision, entry.replicas, entry.until) for entry in status.retiring]
    assert leaving == [(revision(1).revision, 2, late.now + timedelta(seconds=30))]


def test_pods_that_retire_leave_after_the_delay() -> None:
    """Not before `scaleDownDelay`, so that a late gateway loses nothing."""
    ended = again(watching(after=WATCH), after=29)
    assert len(decide(ended).retiring) == 1
    assert decide(again(ended, after=1)).retiring == ()


def test_a_fail_in_watching_returns_to_the_old_revision() -> None:
    """Roles turn back at once: the old revision is still there at full size, and the new one is rejected."""
    back = decide(watching(verdict=FAIL))
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", step=1, outcome=Outcome.REJECTED)
    assert [entry.revision for entry in back.rejected] == [revision(2).revision]
    returned = again(watching(verdict=FAIL), swap=not_live())
    assert decide(returned).phase is Phase.ROLLING_BACK
    assert at(decide(again(returned, swap=LIVE))) == At(Phase.STABLE, stable="1", step=1, outcome=Outcome.REJECTED)


@pytest.mark.parametrize("build", [swapped, watching])
def test_a_revision_that_took_over_and_has_no_ready_pods_left_yields(build: object) -> None:
    """Callers get no answer from it while the old revision has ready pods: the way back needs no evidence."""
    seen = build(workloads=both_ready(2, 0), verdict=LOST)  # type: ignore[operator]
    back = decide(seen)
    assert (at(back).phase, at(back).stable, at(back).canary) == (Phase.ROLLING_BACK, "1", "2")
    assert back.run is not None
    assert (back.run.outcome, back.run.reason) == (Outcome.REJECTED, "NoReadyPods")


@pytest.mark.parametrize("obstacle", [None, Refusal("NoCapacity", "0/3 nodes are available")])
def test_a_promoted_revision_that_fails_and_loses_its_pods_is_rejected_for_its_fail(obstacle: Refusal | None) -> None:
    """It waited for pods to go back to; how its own pods left says less about it."""
    failing = again(watching(verdict=FAIL, workloads=both_ready(0, 2)), verdict=FAIL)
    gone = {revision(1).revision: Workload(ready=2), revision(2).revision: Workload(ready=0, obstacle=obstacle)}
    status = decide(again(failing, workloads=gone))
    assert (status.phase, [entry.reason for entry in status.rejected]) == (Phase.ROLLING_BACK, [FAIL.reason])


NO_ROOM = Workload(pods=2, obstacle=Refusal("NoCapacity", "0/3 nodes are available"), trouble="pod a has no node")
SILENT = Workload(pods=2, unavailable="RegistryUnreachable", trouble="pod a waits for MLflow")


@pytest.mark.parametrize(("workload", "reason"), [(NO_ROOM, "NoCapacity"), (SILENT, "RegistryUnreachable")])
@pytest.mark.parametrize("build", [swapped, watching])
def test_what_keeps_promoted_pods_from_running_is_no_rejection(build: Any, workload: Workload, reason: str) -> None:
    """The way back is the same, but nothing bad is known of the model: it is tried again after `progressDeadline`."""
    seen = again(build(), workloads={**both_ready(2, 0), revision(2).revision: workload})
    back = decide(seen)
    assert at(back)[:3] == (Phase.ROLLING_BACK, "1", "2")
    assert back.run is not None
    assert (back.run.outcome, back.run.reason, back.rejected) == (Outcome.ABANDONED, reason, ())
    ended = again(again(seen, weight=LIVE, swap=LIVE, workloads=both_ready(2, 2)), workloads=both_ready(2, 2))
    assert decide(ended).phase is Phase.STABLE
    assert at(decide(again(ended, after=600)))[:3] == (Phase.STARTING, "1", "2")


@pytest.mark.parametrize("since", [None, LOST, UNDECIDED])
def test_a_fail_that_could_not_act_acts_as_soon_as_it_can(since: Verdict | None) -> None:
    """Whatever is not known any more by then: Prometheus may be silent, slow, or new."""
    failing = again(watching(workloads=both_ready(0, 2), verdict=FAIL), verdict=since)
    back = again(again(failing, verdict=since), verdict=since, workloads=both_ready(2, 2))
    status = decide(back)
    assert at(status)[:3] == (Phase.ROLLING_BACK, "1", "2")
    assert [(entry.revision, entry.reason) for entry in status.rejected] == [(revision(2).revision, FAIL.reason)]


def test_a_fail_that_an_older_operator_noted_is_kept() -> None:
    """It was in the last verdict only."""
    failing = again(watching(workloads=both_ready(0, 2), verdict=FAIL))
    assert failing.status.run is not None
    older = with_status(failing, run=replace(failing.status.run, failed=None))
    status = decide(again(replace_seen(older, verdict=LOST), workloads=both_ready(2, 2)))
    assert (status.phase, status.run and status.run.reason) == (Phase.ROLLING_BACK, FAIL.reason)


def test_a_version_that_failed_and_lost_its_pods_is_rejected_for_its_fail() -> None:
    """Whatever keeps its pods from running: it is not tried again as one that nobody has judged."""
    failing = again(watching(workloads=both_ready(0, 2), verdict=FAIL), verdict=LOST)
    no_room = {revision(2).revision: Workload(obstacle=Refusal("NoCapacity", "no node has room"))}
    status = decide(again(failing, workloads={**pods((revision(1), 2)), **no_room}))
    assert (status.run and status.run.outcome, status.run and status.run.reason) == (Outcome.REJECTED, FAIL.reason)


def test_a_fail_that_nobody_repeats_moves_no_alias_at_the_end_of_the_watch() -> None:
    """A failing version is not called promoted because Prometheus fell silent afterwards."""
    seen = again(failing_to_the_end(), verdict=LOST)
    status = decide(again(seen, after=4 * 3600, verdict=LOST))
    assert (status.phase, status.history[0].outcome, status.history[0].reason) == (
        Phase.STABLE,
        Outcome.REJECTED,
        FAIL.reason,
    )
    assert status.alias is None or status.alias.version == "1"


def failing_to_the_end(**changes: Any) -> Observation:
    """The watch is over, version 2 fails, and version 1 has no pods to go back to."""
    return watching(after=WATCH, **{"verdict": FAIL, "workloads": both_ready(0, 2), **changes})


def test_a_watch_that_fails_to_its_end_moves_no_alias() -> None:
    """It waits for pods to go back to, for `deadline` at most. Then the version serves on, and that is told."""
    seen = failing_to_the_end()
    assert decide(seen).phase is Phase.WATCHING
    status = decide(again(seen, after=4 * 3600, verdict=FAIL))
    assert at(status)[:2] == (Phase.STABLE, "2")
    assert status.alias is None or status.alias.version == "1"
    assert (status.history[0].outcome, status.history[0].reason) == (Outcome.REJECTED, FAIL.reason)
    assert condition(status, "RolloutSucceeded")[:2] == ("False", FAIL.reason)
    assert "models:/iris/2 fails (errors 5% breaks its limit); it stays" in status.message
    assert [entry.model.version for entry in status.former] == ["1"]


def test_a_watch_that_fails_goes_back_as_soon_as_it_can() -> None:
    """The pods of the previous revision are back in time."""
    back = again(failing_to_the_end(), after=3600, verdict=FAIL, workloads=both_ready(1, 2))
    assert at(decide(back))[:3] == (Phase.ROLLING_BACK, "1", "2")


def test_a_watch_of_a_dead_revision_moves_no_alias() -> None:
    """No answer at all is no quiet watch. One that is back in time is promoted."""
    seen = failing_to_the_end(verdict=LOST, workloads=both_ready(0, 0))
    assert condition(decide(seen), "Stalled")[:2] == ("True", "StableDead")
    gone = decide(again(seen, after=4 * 3600))
    assert (gone.phase, gone.history[0].outcome) == (Phase.STABLE, Outcome.ABANDONED)
    assert gone.alias is None or gone.alias.version == "1"
    back = decide(again(seen, after=60, verdict=UNDECIDED, workloads=both_ready(0, 2)))
    assert back.alias == Alias("champion", "iris", "2")


@pytest.mark.parametrize("verdict", [LOST, replace(UNDECIDED, holding=("revenue",))])
def test_a_watch_without_pods_on_either_side_ends_for_a_newer_revision(verdict: Verdict) -> None:
    """At once, paused or not: nobody gets an answer, and the newer revision may be the fix."""
    dead = again(watching(verdict=verdict), workloads=both_ready(0, 0), verdict=verdict)
    assert decide(dead).phase is Phase.WATCHING
    newer = again(dead, resolution=resolved(3))
    status = decide(newer)
    assert (status.phase, status.history[0].outcome) == (Phase.STABLE, Outcome.SUPERSEDED)
    assert status.alias is None or status.alias.version == "1"
    assert at(decide(again(newer)))[:3] == (Phase.STARTING, "2", "3")


@pytest.mark.parametrize("build", [swapped, watching])
def test_nothing_yields_to_a_revision_without_ready_pods(build: object) -> None:
    """With no ready pod on either side there is no better one to turn to."""
    seen = build(workloads=both_ready(0, 0), verdict=LOST)  # type: ignore[operator]
    assert at(decide(seen)) == at(seen.status)


def test_a_rollback_ends_when_weight_0_was_seen_live() -> None:
    """Then the canary's pods retire, and the run goes to history as rejected."""
    seen = rolling_back(weight=not_live())
    assert at(decide(seen)) == at(seen.status)
    ended = again(seen, weight=LIVE)
    status = decide(ended)
    assert at(status) == At(Phase.STABLE, stable="1", outcome=Outcome.REJECTED)
    leaving = [(entry.revision.revision, entry.replicas, entry.until) for entry in status.retiring]
    assert leaving == [(revision(2).revision, 1, ended.now + timedelta(seconds=30))]
    assert (status.history[0].outcome, status.history[0].reason) == (Outcome.REJECTED, FAIL.reason)


def test_a_rollback_does_not_wait_for_a_proof_for_ever() -> None:
    """Removing the route of a bad canary is safer than waiting for a gateway that cannot be asked."""
    assert decide(rolling_back(weight=not_live(), after=29)).phase is Phase.ROLLING_BACK
    assert decide(rolling_back(weight=not_live(), after=30)).phase is Phase.STABLE


def test_weight_0_without_anybody_to_take_traffic_is_assumed() -> None:
    """No pod of the canary is ready, so nothing can be proven and nothing can go wrong; status calls it assumed."""
    gone = stepping(workloads=both_ready(2, 0))
    status = decide(again(gone))
    assert status.weight is not None
    assert (status.weight.live, status.weight.verification) == (0, Verification.ASSUMED)


def test_a_rejected_revision_stays_rejected() -> None:
    """A re-sync, a restart and a long time change nothing; the condition says why."""
    seen = again(ended_rollback(), after=86_400)
    assert at(decide(seen)) == At(Phase.STABLE, stable="1", outcome=Outcome.REJECTED)
    assert condition(decide(seen), "Stalled") == (
        "False",
        "Rejected",
        "models:/iris/2 was rejected before and is not tried again as it is:"
        " kubectl sluice retry iris -n models, or another rollout.retryToken, tries it again",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"objectives": SPEC["objectives"][:1]},
        {"server__image": "registry.example/fixed:2"},
        {"server__env": [{"name": "THREADS", "value": "2"}]},
    ],
)
def test_a_rejected_revision_gets_another_chance_under_other_terms(changes: dict[str, object]) -> None:
    """Other objectives, or other settings, which make it another revision."""
    assert at(decide(again(ended_rollback(), spec=a_spec(**changes)))).canary == "2"


def test_steps_are_no_terms() -> None:
    """Other steps alone do not try a rejected revision again."""
    rollout = {**SPEC["rollout"], "deadline": "1h"}
    assert decide(again(ended_rollback(), spec=a_spec(rollout=rollout))).phase is Phase.STABLE


def test_a_newer_model_is_tried_after_a_rejection() -> None:
    """A rejection is of one revision only."""
    assert at(decide(again(ended_rollback(), resolution=resolved(3)))).canary == "3"


def test_a_revision_that_is_rejected_again_is_remembered_once() -> None:
    """The newest reason wins."""
    other = a_spec(objectives=SPEC["objectives"][:1])
    tried = again(ended_rollback(), spec=other)
    refused = Workload(refusal=None, trouble="no room")
    workloads = {**pods((revision(1), 2)), revision(2).revision: refused}
    status = decide(again(tried, workloads=workloads, after=600))
    assert [(entry.revision, entry.reason, entry.objectives_hash) for entry in status.rejected] == [
        (revision(2).revision, "ProgressDeadlineExceeded", revisions.objectives_hash(other.objectives))
    ]


def test_a_rejection_under_unknown_objectives_is_kept() -> None:
    """A status of version 0.1.0 has the hash under another name. The upgrade does not try the revision again."""
    ended = ended_rollback().status
    old = [{key: value for key, value in entry.items() if key != "objectivesHash"} for entry in dump(ended)["rejected"]]
    read = parse({**dump(ended), "rejected": [{**entry, "terms": "abc"} for entry in old]})
    assert [entry.revision for entry in read.rejected] == [revision(2).revision]
    assert at(decide(again(with_status(ended_rollback(), rejected=read.rejected)))).canary == ""


def test_the_alias_is_done_when_the_registry_says_so() -> None:
    """Only what the registry answers counts, and a later answer does not undo it."""
    promoted = again(watching(after=WATCH))
    assert decide(again(promoted, alias_version="1")).alias == Alias("champion", "iris", "2")
    done = again(promoted, alias_version="2")
    assert decide(done).alias == Alias("champion", "iris", "2", done=True)
    assert decide(again(done, alias_version="1")).alias == Alias("champion", "iris", "2", "", done=True)


def test_an_alias_that_the_registry_does_not_move_is_told() -> None:
    """With its answer, and with what ends it: another alias, or none, in the spec. What serves goes on to serve."""
    refused = replace_seen(
        with_status(stable_on(1), alias=Alias("champion", "iris", "1")), alias_trouble="HTTP 403, no"
    )
    status = decide(refused)
    assert condition(status, "Stalled") == (
        "True",
        "AliasNotMoved",
        "the alias champion of iris was not moved to version 1: HTTP 403, no; it is tried again, at least every 5"
        " minutes: let it be written, or take model.onPromote out of the spec of iris",
    )
    assert condition(status, "Ready")[0] == "True"
    assert decide(again(refused, spec=a_spec(model__onPromote={}))).alias is None
    renamed = decide(again(refused, spec=a_spec(model__onPromote={"setAlias": "best"})))
    assert renamed.alias == Alias("best", "iris", "1")


def test_a_promotion_moves_a_stage_where_the_spec_names_one() -> None:
    """As an alias is moved: until the registry shows it, and with its answer if it does not."""
    by_stage = a_spec(model__onPromote={"setStage": "Production"})
    promoted = again(watching(after=WATCH, spec=by_stage))
    production = Alias("Production", "iris", "2", kind=NameKind.STAGE)
    assert promoted.status.alias == production
    assert dump(promoted.status)["alias"] == {"name": "Production", "model": "iris", "version": "2", "kind": "Stage"}
    assert decide(again(promoted, alias_version="1")).alias == production
    assert decide(again(promoted, alias_version="2")).alias == replace(production, done=True)
    _, reason, message = condition(decide(again(promoted, alias_trouble="HTTP 403, no")), "Stalled")
    assert reason == "StageNotMoved"
    assert message.startswith("the stage Production of iris was not moved to version 2: HTTP 403, no; it is tried")


def test_a_stage_in_place_of_an_alias_that_is_refused_acts_at_once() -> None:
    """And the other way round."""
    refused = again(watching(after=WATCH))
    by_stage = decide(again(refused, spec=a_spec(model__onPromote={"setStage": "Staging"})))
    assert by_stage.alias == Alias("Staging", "iris", "2", kind=NameKind.STAGE)
    assert decide(again(with_status(refused, alias=by_stage.alias))).alias == Alias("champion", "iris", "2")


def test_no_alias_is_moved_unasked() -> None:
    """Without `onPromote.setAlias`, or for a model outside the registry, nothing is written to it."""
    unasked = a_spec(model={**SPEC["model"], "onPromote": {}})
    assert decide(watching(after=WATCH, spec=unasked)).alias is None
    logged = Resolved(model(1).__class__("models:/m-0a1b", "iris", "m-0a1b"))
    first = again(stable_on(1), resolution=logged)
    assert first.status.alias is not None
    assert decide(again(with_status(first, alias=None))).alias is None


def test_what_is_remembered_is_bounded() -> None:
    """Status keeps the newest, so that it never outgrows what the API server takes."""
    seen = stable_on(1, spec=a_spec(rollout={**ROLLOUT, "scaleDownDelay": "300h"}))
    for version in range(2, 40):
        begun = again(seen, resolution=resolved(version), workloads=pods((revision(1), 2)))
        failed = again(begun, after=600, workloads=pods((revision(1), 2), (revision(version), 0)))
        seen = again(again(failed), after=1)
        retiring = tuple(Retiring(entry.revision, 1, NOW + timedelta(days=9)) for entry in seen.status.retiring)
        seen = with_status(seen, retiring=retiring)
    newest = [revision(version).revision for version in range(39, 1, -1)]
    assert [entry.revision for entry in seen.status.rejected] == newest[:REJECTED_KEPT]
    assert [entry.revision for entry in seen.status.history] == newest[:HISTORY_KEPT]
    assert [entry.revision.revision for entry in reversed(seen.status.retiring)] == newest[:RETIRING_KEPT]


def test_a_swap_that_cannot_be_seen_can_still_fail() -> None:
    """The successor has the traffic by then: its failures must not wait for the last proof."""
    unproven = swapped(swap=not_live())
    assert decide(again(unproven, swap=not_live(), verdict=FAIL, after=31)).phase is Phase.ROLLING_BACK


def test_an_unproven_swap_is_in_the_conditions() -> None:
    """Neither "the weight is live" nor "takes over" is true of it."""
    status = decide(again(swapped(swap=not_live()), swap=not_live("one endpoint of two"), after=60))
    assert condition(status, "TrafficVerified") == ("False", "SwapNotProven", "one endpoint of two")
    assert condition(status, "Stalled")[:2] == ("True", "SwapNotProven")


def test_a_swap_is_not_waited_for_without_end() -> None:
    """One pod that never gets ready does not block all later versions. Without any ready one it is a failover."""
    waiting = again(
        swapped(swap=not_live()), swap=not_live("one endpoint of two"), after=600, workloads=both_ready(2, 1)
    )
    assert decide(waiting).phase is Phase.WATCHING
    assert decide(replace_seen(waiting, workloads=both_ready(0, 0))).phase is Phase.FAILOVER


def test_a_watch_that_sees_nothing_does_not_end() -> None:
    """No data is no success: neither the promotion nor the alias is final."""
    blind = watching(after=WATCH, verdict=LOST)
    assert decide(blind).phase is Phase.WATCHING
    assert condition(decide(again(blind, verdict=LOST)), "Stalled")[:2] == ("True", "MetricsUnavailable")
    assert decide(again(blind, verdict=UNDECIDED)).phase is Phase.STABLE


def test_a_watch_that_sees_nothing_has_an_end() -> None:
    """After the deadline of the run, or when a newer revision waits for it."""
    deadline = a_spec().rollout.deadline.total_seconds()
    assert decide(watching(after=WATCH + deadline, verdict=LOST)).phase is Phase.STABLE
    assert decide(watching(after=WATCH, verdict=LOST, resolution=resolved(3))).phase is Phase.STABLE
    assert decide(watching(after=WATCH - 1, verdict=LOST, resolution=resolved(3))).phase is Phase.WATCHING


@pytest.mark.parametrize("build", [swapped, watching])
def test_the_previous_revision_asked_for_again_comes_back_at_once(build: object) -> None:
    """Also while MLflow is down, where the spec names its version."""
    pinned = a_spec(model={**SPEC["model"], "uri": "models:/iris/1"})
    lost = Unreachable("no answer")
    for changes in ({"resolution": resolved(1)}, {"resolution": lost, "spec": pinned}):
        back = decide(build(workloads=both_ready(2, 2), **changes))  # type: ignore[operator]
        assert (back.phase, back.stable and back.stable.model.version) == (Phase.ROLLING_BACK, "1")
        assert (back.run and back.run.outcome, back.rejected) == (Outcome.WITHDRAWN, ())


def test_nobody_goes_back_to_a_revision_without_pods() -> None:
    """Neither for a Fail nor for an edit: no answer is worse than the answers of the new one. That is told."""
    alone = both_ready(0, 2)
    failed = watching(verdict=FAIL, workloads=alone)
    assert decide(failed).phase is Phase.WATCHING
    assert condition(decide(failed), "Stalled")[:2] == ("True", "StableDead")
    assert decide(watching(resolution=resolved(1), workloads=alone)).phase is Phase.WATCHING


def test_pods_that_an_unproven_route_may_lead_to_stay_longer() -> None:
    """A gateway that still has the old weight must find somebody."""
    stuck = rolling_back(weight=not_live())
    (left,) = decide(again(stuck, weight=not_live(), after=31)).retiring
    assert left.until - stuck.now > timedelta(minutes=5)
