"""How the weight rises, what holds it, and what rolls it back."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sluice_operator.api.observation import Observation, Workload
from sluice_operator.api.quantities import Duration
from sluice_operator.api.rollout_spec import Step
from sluice_operator.api.run import Outcome, Pause, Phase
from sluice_operator.api.status import Verdict
from sluice_operator.api.strategy import CanarySteps
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.pauses import BY_COMMAND
from sluice_operator.rollout.roles import sizes
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    LOST,
    NOW,
    PASS,
    REPLICAS,
    ROLLOUT,
    SPEC,
    STEPS,
    UNDECIDED,
    At,
    a_spec,
    again,
    at,
    both_ready,
    condition,
    not_live,
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

HOURS = 3600.0


def test_the_whole_happy_path() -> None:
    """From a new version to Stable, each decision in turn: pods, weight, proof, verdict, swap, watch."""
    seen, one_pod, full = stable_on(1, resolution=resolved(2)), both_ready(), both_ready(2, 2)
    looks: list[dict[str, Any]] = [
        {"workloads": both_ready(2, 0)},
        {"workloads": one_pod, "weight": not_live()},
        {"workloads": one_pod, "weight": LIVE, "smoke": LIVE},
        {"workloads": one_pod, "weight": LIVE},
        {"workloads": one_pod, "weight": not_live(), "verdict": UNDECIDED},
        {"workloads": one_pod, "weight": LIVE, "verdict": UNDECIDED},
        {"workloads": one_pod, "weight": LIVE, "verdict": PASS},
        {"workloads": one_pod, "weight": LIVE, "verdict": UNDECIDED},
        {"workloads": full, "weight": LIVE, "verdict": UNDECIDED},
        {"workloads": full, "weight": LIVE, "verdict": UNDECIDED},
        {"workloads": full, "weight": LIVE, "verdict": PASS},
        {"workloads": full, "weight": LIVE, "verdict": PASS},
        {"workloads": full, "swap": not_live(), "verdict": PASS},
        {"workloads": full, "swap": LIVE},
        {"workloads": full, "verdict": UNDECIDED},
        {"workloads": full, "verdict": UNDECIDED, "after": 15 * 60},
        {"workloads": full, "after": 60},
    ]
    path = [at(decide(seen))]
    for look in looks:
        seen = again(seen, **look)
        path.append(at(decide(seen)))
    begun = At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)
    step_1 = At(Phase.STEPPING, stable="1", canary="2", weight=10, live=10)
    step_2 = At(Phase.STEPPING, stable="1", canary="2", weight=50, live=50, step=1)
    take_over = step_2._replace(phase=Phase.PROMOTING)
    swap = step_2._replace(phase=Phase.SWAPPING)
    watch = At(Phase.WATCHING, stable="2", previous="1", step=1)
    assert path == [
        begun,
        begun,
        begun,
        step_1._replace(weight=0, live=0),
        step_1._replace(live=0),
        step_1._replace(live=0),
        step_1,
        step_1._replace(step=1),
        step_1._replace(step=1),
        step_2._replace(live=10),
        step_2,
        take_over,
        swap,
        swap,
        watch,
        watch,
        At(Phase.STABLE, stable="2", step=1, outcome=Outcome.PROMOTED),
        At(Phase.STABLE, stable="2", step=1, outcome=Outcome.PROMOTED),
    ]


@pytest.mark.parametrize("verdict", [UNDECIDED, LOST, None])
@pytest.mark.parametrize("after", [1.0, 3 * HOURS, 5 * HOURS])
def test_nothing_but_a_pass_leads_on(verdict: Verdict | None, after: float) -> None:
    """Undecided, lost metrics and no verdict at all hold the weight, however long they last."""
    seen = stepping(verdict=verdict, after=after)
    assert at(decide(seen)) == at(seen.status) == At(Phase.STEPPING, stable="1", canary="2", weight=10, live=10)


@pytest.mark.parametrize("verdict", [UNDECIDED, LOST, None])
def test_nothing_but_a_pass_promotes(verdict: Verdict | None) -> None:
    """The last step too is left by a Pass only."""
    last = again(promoting(), after=1.0)
    at_last_step = replace_seen(last, status=before_promotion().status, verdict=verdict)
    assert decide(at_last_step).phase is Phase.STEPPING


def before_promotion() -> Observation:
    """Version 2 at its last step, whose weight is proven."""
    second = again(again(stepping(verdict=PASS)), workloads=both_ready(2, 2))
    proven = again(second, weight=LIVE)
    return again(proven)


def test_lost_metrics_freeze_the_weight_and_say_so() -> None:
    """The condition says what is missing; the weight stays."""
    status = decide(stepping(verdict=LOST))
    assert (at(status).weight, condition(status, "MetricsAvailable")) == (
        10,
        ("False", "MetricsUnavailable", "Prometheus gave no answer: refused; nothing is promoted"),
    )


def test_a_pass_counts_only_when_this_step_s_weight_was_seen_live() -> None:
    """A verdict on earlier traffic does not hurry a weight that is not proven."""
    unproven = again(starting(workloads=both_ready(), weight=LIVE, smoke=LIVE))
    written = again(unproven, weight=not_live(), verdict=PASS)
    assert at(decide(written)) == At(Phase.STEPPING, stable="1", canary="2", weight=10, live=0)


def test_evidence_against_begins_before_evidence_in_favour() -> None:
    """Against: from the write that could let traffic in. In favour: from the moment the weight was seen live."""
    written = again(starting(workloads=both_ready(), weight=LIVE, smoke=LIVE))
    proven = again(again(written, weight=not_live()), weight=LIVE)
    run = decide(proven).run
    assert run is not None
    assert (run.traffic_started_at, run.first_live_at, run.step_started_at) == (written.now, proven.now, proven.now)


def test_evidence_goes_on_over_the_steps_of_a_run() -> None:
    """The next step has a clock of its own; what counts against and in favour goes on from the first."""
    first, second = stepping().status.run, before_promotion().status.run
    assert first is not None
    assert second is not None
    assert (second.traffic_started_at, second.first_live_at) == (first.traffic_started_at, first.first_live_at)
    assert second.step_started_at != first.step_started_at


def test_a_weight_waits_for_the_pods_that_it_needs() -> None:
    """Two stable pods at weight 50 ask for two canary pods; the old weight stays until they are ready."""
    passed = again(stepping(verdict=PASS))
    assert decide(passed).weight == passed.status.weight
    assert at(decide(again(passed, workloads=both_ready(2, 2)))).weight == 50


def test_a_canary_without_ready_pods_gets_weight_0_and_gets_it_again() -> None:
    """The step begins anew when pods are back: its clock starts when its weight is seen live again."""
    lost = decide(stepping(workloads=both_ready(2, 0), verdict=UNDECIDED))
    assert (at(lost), lost.run and lost.run.step_started_at) == (
        At(Phase.STEPPING, stable="1", canary="2", weight=0, live=10),
        None,
    )
    gone = again(stepping(workloads=both_ready(2, 0)), workloads=both_ready(2, 0), verdict=PASS)
    assert at(decide(gone)) == At(Phase.STEPPING, stable="1", canary="2", weight=0, live=0)
    back = again(gone, workloads=both_ready(2, 1), weight=LIVE, verdict=PASS)
    assert at(decide(back)) == At(Phase.STEPPING, stable="1", canary="2", weight=10, live=0)
    proven = again(back, weight=LIVE)
    assert (at(decide(proven)).live, decide(proven).run and decide(proven).run.step_started_at) == (10, proven.now)  # type: ignore[union-attr]


def test_a_promotion_that_loses_its_pods_goes_back_to_its_step() -> None:
    """Before the swap, a canary without ready pods has no claim to all of the traffic."""
    assert at(decide(promoting(workloads=both_ready(2, 0)))) == At(
        Phase.STEPPING, stable="1", canary="2", weight=0, live=50, step=1
    )


@pytest.mark.parametrize("phase", [Phase.STEPPING, Phase.PROMOTING])
def test_a_fail_takes_traffic_back_at_once(phase: Phase) -> None:
    """One status write: weight 0 wanted, the run's end and its reason recorded, the revision rejected."""
    seen = (stepping if phase is Phase.STEPPING else promoting)(verdict=FAIL)
    back = decide(seen)
    was = at(seen.status)
    assert at(back) == was._replace(phase=Phase.ROLLING_BACK, weight=0, outcome=Outcome.REJECTED)
    assert back.run is not None
    assert (back.run.reason, back.run.message) == (FAIL.reason, FAIL.message)
    assert [entry.revision for entry in back.rejected] == [revision(2).revision]


def test_a_fail_acts_before_its_weight_is_proven() -> None:
    """Evidence against counts from the first write, so a gateway that is hard to prove protects no bad canary."""
    unproven = again(starting(workloads=both_ready(), weight=LIVE, smoke=LIVE))
    assert decide(again(unproven, weight=not_live(), verdict=FAIL)).phase is Phase.ROLLING_BACK


def test_a_fail_is_no_reason_in_starting() -> None:
    """A canary without traffic cannot have failed: such a verdict is of another run."""
    assert decide(starting(verdict=FAIL)).phase is Phase.STARTING


def test_a_fail_that_found_nobody_to_go_back_to_is_not_forgotten() -> None:
    """Neither by a silence of Prometheus nor by a new host, for which the run begins again."""
    seen = again(stepping(verdict=FAIL, workloads=both_ready(0, 0)), workloads=both_ready(0, 0), verdict=LOST)
    assert seen.status.phase is Phase.STEPPING
    back = decide(again(seen, workloads=both_ready(), verdict=LOST))
    assert (back.phase, back.run and back.run.outcome, back.run and back.run.reason) == (
        Phase.ROLLING_BACK,
        Outcome.REJECTED,
        FAIL.reason,
    )
    moved = a_spec(traffic={"ingress": {"className": "nginx", "host": "other.example.com"}})
    begun = decide(again(replace_seen(seen, spec=moved, generation=seen.generation + 1)))
    assert begun.run is not None
    assert begun.run.failed is not None


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STEPPING, Phase.PROMOTING])
def test_a_newer_revision_replaces_the_one_in_mid_run(phase: Phase) -> None:
    """Weight 0 is seen live first; the middle one is not called rejected; then the newest starts."""
    build = {Phase.STARTING: starting, Phase.STEPPING: stepping, Phase.PROMOTING: promoting}[phase]
    seen = build(resolution=resolved(3), verdict=PASS)
    back = decide(seen)
    assert at(back) == at(seen.status)._replace(phase=Phase.ROLLING_BACK, weight=0, outcome=Outcome.SUPERSEDED)
    assert back.rejected == ()
    waiting = again(seen, weight=not_live(), workloads=both_ready(2, 2))
    assert decide(waiting).phase is Phase.ROLLING_BACK
    ended = again(waiting, weight=LIVE)
    assert at(decide(ended))._replace(step=0) == At(Phase.STABLE, stable="1", outcome=Outcome.SUPERSEDED)
    assert at(decide(again(ended))) == At(Phase.STARTING, stable="1", canary="3", weight=0, live=0)


def test_a_newer_revision_waits_for_a_promotion_that_swapped() -> None:
    """After the swap a promotion is finished first."""
    seen = swapped(resolution=resolved(3), swap=LIVE)
    assert at(decide(seen)) == At(Phase.WATCHING, stable="2", previous="1", step=1)
    assert decide(again(seen, verdict=UNDECIDED)).phase is Phase.WATCHING


@pytest.mark.parametrize("build", [starting, stepping, promoting])
def test_back_to_the_stable_revision_ends_the_run(build: Any) -> None:
    """The canary is withdrawn, not rejected; the run's end says why."""
    back = decide(build(resolution=resolved(1), verdict=PASS))
    assert (back.phase, back.run and back.run.outcome, back.run and back.run.message, back.rejected) == (
        Phase.ROLLING_BACK,
        Outcome.WITHDRAWN,
        "the spec names the stable revision again (models:/iris/1)",
        (),
    )


def test_a_revision_that_was_rejected_is_not_tried_again_when_its_old_terms_return() -> None:
    """Under other objectives it got another chance; back under the old ones, it has none."""
    lenient = a_spec(objectives=SPEC["objectives"][:1])
    gone = again(again(rolling_back(), weight=LIVE))
    retried = again(again(gone, spec=lenient), spec=lenient, workloads=both_ready(), weight=LIVE, smoke=LIVE)
    assert at(decide(retried)).phase is Phase.STEPPING
    back = decide(again(retried, spec=a_spec()))
    assert (back.phase, back.run and (back.run.outcome, back.run.message)) == (
        Phase.ROLLING_BACK,
        (Outcome.WITHDRAWN, "models:/iris/2 was rejected before under these objectives"),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"objectives": SPEC["objectives"][:1]},
        {"rollout": {**ROLLOUT, "canary": {"steps": STEPS[1:]}}},
        {"rollout": {**ROLLOUT, "deadline": "1h"}},
    ],
)
@pytest.mark.parametrize("build", [starting, stepping])
def test_changed_terms_restart_the_run(build: Any, changes: dict[str, Any]) -> None:
    """The same canary begins again under the new terms: from weight 0, at step 0, without evidence or a clock."""
    terms = a_spec(**changes)
    seen = build(spec=terms, after=60.0, verdict=PASS)
    restarted = decide(seen)
    assert at(restarted) == at(seen.status)._replace(phase=Phase.STARTING, weight=0, step=0)
    assert restarted.run is not None
    assert (restarted.run.rollout, restarted.run.objectives) == (terms.rollout, terms.objectives)
    assert restarted.run.started_at == seen.now
    assert (restarted.run.traffic_started_at, restarted.run.first_live_at, restarted.verdict) == (None, None, None)


@pytest.mark.parametrize(("changes", "overruled"), [({"deadline": "1h"}, ("errors",)), ({}, ())])
def test_a_pause_outlives_changed_terms(changes: dict[str, Any], overruled: tuple[str, ...]) -> None:
    """A person holds the canary, whatever it is judged by. An objective that reads otherwise is not overruled yet."""
    run = stepping().status.run
    assert run is not None
    pause = Pause(BY_COMMAND, "paused by ann", NOW, weight=10)
    paused = with_status(stepping(), run=replace(run, pause=pause, overruled=("errors",)))
    stricter = [{"name": "errors", "errorRate": {"max": "0.005"}}, *SPEC["objectives"][1:]]
    terms = a_spec(rollout={**ROLLOUT, **changes}) if changes else a_spec(objectives=stricter)
    begun = decide(replace_seen(paused, spec=terms, generation=2)).run
    assert begun is not None
    assert (begun.pause, begun.overruled) == (replace(pause, weight=0), overruled)


def test_another_order_or_another_way_to_write_a_value_is_no_change() -> None:
    """`"1%"` is `"0.01"`."""
    same = [*SPEC["objectives"][1:], {"name": "errors", "errorRate": {"max": "0.01"}}]
    seen = stepping(spec=a_spec(objectives=same), verdict=UNDECIDED)
    assert at(decide(seen)) == at(seen.status)


def test_an_upgrade_restarts_no_run() -> None:
    """A new CRD may have other defaults. Then the spec reads otherwise, though nobody has edited it."""
    seen = replace_seen(stepping(verdict=UNDECIDED), spec=a_spec(rollout={**ROLLOUT, "deadline": "1h"}))
    assert at(decide(seen)) == at(seen.status)


@pytest.mark.parametrize("build", [starting, stepping, watching])
def test_a_prometheus_that_moved_is_asked_where_it_is_now(build: Any) -> None:
    """Where the metrics are is a connection, and no term of the run."""
    moved = a_spec(prometheus={"url": "https://prometheus.team-a.svc:9090", "credentialsSecret": "prometheus"})
    seen = build(spec=moved, workloads=both_ready(2, 2), verdict=UNDECIDED)
    status = decide(seen)
    assert at(status) == at(seen.status)
    assert status.run is not None
    assert status.run.prometheus == moved.prometheus


def test_an_upgrade_in_mid_run_changes_nothing_of_the_run() -> None:
    """An older operator began it without the objectives that this one adds: it is judged as it began."""
    seen = stepping(verdict=UNDECIDED)
    assert seen.status.run is not None
    older = with_status(seen, run=replace(seen.status.run, default_objectives=(), signature=None))
    status = decide(older)
    assert (at(status), status.run and status.run.id) == (at(older.status), seen.status.run.id)
    assert status.run is not None
    assert [objective.name for objective in status.run.judged] == ["errors", "p95", "accuracy"]


def test_replicas_apply_to_a_run_as_it_is() -> None:
    """More replicas restart nothing; stable follows at once."""
    seen = stepping(spec=a_spec(server__replicas=5), verdict=UNDECIDED)
    status = decide(seen)
    assert at(status) == at(seen.status)
    assert [number for _, number in sizes(seen.spec, status)] == [5, 1]


def test_the_message_counts_missing_pods() -> None:
    """A step that waits for pods says how many are missing, in numbers."""
    assert decide(again(stepping(verdict=PASS))).message == (
        "models:/iris/2, step 2 of 2: 1 of the 2 pods that weight 50 needs are ready"
    )


@given(replicas=st.integers(1, 200), weight=st.integers(1, 99))
def test_a_canary_pod_never_gets_more_than_a_stable_one(replicas: int, weight: int) -> None:
    """Its size is the least at which no pod of it carries more than a pod of stable does, or stable's own size."""
    size = CanarySteps((Step(weight, 1, Duration.parse("1s")),)).pods(replicas)
    assert size == replicas or weight / size <= (100 - weight) / replicas * (1 + 1e-9)
    assert 1 <= size <= replicas
    assert size == 1 or weight / (size - 1) > (100 - weight) / replicas * (1 - 1e-9)


def test_no_ready_pod_of_stable_changes_nothing() -> None:
    """A broken stable does not hold its fix back, and is told."""
    broken = {revision(1).revision: Workload(trouble="pod iris-y is not scheduled: no memory")}
    status = decide(stable_on(1, resolution=resolved(2), workloads=broken))
    assert at(status) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)
    assert condition(status, "Ready") == (
        "False",
        "NoReadyPods",
        f"models:/iris/1 serves on 0 of {REPLICAS} pods: pod iris-y is not scheduled: no memory",
    )
