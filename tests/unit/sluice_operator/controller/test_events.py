"""Events: one for each transition, with the sentence of the condition. A failed post stops nothing."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from typing import Any

import pytest

from sluice_operator.api.command import Asked, Verb, text_of
from sluice_operator.api.observation import Observation, Refusal, Unreachable, Unresolved, Workload
from sluice_operator.api.owner import Manifest
from sluice_operator.api.status import Result, Verdict
from sluice_operator.controller.event_limit import EventLimit
from sluice_operator.controller.events import Event, EventPublisher, transitions
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    LOST,
    PASS,
    UNDECIDED,
    a_spec,
    again,
    an_observation,
    both_ready,
    condition,
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
)
from tests.unit.sluice_operator.fakes import FakeKube, finish

TWO = revision(2).revision
HOLDS = Verdict(Result.UNDECIDED, "ErrorRateAboveLimit", "errors 5% breaks its limit", holding=("errors",))
FOREVER = 86_400.0


def events(seen: Observation) -> list[Event]:
    """The events for the next decision about `seen`."""
    return list(transitions(seen.status, decide(seen)))


@pytest.mark.parametrize(
    ("seen", "event"),
    [
        (stable_on(1, resolution=resolved(2)), Event("CanaryStarted", f"models:/iris/2 starts as revision {TWO}")),
        (again(starting(workloads=both_ready(), weight=LIVE)), None),
        (starting(workloads=both_ready(), weight=LIVE), Event("WeightProven", "weight 0 is live")),
        (
            again(again(starting(workloads=both_ready(), weight=LIVE, smoke=LIVE)), weight=LIVE),
            Event("WeightProven", "weight 10 is live"),
        ),
        (stepping(verdict=UNDECIDED), None),
        (
            again(swapped(), swap=LIVE),
            Event("RolesSwapped", "models:/iris/2 serves all traffic and is watched"),
        ),
        (watching(after=FOREVER), Event("Promoted", "models:/iris/2 is stable")),
        (
            stepping(verdict=FAIL),
            Event("RollingBack", "ErrorRateAboveLimit: errors 5% breaks its limit", warning=True),
        ),
        (
            rolling_back(weight=LIVE),
            Event("RolledBack", "ErrorRateAboveLimit: errors 5% breaks its limit", warning=True),
        ),
        (
            stepping(resolution=resolved(3)),
            Event("RollingBack", f"Superseded: models:/iris/3 (revision {revision(3).revision}) is newer"),
        ),
        (
            again(stepping(resolution=resolved(1)), weight=LIVE),
            Event("Withdrawn", "the spec names the stable revision again (models:/iris/1)"),
        ),
        (
            stepping(verdict=LOST),
            Event("MetricsLost", "Prometheus gave no answer: refused; nothing is promoted", warning=True),
        ),
        (
            stable_on(1, resolution=Unreachable("no answer")),
            Event(
                "RegistryUnreachable",
                "no answer; the pinned version keeps serving, and nothing changes",
                warning=True,
            ),
        ),
        (
            stable_on(1, resolution=Unresolved("AliasNotFound", "no such alias")),
            Event("AliasNotFound", "no such alias", warning=True),
        ),
        (
            an_observation(foreign=("Service iris",)),
            Event(
                "NameTaken",
                "Service iris: not created by this ModelDeployment; delete it or rename one of the two",
                warning=True,
            ),
        ),
        (
            again(
                an_observation(), workloads={revision(1).revision: Workload(refusal=Refusal("NoMLmodel", "no MLmodel"))}
            ),
            Event("NoMLmodel", "no MLmodel", warning=True),
        ),
        (again(an_observation(), workloads=pods((revision(1), 2))), Event("Promoted", "models:/iris/1 is stable")),
    ],
)
def test_each_transition_has_one_event(seen: Observation, event: Event | None) -> None:
    """And without a transition there is no event."""
    assert events(seen) == ([event] if event else [])


def test_a_pause_has_an_event_when_it_begins_and_when_it_is_over() -> None:
    """With the sentence of the condition. One that an objective asked for is a warning: somebody has to decide."""
    held = again(stepping(verdict=HOLDS))
    sentence = condition(held.status, "Paused")[2]
    assert events(stepping(verdict=HOLDS)) == [Event("PausedByObjective", sentence, warning=True)]
    assert events(replace_seen(held, verdict=HOLDS)) == []
    resume = Asked(text_of(Verb.RESUME, TWO, 0, held.now), "jane", held.now)
    assert [event.reason for event in events(replace_seen(held, command=resume))] == ["CommandAccepted", "RunResumed"]


def test_a_pause_that_ends_with_the_run_is_not_told_as_a_resume() -> None:
    """Traffic goes back, and the Event about that says so."""
    held = again(stepping(verdict=HOLDS))
    abort = Asked(text_of(Verb.ABORT, TWO, 0, held.now), "jane", held.now)
    reasons = [event.reason for event in events(replace_seen(held, command=abort))]
    assert reasons == ["RollingBack", "CommandAccepted"]


def test_spec_suspend_has_an_event_also_at_rest() -> None:
    """Nobody wonders why a new version does not start."""
    (event,) = events(stable_on(1, resolution=resolved(2), spec=a_spec(suspend=True)))
    assert event == Event("Suspended", "spec.suspend is true: models:/iris/2 waits until it is false")


def test_the_last_pass_has_an_event_when_the_promotion_begins() -> None:
    """The swap has its own event later, when it is proven."""
    second = again(again(stepping(verdict=PASS)), workloads=both_ready(2, 2))
    proven = again(second, weight=LIVE)
    passed = again(proven, verdict=PASS)
    assert events(passed) == [Event("StepsPassed", "models:/iris/2 passed its last step and takes over")]
    assert events(promoting()) == []


BODY: Manifest = {"metadata": {"name": "iris", "namespace": "models", "uid": "0f1e"}}


class Storing(FakeKube):
    def __init__(self) -> None:
        super().__init__()
        self.stored: list[Manifest] = []

    async def create(self, manifest: Manifest) -> None:
        self.stored.append(manifest)


def test_an_event_is_about_its_object() -> None:
    """`kubectl describe` shows it, with the operator's instance."""
    kube = Storing()
    finish(EventPublisher(kube, "pod-1").post(BODY, iter([Event("RolledBack", "errors 8%", warning=True)])))
    [event] = kube.stored
    shown = {key: event[key] for key in ("reason", "action", "note", "type", "reportingInstance", "regarding")}
    assert shown == {
        "reason": "RolledBack",
        "action": "RolledBack",
        "note": "errors 8%",
        "type": "Warning",
        "reportingInstance": "pod-1",
        "regarding": {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "ModelDeployment",
            "name": "iris",
            "namespace": "models",
            "uid": "0f1e",
        },
    }


def test_a_long_note_is_cut_to_the_limit_of_the_api() -> None:
    """Otherwise the API server would refuse it."""
    kube = Storing()
    finish(EventPublisher(kube, "pod-1").post(BODY, iter([Event("Long", "x" * 5000)])))
    assert (len(kube.stored[0]["note"]), kube.stored[0]["type"]) == (1024, "Normal")


def test_after_a_failed_post_the_next_event_is_posted() -> None:
    """And no exception reaches the caller."""

    class Refusing(Storing):
        async def create(self, manifest: Manifest) -> None:
            await super().create(manifest)
            raise OSError("no API server")

    kube: Any = Refusing()
    finish(EventPublisher(kube, "pod-1").post(BODY, iter([Event("One", ""), Event("Two", "")])))
    assert [event["reason"] for event in kube.stored] == ["One", "Two"]


def test_events_of_one_kind_are_limited() -> None:
    """200 edits of a Service were 200 Events. What is left out is counted, and other objects and reasons go on."""
    kube, now = Storing(), 0.0
    publisher = EventPublisher(kube, "pod-1", lambda: now)

    def post(reason: str = "DriftRepaired", uid: str = "0f1e") -> None:
        body = {**BODY, "metadata": {**BODY["metadata"], "uid": uid}}
        finish(publisher.post(body, iter([Event(reason, "repaired")])))

    for _ in range(200):
        post()
    assert len(kube.stored) == 25
    post("RolledBack")
    post(uid="other")
    assert len(kube.stored) == 27
    now = 301.0
    post()
    post()
    assert [event["note"] for event in kube.stored[27:]] == ["repaired (and 175 more like this before)"]


def test_what_is_kept_of_the_limits_is_bounded() -> None:
    """An object that is made and deleted has another uid each time."""
    limit = EventLimit(lambda: 0.0)
    for number in range(12_000):
        limit.allows((str(number), "DriftRepaired"))
    assert not all(limit.allows(("11999", "DriftRepaired")) for _ in range(25))
    assert all(limit.allows(("0", "DriftRepaired")) for _ in range(25)), "it was forgotten"
