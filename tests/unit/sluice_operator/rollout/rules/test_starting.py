"""From a new revision to its first share of traffic."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from datetime import timedelta
from typing import Any

import pytest

from sluice_operator.api.observation import (
    Denied,
    HoldOut,
    HoldOuts,
    Proof,
    Refusal,
    Signatures,
    Unreachable,
    Unresolved,
    Workload,
)
from sluice_operator.api.quantities import Number
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.spec import LatencyAt, Spec
from sluice_operator.api.status import Alias, HistoryEntry, Rejection, Retiring
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    NOW,
    REPLICAS,
    ROLLOUT,
    At,
    a_spec,
    again,
    an_observation,
    at,
    both_ready,
    condition,
    not_live,
    pods,
    raw_spec,
    resolved,
    revision,
    signature,
    stable_on,
    starting,
    stepping,
    with_status,
)

REFUSED = Workload(refusal=Refusal("PickleNotTrusted", "the model is a pickle: register it with skops"))
LATE = timedelta(minutes=10).total_seconds()


def test_a_first_revision_starts_alone() -> None:
    """There is nothing to split traffic with, so there is no weight."""
    status = decide(an_observation())
    assert at(status) == At(Phase.INITIALIZING, canary="1")
    assert condition(status, "Ready") == ("False", "NoRevision", "no revision serves yet")


@pytest.mark.parametrize("ready", range(REPLICAS))
def test_a_first_revision_waits_for_all_of_its_pods(ready: int) -> None:
    """Some of its pods are not enough to call it stable."""
    seen = again(an_observation(), workloads=pods((revision(1), ready)))
    assert at(decide(seen)) == At(Phase.INITIALIZING, canary="1")


def test_a_first_revision_is_stable_once_ready() -> None:
    """It serves, is remembered as promoted, and the alias follows it."""
    status = decide(again(an_observation(), workloads=pods((revision(1), REPLICAS))))
    later = NOW + timedelta(seconds=1)
    assert at(status) == At(Phase.STABLE, stable="1", outcome=Outcome.PROMOTED)
    assert status.alias == Alias("champion", "iris", "1")
    record = f"iris-run-{revision(1).revision}-{int(NOW.timestamp())}"
    assert status.history == (
        HistoryEntry(revision(1).revision, "models:/iris/1", Outcome.PROMOTED, "FirstRevision", NOW, later, record),
    )
    assert condition(status, "Ready") == ("True", "Serving", "models:/iris/1 serves on 2 of 2 pods")


def test_a_first_revision_waits_for_the_gateway() -> None:
    """Its pods are ready, but callers get no answer yet; after a while that is told."""
    ready = pods((revision(1), REPLICAS))
    dark = not_live("no model server (status 404) answered")
    assert decide(again(an_observation(), workloads=ready, swap=dark)).phase is Phase.INITIALIZING
    late = decide(again(an_observation(), after=LATE, workloads=ready, swap=dark))
    assert condition(late, "Stalled") == ("True", "GatewayUnreachable", "no model server (status 404) answered")
    assert at(decide(again(an_observation(), workloads=ready, swap=LIVE))).stable == "1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"workloads": {revision(1).revision: REFUSED}}, "PickleNotTrusted"),
        ({"after": LATE, "workloads": {revision(1).revision: Workload()}}, "ProgressDeadlineExceeded"),
    ],
)
def test_a_first_revision_that_fails_says_so_and_stays(changes: dict[str, object], reason: str) -> None:
    """There is nothing to go back to: it stays in Initializing, stalled, and is not remembered as rejected."""
    status = decide(again(an_observation(), **changes))  # type: ignore[arg-type]
    assert at(status) == At(Phase.INITIALIZING, canary="1", outcome=Outcome.REJECTED)
    assert condition(status, "Stalled")[:2] == ("True", reason)
    assert condition(status, "RolloutSucceeded")[:2] == ("False", reason)
    assert condition(status, "Ready")[:2] == ("False", "NoRevision")
    assert status.rejected == ()


def test_a_first_revision_that_failed_yields_to_a_corrected_one() -> None:
    """The fix of a refused model starts as if it were the first."""
    refused = again(an_observation(), workloads={revision(1).revision: REFUSED})
    corrected = again(refused, resolution=stable_on(2).resolution)
    assert at(decide(corrected)) == At(Phase.INITIALIZING, canary="2")


def test_a_late_first_revision_is_welcome() -> None:
    """One that gets ready after its deadline serves: it is better than nothing."""
    late = again(an_observation(), after=LATE)
    ready = again(late, workloads=pods((revision(1), REPLICAS)))
    assert at(decide(ready)) == At(Phase.STABLE, stable="1", outcome=Outcome.PROMOTED)


def test_a_second_revision_starts_beside_stable_without_traffic() -> None:
    """Its route exists with weight 0 before any pod of it is ready."""
    assert at(starting().status) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)


@pytest.mark.parametrize(
    ("weight", "smoke"),
    [
        (None, None),
        (not_live(), None),
        (LIVE, None),
        (LIVE, Proof(False, "the canary answered 500")),
        (not_live(), LIVE),
    ],
)
def test_a_canary_steps_only_when_its_route_and_its_answer_are_proven(
    weight: Proof | None, smoke: Proof | None
) -> None:
    """Ready pods alone are no reason to send traffic."""
    seen = starting(workloads=both_ready(), weight=weight, smoke=smoke)
    assert decide(seen).phase is Phase.STARTING


def test_a_host_that_another_object_has_holds_the_start() -> None:
    """Two objects with one host would take each other's requests; the later one says whose it is."""
    for begin in (an_observation(), starting(workloads=both_ready(), weight=LIVE, smoke=LIVE)):
        seen = replace_seen(begin, host_taken="models/first", route_taken="models/first")
        status = decide(seen)
        assert at(status) == at(seen.status)
        assert condition(status, "Stalled") == (
            "True",
            "HostTaken",
            "iris.example.com, or a path of it, belongs to ModelDeployment models/first, which had it first;"
            " this one has no route: change one of the two",
        )


def test_a_canary_that_is_ready_and_answers_begins_to_step() -> None:
    """Still at weight 0: the first weight is a decision of its own."""
    seen = starting(workloads=both_ready(), weight=LIVE, smoke=LIVE)
    assert at(decide(seen)) == At(Phase.STEPPING, stable="1", canary="2", weight=0, live=0)


def test_without_steps_the_first_weight_follows_from_how_many_requests_there_are() -> None:
    """Nobody is sent anywhere before that is known, and a person is told what is waited for."""
    automatic = starting(spec=a_spec(rollout={**ROLLOUT, "canary": {}}))
    ready: dict[str, Any] = {"workloads": both_ready(), "weight": LIVE, "smoke": LIVE}
    unknown = again(automatic, **ready)
    assert decide(unknown).phase is Phase.STARTING
    assert condition(decide(again(unknown, after=LATE, **ready)), "Stalled")[:2] == ("True", "MetricsUnavailable")
    status = decide(again(unknown, **ready, rate=200.0))
    assert status.phase is Phase.STEPPING
    assert status.run is not None
    assert [step.weight for step in status.run.steps] == [5, 10, 25, 50]


def test_a_latency_without_a_limit_waits_for_what_stable_takes() -> None:
    """The run keeps what it found, beside the objective as it was written."""
    objectives = [{"name": "p95", "latency": {"quantile": "0.95", "maxRatio": "1.5"}}]
    ready: dict[str, Any] = {"workloads": both_ready(), "weight": LIVE, "smoke": LIVE}
    unknown = again(starting(spec=a_spec(objectives=objectives)), **ready, latency_thresholds=None)
    assert decide(unknown).phase is Phase.STARTING
    assert condition(decide(again(unknown, after=LATE, **ready, latency_thresholds=None)), "Stalled")[:2] == (
        "True",
        "MetricsUnavailable",
    )
    quiet = again(unknown, **ready, latency_thresholds={})
    assert decide(quiet).phase is Phase.STARTING
    assert decide(quiet).message.endswith(
        "is starting: the first weight waits until stable has answered requests that a latency can be compared with: "
        "send some, or write latency.max"
    )
    assert condition(decide(again(quiet, after=LATE, **ready, latency_thresholds={})), "Stalled") == (
        "True",
        "TooFewRequests",
        "the first weight waits until stable has answered requests that a latency can be compared with: send some, or "
        "write latency.max",
    )
    status = decide(again(unknown, **ready, latency_thresholds={"p95": Number.parse("0.0125")}))
    assert (status.phase, status.run and status.run.latency_thresholds) == (Phase.STEPPING, {"p95": 0.0125})
    assert status.run is not None
    assert status.run.objectives == a_spec(objectives=objectives).objectives
    judged, _ = status.run.judged  # and the refusals that each run is judged by
    assert isinstance(judged.latency, LatencyAt)
    assert (judged.latency.threshold, judged.latency.max) == (0.0125, None)
    stepped = again(unknown, **ready, latency_thresholds={"p95": Number.parse("0.0125")})
    assert decide(again(stepped)).phase is Phase.STEPPING  # the objectives are still those of the spec


def test_a_refused_model_is_rejected_and_stable_serves_on() -> None:
    """A preflight's refusal ends the run at once, with the sentence that says what to do."""
    seen = starting(workloads={**pods((revision(1), REPLICAS)), revision(2).revision: REFUSED})
    back = decide(seen)
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=0, outcome=Outcome.REJECTED)
    assert back.rejected == (
        Rejection(
            revision(2).revision,
            "models:/iris/2",
            "PickleNotTrusted",
            "the model is a pickle: register it with skops",
            seen.now,
            seen.generation,
            back.rejected[0].objectives_hash,
        ),
    )
    ended = decide(again(seen))
    assert at(ended) == At(Phase.STABLE, stable="1", outcome=Outcome.REJECTED)
    assert ended.message == (
        "models:/iris/1 serves on 2 of 2 pods; the last run was rolled back: "
        "the model is a pickle: register it with skops; "
        "kubectl sluice retry iris -n models, or another rollout.retryToken, tries it again"
    )


def test_pods_that_do_not_get_ready_are_rejected_at_the_deadline() -> None:
    """Not a moment before, and with what keeps them from being ready."""
    waiting = Workload(trouble="pod iris-x, container server: CrashLoopBackOff: back-off, last exit code 1 (Error)")
    workloads = {**pods((revision(1), REPLICAS)), revision(2).revision: waiting}
    assert decide(starting(after=LATE - 1, workloads=workloads)).phase is Phase.STARTING
    back = decide(starting(after=LATE, workloads=workloads))
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=0, outcome=Outcome.REJECTED)
    assert back.run is not None
    assert (back.run.reason, back.run.message) == (
        "ProgressDeadlineExceeded",
        "not ready within progressDeadline 10m: pod iris-x, container server: CrashLoopBackOff: back-off, "
        "last exit code 1 (Error)",
    )


def test_a_canary_that_answers_wrongly_is_rejected_at_the_deadline() -> None:
    """It is ready, its route is live, and it fails its own input example."""
    wrong = Proof(False, "the canary answered its own input example with 500: boom", by_canary=True)
    back = decide(starting(after=LATE, workloads=both_ready(), weight=LIVE, smoke=wrong))
    assert (back.phase, back.run and back.run.reason) == (Phase.ROLLING_BACK, "ProgressDeadlineExceeded")


@pytest.mark.parametrize(
    "changes",
    [
        {"workloads": both_ready(), "weight": not_live("the gateway gave no answer")},
        {"workloads": both_ready(), "weight": LIVE, "smoke": not_live("no smoke request: refused")},
        {
            "workloads": {
                revision(2).revision: Workload(trouble="MLflow gave no answer", unavailable="RegistryUnreachable")
            }
        },
    ],
)
def test_a_gateway_or_registry_in_trouble_rejects_nothing(changes: dict[str, Any]) -> None:
    """What is not the model's fault holds the start beyond the deadline."""
    assert decide(starting(after=LATE, **changes)).phase is Phase.STARTING


def test_a_first_revision_without_a_good_hold_out_does_not_serve() -> None:
    """However ready it is; a better one is welcome."""
    objectives = [{"name": "trained", "accuracy": {"source": "Training", "min": "0.9"}}]
    poor = HoldOuts(HoldOut("iris/1", 23, 45, Unresolved("NoRows", "its run tells no rows")))
    seen = again(
        an_observation(spec=a_spec(objectives=objectives)), workloads=pods((revision(1), REPLICAS)), hold_outs=poor
    )
    for _ in range(3):
        status = decide(seen)
        assert (status.phase, status.stable, status.run and status.run.outcome) == (
            Phase.INITIALIZING,
            None,
            Outcome.REJECTED,
        )
        seen = again(seen)
    assert condition(status, "Stalled")[:2] == ("True", "TrainingAccuracyBelowLimit")


TRAINED = a_spec(objectives=[{"name": "trained", "accuracy": {"source": "Training", "min": "0.9"}}])


@pytest.mark.parametrize("answer", [Denied("RegistryLoginRefused", "MLflow answers 403"), Unreachable("timed out")])
def test_a_hold_out_that_cannot_be_read_holds_the_start_and_is_told(answer: Denied | Unreachable) -> None:
    """It gets no traffic meanwhile, and it is not rejected."""
    ready: dict[str, Any] = {"workloads": both_ready(), "weight": LIVE, "smoke": LIVE, "hold_outs": HoldOuts(answer)}
    status = decide(again(starting(spec=TRAINED, **ready), after=LATE, **ready))
    assert (status.phase, status.rejected) == (Phase.STARTING, ())
    assert condition(status, "Stalled")[:2] == ("True", getattr(answer, "reason", "RegistryUnreachable"))


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"resolution": resolved(1)}, Outcome.WITHDRAWN),
        ({"resolution": resolved(3)}, Outcome.SUPERSEDED),
        ({"spec": a_spec(objectives=[{"name": "errors", "errorRate": {"max": "2%"}}])}, None),
    ],
)
@pytest.mark.parametrize("held", [{"hold_outs": HoldOuts(Unreachable("timed out"))}, {"foreign": ("Service x",)}])
def test_a_start_that_is_held_yields_to_what_ends_or_restarts_it(
    held: dict[str, Any], changes: dict[str, Any], outcome: Outcome | None
) -> None:
    """Stable asked for again, a newer version, other objectives: none of them waits for a registry, or for a name."""
    waiting = again(starting(spec=TRAINED, **held), **held)
    assert waiting.status.phase is Phase.STARTING
    status = decide(again(waiting, **{**held, **changes}))
    assert status.run is not None
    assert status.run.outcome is outcome
    assert outcome is not None or status.run.objectives == changes["spec"].objectives


def test_a_name_that_somebody_else_took_holds_a_first_revision() -> None:
    """Nothing is started, and the condition names the object."""
    status = decide(an_observation(foreign=("Service iris",)))
    assert at(status) == At(Phase.PENDING)
    assert condition(status, "Stalled") == (
        "True",
        "NameTaken",
        "Service iris: not created by this ModelDeployment; delete it or rename one of the two",
    )


def test_a_name_that_somebody_else_took_holds_a_canary_without_blame() -> None:
    """The canary is neither sent traffic nor rejected, whatever the clock says; it goes on when the name is free."""
    taken = starting(after=LATE, workloads=both_ready(), weight=LIVE, smoke=LIVE, foreign=("Ingress iris-canary",))
    assert decide(taken).phase is Phase.STARTING
    assert condition(decide(taken), "Stalled")[1] == "NameTaken"
    assert decide(again(taken, foreign=(), smoke=LIVE)).phase is Phase.STEPPING


@pytest.mark.parametrize(
    "resolution",
    [
        Unreachable("MLflow at http://mlflow:5000 gave no usable answer: timed out"),
        Unresolved("AliasNotFound", "MLflow has no alias 'challenger' of model 'iris'"),
    ],
)
def test_a_registry_without_an_answer_changes_nothing(resolution: Unreachable | Unresolved) -> None:
    """Stable keeps serving, a run goes on, and the condition says which of the two it is."""
    quiet, canary = stable_on(1, resolution=resolution), starting(resolution=resolution)
    assert at(decide(quiet)) == at(quiet.status)
    assert at(decide(canary)) == at(canary.status)
    reachable, stalled = condition(decide(quiet), "RegistryReachable"), condition(decide(quiet), "Stalled")
    if isinstance(resolution, Unreachable):
        assert (reachable[:2], stalled[0]) == (("False", "RegistryUnreachable"), "False")
    else:
        assert (reachable[0], stalled) == ("True", ("True", resolution.reason, resolution.message))


def test_without_a_resolved_model_nothing_starts() -> None:
    """A new object waits in Pending until its URI names something."""
    for resolution in (Unreachable("no answer"), Unresolved("AliasNotFound", "no alias")):
        assert at(decide(an_observation(resolution=resolution))) == At(Phase.PENDING)


def test_pods_that_retire_are_taken_over_by_a_new_run() -> None:
    """A revision that comes back is no longer on its way out."""
    leaving = Retiring(revision(2), 1, NOW + timedelta(minutes=9))
    other = Retiring(revision(3), 1, NOW + timedelta(minutes=9))
    status = decide(with_status(stable_on(1, resolution=resolved(2)), retiring=(leaving, other)))
    assert (at(status).canary, status.retiring) == ("2", (other,))


def test_what_a_run_follows_is_frozen_at_its_start() -> None:
    """Steps, objectives and route of that moment are part of status."""
    run, wanted = starting().status.run, a_spec()
    assert run is not None
    assert (run.rollout, run.objectives, run.traffic) == (wanted.rollout, wanted.objectives, wanted.traffic)


def test_a_start_that_the_registry_held_gets_its_time_again() -> None:
    """Pods that fetch only after the outage are not late."""
    waiting = {revision(2).revision: Workload(trouble="MLflow gave no answer", unavailable="RegistryUnreachable")}
    held = again(starting(), workloads=waiting)
    back = again(held, workloads=pods((revision(2), 0)), after=LATE)
    assert decide(back).phase is Phase.STARTING
    assert decide(again(back, workloads=pods((revision(2), 0)), after=LATE)).phase is Phase.ROLLING_BACK


def test_a_gateway_that_does_not_answer_holds_a_start_and_is_named() -> None:
    """Nothing between us and the canary is the canary's fault."""
    status = decide(
        again(starting(workloads=both_ready()), workloads=both_ready(), weight=not_live("no answer"), after=LATE)
    )
    assert status.phase is Phase.STARTING
    assert condition(status, "Stalled") == ("True", "GatewayUnreachable", "no answer")


def test_a_canary_whose_prometheus_is_not_asked_gets_no_traffic() -> None:
    """It could not be judged; however long that takes, the model is not to blame, and afterwards the run goes on."""
    refusal = Refusal("CredentialsMissing", "Secret models/prometheus is not there")
    ready: dict[str, Any] = {"workloads": both_ready(), "weight": LIVE, "smoke": LIVE}
    held = again(starting(**ready, metrics_refusal=refusal), after=LATE, **ready)
    assert held.status.phase is Phase.STARTING
    status = decide(held)
    assert (status.phase, condition(status, "Stalled")) == (Phase.STARTING, ("True", refusal.reason, refusal.message))
    assert decide(replace_seen(held, metrics_refusal=None)).phase is Phase.STEPPING


FOUR = signature("a", "b", "c", "d")
NEEDS_A_FIFTH = Signatures(FOUR, signature("a", "b", "c", "d", "e"))
ANSWERS: dict[str, Any] = {"workloads": both_ready(), "weight": LIVE, "smoke": LIVE}


def test_a_canary_that_needs_another_column_gets_no_traffic() -> None:
    """All callers would be refused. The message names the column, and both ways out."""
    back = decide(starting(**ANSWERS, signatures=NEEDS_A_FIFTH))
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=0, outcome=Outcome.REJECTED)
    assert back.run is not None
    assert (back.run.reason, back.run.message) == (
        "SignatureChanged",
        "callers of models:/iris/1 would be refused or misled: models:/iris/2 needs the new column 'e'; write "
        "model.allowSignatureChange: true when callers are ready, or register a version like models:/iris/1",
    )


def allowing() -> Spec:
    model = {**raw_spec()["model"], "allowSignatureChange": True}
    return a_spec(model=model)


def test_a_spec_that_allows_a_changed_signature_lets_the_canary_step() -> None:
    """The condition goes on saying what callers must be ready for. The revision has the same name."""
    assert revision(2, allowing()).revision == revision(2).revision
    stepped = decide(starting(**ANSWERS, signatures=NEEDS_A_FIFTH, spec=allowing()))
    assert stepped.phase is Phase.STEPPING
    assert condition(stepped, "SignatureUnchanged") == ("False", "SignatureChanged", "needs the new column 'e'")


def test_a_revision_that_was_rejected_for_its_signature_is_tried_again_when_that_is_allowed() -> None:
    """One edit is enough, and an edit of anything else is not."""
    rejected = again(again(starting(**ANSWERS, signatures=NEEDS_A_FIFTH), weight=LIVE))
    assert (rejected.status.phase, decide(rejected).phase) == (Phase.STABLE, Phase.STABLE)
    tried = decide(replace_seen(rejected, spec=allowing()))
    assert at(tried) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)


def test_a_canary_that_was_rejected_for_more_than_its_signature_stays_rejected() -> None:
    """Whoever allows another signature does not allow errors."""
    failed = again(again(stepping(verdict=FAIL)), weight=LIVE)
    assert decide(replace_seen(failed, spec=allowing())).phase is Phase.STABLE


@pytest.mark.parametrize(
    ("signatures", "expected"),
    [
        (Signatures(FOUR, FOUR), ("True", "Unchanged", "takes and answers what models:/iris/1 does")),
        (
            Signatures(None, FOUR),
            (
                "Unknown",
                "NotReported",
                "not compared with models:/iris/1: its model server does not report its columns at /metadata",
            ),
        ),
        (None, ("Unknown", "NotCompared", "")),
    ],
)
def test_what_the_comparison_of_signatures_showed_is_told(
    signatures: Signatures | None, expected: tuple[str, str, str]
) -> None:
    """A stable revision whose server is older is no reason to refuse a new one; that nothing was compared is said."""
    stepped = decide(starting(**ANSWERS, signatures=signatures))
    assert (stepped.phase, condition(stepped, "SignatureUnchanged")) == (Phase.STEPPING, expected)
