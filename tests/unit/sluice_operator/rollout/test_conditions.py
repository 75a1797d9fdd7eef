"""What a person, `kubectl wait` and Argo CD read off a status."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import Denied, HostTrouble, Refusal, Unreachable, Workload
from sluice_operator.api.status import dump
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    LIVE,
    LOST,
    REPLICAS,
    UNDECIDED,
    again,
    both_ready,
    condition,
    not_live,
    promoting,
    revision,
    rolling_back,
    stable_on,
    starting,
    stepping,
    swapped,
    watching,
)

ALL = (
    "Ready",
    "Reconciling",
    "Stalled",
    "RolloutSucceeded",
    "RegistryReachable",
    "MetricsAvailable",
    "TrafficVerified",
    "SignatureUnchanged",
    "EvidenceReachable",
    "Paused",
)


@pytest.mark.parametrize(
    ("build", "states"),
    [
        (stable_on, ("True", "False", "False", "True", "True", "Unknown", "Unknown", "Unknown", "Unknown")),
        (starting, ("True", "True", "False", "Unknown", "True", "Unknown", "Unknown", "Unknown", "Unknown")),
        (stepping, ("True", "False", "False", "Unknown", "True", "True", "True", "Unknown", "Unknown")),
        (promoting, ("True", "False", "False", "Unknown", "True", "True", "True", "Unknown", "Unknown")),
        (watching, ("True", "False", "False", "Unknown", "True", "True", "Unknown", "Unknown", "Unknown")),
        (rolling_back, ("True", "True", "False", "False", "True", "Unknown", "Unknown", "Unknown", "Unknown")),
    ],
)
def test_each_phase_has_all_conditions(build: Any, states: tuple[str, ...]) -> None:
    """Ready is about what serves, Reconciling ends with the first live weight, Stalled asks for a person."""
    seen = build(1) if build is stable_on else build(verdict=UNDECIDED, weight=not_live())
    status = decide(seen)
    assert tuple((condition.type, condition.status) for condition in status.conditions) == tuple(
        zip(ALL, (*states, "False"), strict=True)
    )


def test_a_second_operator_is_named_as_long_as_it_is_there() -> None:
    """The one that works says it, and what it decides does not change."""
    alone = stable_on(1)
    seen = again(alone, rival="team-a/sluice-leader")
    state, reason, message = condition(decide(seen), "OperatorConflict")
    assert (state, reason) == ("True", "OtherOperator")
    assert "the operator with the Lease team-a/sluice-leader watches this namespace, too" in message
    assert decide(again(seen, rival="")).conditions == decide(again(alone)).conditions
    assert replace(decide(seen), conditions=()) == replace(decide(again(alone)), conditions=())


def test_a_condition_remembers_since_when() -> None:
    """The time changes with the state, not with the sentence."""
    first = again(stepping(verdict=UNDECIDED))
    lost = again(first, verdict=LOST, after=5)
    still = again(lost, verdict=replace(LOST, message="another sentence"), after=5)
    times = [
        next(entry.last_transition_time for entry in seen.status.conditions if entry.type == "MetricsAvailable")
        for seen in (lost, still, again(still))
    ]
    assert times == [first.status.conditions[5].last_transition_time, lost.now, lost.now]


@pytest.mark.parametrize("build", [starting, stepping, promoting, swapped, watching, rolling_back])
def test_an_observation_without_news_changes_nothing(build: Any) -> None:
    """Status settles: an object that is at rest causes no write, however often it is looked at."""
    seen = build()
    for _ in range(3):
        seen = again(seen, weight=not_live(), swap=not_live())
    assert decide(seen) == seen.status


def test_pods_that_are_gone_are_not_counted_any_more() -> None:
    """The number of ready pods in status is the number of ready pods."""
    status = decide(stable_on(1, workloads={}))
    assert status.stable is not None
    assert (status.stable.ready_replicas, condition(status, "Ready")[1]) == (0, "NoReadyPods")


def test_reports_of_pods_about_their_model_stay_in_status() -> None:
    """Digest and runtime are pinned with the first report; later pods do not change them."""
    first = Workload(ready=REPLICAS, digest="sha256:aa", runtime="skops")
    seen = stable_on(1, workloads={revision(1).revision: first})
    later = again(seen, workloads={revision(1).revision: Workload(ready=1, digest="sha256:bb")})
    for status in (decide(seen), decide(later)):
        assert status.stable is not None
        assert (status.stable.model.digest, status.stable.model.runtime) == ("sha256:aa", "skops")


def test_an_outage_of_the_registry_is_the_message() -> None:
    """What the person paged reads first is what does not work."""
    status = decide(stable_on(1, resolution=Unreachable("MLflow at http://m gave no usable answer: timed out")))
    assert status.message == (
        "MLflow at http://m gave no usable answer: timed out; the pinned version keeps serving, and nothing changes"
    )


def test_a_weight_that_is_not_live_is_in_the_conditions() -> None:
    """With what was seen instead, after half a minute."""
    written = again(again(starting(workloads=both_ready(), weight=LIVE, smoke=LIVE)))
    early, late = (again(written, weight=not_live(), after=seconds) for seconds in (10, 40))
    assert condition(decide(early), "TrafficVerified") == ("Unknown", "Proving", "weight 10 was written")
    assert condition(decide(late), "TrafficVerified") == (
        "False",
        "WeightNotProven",
        "weight 10 was written but is not live: 3 of 24 probes for iris.example.com went elsewhere",
    )


def test_a_swap_that_is_not_proven_is_in_the_conditions() -> None:
    """A Service that still has endpoints of the old revision, after the canary route went."""
    seen = watching(verdict=UNDECIDED)
    assert condition(decide(again(seen, swap=not_live("1 of another revision"))), "TrafficVerified") == (
        "False",
        "SwapNotProven",
        "1 of another revision",
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (starting, "models:/iris/2 is starting"),
        (stepping, "models:/iris/2, step 1 of 2, weight 10: needs 20 more requests"),
        (promoting, "models:/iris/2 passed and takes over"),
        (watching, "models:/iris/2 took over and is watched until 12:15:10 UTC"),
        (rolling_back, "traffic goes back: errors 5% breaks its limit"),
    ],
)
def test_one_sentence_says_what_goes_on(build: Any, message: str) -> None:
    """The message of a run without trouble."""
    assert decide(build(verdict=UNDECIDED, weight=not_live())).message == message


def test_generation_and_address_are_in_status() -> None:
    """Clients that wait for `observedGeneration` see that their edit was read."""
    status = decide(stable_on(1, generation=7))
    assert (status.observed_generation, status.url) == (7, "http://iris.example.com/")
    assert {entry.observed_generation for entry in status.conditions} == {7}


@pytest.mark.parametrize(
    ("forecast", "unreachable", "state", "message"),
    [
        ("", "", "Unknown", ""),
        ("about 4m for all steps", "", "True", "about 4m for all steps"),
        ("about 9h for all steps", "about 9h, the deadline is 4h", "False", "about 9h, the deadline is 4h"),
    ],
)
def test_too_little_traffic_is_in_the_conditions_at_once(
    forecast: str, unreachable: str, state: str, message: str
) -> None:
    """Not only when the deadline has passed."""
    told = replace(UNDECIDED, forecast=forecast, unreachable=unreachable)
    found = condition(decide(stepping(verdict=told)), "EvidenceReachable")
    assert (found[0], found[2]) == (state, message)


@pytest.mark.parametrize("build", [starting, stepping, watching])
def test_a_prometheus_that_is_not_asked_calls_for_a_person_at_once(build: Any) -> None:
    """No deadline passes first: nobody but a person can mend it, and it is told before there is traffic."""
    refusal = Refusal("PrometheusNotAllowed", "https://a.svc:9090 is not on the operator's list")
    status = decide(build(metrics_refusal=refusal, verdict=LOST, weight=not_live()))
    assert condition(status, "Stalled") == ("True", refusal.reason, refusal.message)
    assert condition(status, "MetricsAvailable") == ("False", refusal.reason, refusal.message)
    mended = decide(build(verdict=UNDECIDED, weight=not_live()))
    assert condition(mended, "Stalled")[0] == "False"


@pytest.mark.parametrize("letter", ["a", "\x1b"])
def test_no_answer_of_a_pod_makes_the_status_too_large(letter: str) -> None:
    """A gateway, a kubelet and a quota can say more than the API server stores; then a rollback is still written."""
    huge = letter * 300_000
    trouble = HostTrouble("HostAnsweredByAnother", huge, by_another=True)
    denied = Denied(huge, huge)
    refused = {revision(2).revision: Workload(refusal=Refusal(huge, huge), trouble=huge)}
    for seen in (stepping(host_trouble=trouble, resolution=denied), starting(workloads=refused, resolution=denied)):
        status = decide(again(seen, host_trouble=trouble, workloads=refused))
        assert max(len(condition.message) for condition in status.conditions) <= 2_000
        assert max(len(condition.reason) for condition in status.conditions) <= 200
        assert len(json.dumps(dump(status))) < 150_000
