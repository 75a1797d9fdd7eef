"""Which route is rendered: that of the spec as soon as its host is free, and else the last one that was granted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as replace_seen
from datetime import timedelta
from typing import Any

import pytest

from sluice_operator.api.observation import HostTrouble, Observation, Refusal
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Status
from sluice_operator.controller.events import transitions
from sluice_operator.manifests.render import render
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    LIVE,
    NOW,
    OWNER,
    PASS,
    At,
    a_spec,
    again,
    an_observation,
    at,
    both_ready,
    condition,
    not_live,
    pods,
    promoting,
    revision,
    rolling_back,
    stable_on,
    starting,
    stepping,
    swapped,
    watching,
    with_status,
)

REFUSED = Refusal("HostNotAllowed", "namespace models may not use the host refused.example.com")
MOVED = "moved.example.com"
PHASES = [starting, stepping, promoting, swapped, watching, rolling_back]


def to(host: str = "iris.example.com", class_name: str = "nginx") -> Spec:
    return a_spec(traffic={"ingress": {"className": class_name, "host": host}})


def class_of(wanted: Spec) -> str:
    assert wanted.traffic.ingress is not None
    return wanted.traffic.ingress.class_name


def routes(seen: Observation, status: Status) -> set[tuple[str, str]]:
    """Class and host of all rendered Ingresses."""
    return {
        (ingress["spec"]["ingressClassName"], ingress["spec"]["rules"][0]["host"])
        for ingress in render(OWNER, seen.spec, status)
        if ingress["kind"] == "Ingress"
    }


@pytest.mark.parametrize("phase", [stable_on, *PHASES])
def test_the_host_of_another_object_is_never_rendered(phase: Callable[..., Observation]) -> None:
    """In no phase, and it makes no difference whether a run is under way: callers reach the model as before."""
    seen = stable_on(1) if phase is stable_on else phase()
    taken = again(with_status(seen), spec=to("taken.example.com"), host_taken="models/first", weight=LIVE)
    status = decide(taken)
    assert routes(taken, status) == {("nginx", "iris.example.com")}
    assert condition(status, "Stalled") == (
        "True",
        "HostTaken",
        "taken.example.com, or a path of it, belongs to ModelDeployment models/first, which had it first;"
        " this one has the host iris.example.com, as before: change one of the two",
    )


@pytest.mark.parametrize("wanted", [to("refused.example.com"), to(class_name="refused")])
@pytest.mark.parametrize("phase", [stable_on, *PHASES])
def test_a_route_that_the_namespace_may_not_have_is_never_rendered(
    phase: Callable[..., Observation], wanted: Spec
) -> None:
    """In no phase, and nothing that is under way is disturbed."""
    seen = stable_on(1) if phase is stable_on else phase()
    refused = again(with_status(seen), spec=wanted, route_refusal=REFUSED, weight=LIVE)
    status = decide(refused)
    assert routes(refused, status) == {("nginx", "iris.example.com")}
    as_before = decide(again(with_status(seen), weight=LIVE))
    assert (at(status), status.run and status.run.id) == (at(as_before), as_before.run and as_before.run.id)
    assert condition(status, "Stalled") == (
        "True",
        "HostNotAllowed",
        f"{REFUSED.message}; it keeps the host iris.example.com with the IngressClass nginx",
    )


@pytest.mark.parametrize("phase", [stable_on, *PHASES])
def test_a_granted_route_that_is_no_longer_allowed_goes_on_and_is_told(phase: Callable[..., Observation]) -> None:
    """A setting breaks nothing that serves; the administrator finds by the condition what is outside of his list."""
    seen = stable_on(1) if phase is stable_on else phase()
    as_before = decide(again(with_status(seen), weight=LIVE, swap=LIVE))
    status = decide(again(with_status(seen), weight=LIVE, swap=LIVE, route_refusal=REFUSED))
    assert (at(status), status.route, status.run) == (at(as_before), as_before.route, as_before.run)
    assert condition(status, "Stalled")[:2] == ("True", "HostNotAllowed")
    assert condition(status, "Ready") == condition(as_before, "Ready")


def test_without_a_route_that_is_allowed_nothing_starts() -> None:
    """The object waits without pods. That another one has the host, too, is not told to those who may not use it."""
    seen = an_observation(route_refusal=REFUSED, host_taken="team-b/secret")
    status = decide(seen)
    assert (at(status), status.route, status.url) == (At(Phase.PENDING), None, "")
    assert render(OWNER, seen.spec, status) == ()
    assert condition(status, "Stalled") == ("True", "HostNotAllowed", f"{REFUSED.message}; it has no route")
    corrected = decide(again(seen, spec=to(MOVED), route_refusal=None, host_taken=""))
    assert corrected.phase is Phase.INITIALIZING
    assert routes(seen, corrected) == {("nginx", MOVED)}


def test_what_serves_without_a_noted_route_keeps_it() -> None:
    """After an upgrade an Ingress that is there is not deleted for a setting."""
    for seen in (stable_on(1), stepping(weight=LIVE)):
        status = decide(replace_seen(with_status(seen, route=None), granted_at=NOW, route_refusal=REFUSED))
        assert routes(seen, status) == {("nginx", "iris.example.com")}
        assert condition(status, "Stalled")[1] == "HostNotAllowed"


def test_a_host_that_was_never_granted_is_not_rendered() -> None:
    """Nothing starts, and the object waits in Pending."""
    seen = an_observation(host_taken="models/first")
    status = decide(seen)
    assert (at(status), status.route, status.url) == (At(Phase.PENDING), None, "")
    assert render(OWNER, seen.spec, status) == ()


def test_a_host_that_is_set_back_in_mid_run_leaves_nothing_behind() -> None:
    """The run had never left it."""
    taken = stepping(spec=to("taken.example.com"), host_taken="models/first", weight=LIVE)
    back = again(taken, spec=to(), host_taken="", weight=LIVE)
    status = decide(back)
    assert routes(back, status) == {("nginx", "iris.example.com")}
    assert at(status) == at(taken.status)
    assert condition(status, "Stalled")[1] == "Progressing"


@pytest.mark.parametrize("wanted", [to(MOVED), to(class_name="traefik")])
@pytest.mark.parametrize("phase", [starting, stepping, promoting])
def test_a_changed_route_restarts_the_run_at_once(phase: Callable[..., Observation], wanted: Spec) -> None:
    """Not after its deadline, which may be hours: stable has the new route first, and the canary none of it."""
    seen = phase(spec=wanted, weight=LIVE)
    status = decide(seen)
    assert at(status) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=at(seen.status).live)
    assert routes(seen, status) == {(class_of(wanted), wanted.traffic.place.host)}
    assert status.weight is not None
    assert (status.weight.written_at, status.weight.verified_at) == (seen.now, None)
    names = [ingress["metadata"]["name"] for ingress in render(OWNER, wanted, status) if ingress["kind"] == "Ingress"]
    assert names == ["iris", "iris-canary"]
    assert status.run is not None
    assert status.run.traffic == wanted.traffic
    follows = decide(again(seen, weight=LIVE))
    assert follows.run is not None
    assert follows.run.id == status.run.id, "once"


@pytest.mark.parametrize("phase", [swapped, watching, rolling_back])
def test_from_the_swap_on_a_changed_route_is_taken_in_without_a_restart(phase: Callable[..., Observation]) -> None:
    """There is no weight to move; what the gateway did with the old route proves nothing about the new one."""
    seen = phase(spec=to(MOVED), weight=LIVE, swap=LIVE)
    status = decide(seen)
    assert (at(status).phase, routes(seen, status)) == (seen.status.phase, {("nginx", MOVED)})


@pytest.mark.parametrize("wanted", [to(MOVED), to(class_name="traefik")])
def test_before_anything_serves_a_correction_of_the_route_acts_at_once(wanted: Spec) -> None:
    """A wrong class on the first apply was never rendered rightly."""
    first = again(an_observation(workloads=pods((revision(1), 2))), swap=None)
    corrected = again(first, spec=wanted, swap=LIVE, workloads=pods((revision(1), 2)))
    status = decide(corrected)
    assert routes(corrected, status) == {(class_of(wanted), wanted.traffic.place.host)}


def test_a_route_says_since_when_it_has_its_host() -> None:
    """Another class keeps the time, another host begins anew."""
    seen = stable_on(1)
    assert seen.status.route is not None
    since = seen.status.route.since

    def route(**changes: Any) -> tuple[str, Any]:
        granted = decide(again(seen, **changes)).route
        assert granted is not None
        return granted.traffic.place.host, granted.since

    assert route(spec=to(class_name="traefik")) == ("iris.example.com", since)
    assert route(spec=to(MOVED), after=9.0) == (MOVED, NOW + timedelta(seconds=9))


def test_an_upgrade_notes_the_route_that_is_served_and_starts_nothing() -> None:
    """A status without a route gets that of the spec, since the object was created."""
    created = NOW - timedelta(days=9)
    for seen in (stable_on(1), stepping(weight=LIVE)):
        status = decide(replace_seen(with_status(seen, route=None), granted_at=created))
        assert status.route is not None
        assert (status.route.since, at(status)) == (created, at(seen.status))


def test_of_two_that_were_granted_one_host_the_later_one_loses_its_route() -> None:
    """And waits; what it had in mid-run is not proven by anybody else's answers."""
    seen = stepping(host_taken="models/first", route_taken="models/first", weight=LIVE)
    status = decide(seen)
    assert (routes(seen, status), status.route) == (set(), None)
    assert at(status).outcome is not Outcome.REJECTED
    settled = decide(stable_on(1, host_taken="models/first", route_taken="models/first"))
    assert condition(settled, "Stalled")[1] == "HostTaken"


def failed_over() -> Observation:
    """Stable has no ready pods, and the canary has its weight and all requests."""
    return again(stepping(weight=LIVE), workloads=pods((revision(2), 2)))


@pytest.mark.parametrize("phase", [starting, stepping, promoting, swapped, failed_over])
@pytest.mark.parametrize("lost", [{"route_taken": "models/first", "host_taken": "models/first"}, {"spec": to(MOVED)}])
def test_a_weight_is_not_proven_by_a_route_that_is_gone(
    phase: Callable[..., Observation], lost: dict[str, Any]
) -> None:
    """In any phase. It is proven again when there is a route again, and no step passes before."""
    seen = phase()
    for _ in range(2):
        seen = again(seen, weight=LIVE, swap=not_live())
    seen = again(seen, **lost, weight=LIVE, swap=not_live())
    for verdict in (None, PASS):
        status = decide(replace_seen(seen, verdict=verdict))
        assert status.run is not None
        assert status.weight is not None
        assert status.weight.verified_at is None
        assert (status.run.step_started_at, at(status).step) == (None, at(seen.status).step)
        assert all(live.until for live in status.run.live_weights)
        assert condition(status, "TrafficVerified")[0] != "True"


def test_a_step_begins_again_when_its_route_is_back() -> None:
    """What the canary did before counts, and the time without a route does not."""
    taken = again(stepping(weight=LIVE), route_taken="models/first", host_taken="models/first")
    gone = again(again(taken, route_taken=""), after=600)
    back = again(again(gone, host_taken=""), weight=LIVE)
    status = decide(back)
    assert status.run is not None
    assert status.run.step_started_at == back.now
    assert [(live.until is None, live.disturbed) for live in status.run.live_weights][-2:] == [
        (False, True),
        (True, False),
    ]


ANOTHER = HostTrouble("HostAnsweredByAnother", "10 of 24 requests went to team-b/old", since=NOW, by_another=True)


def test_somebody_else_who_answers_for_the_host_is_told_at_rest() -> None:
    """Stable is ready, and its callers get answers of somebody else."""
    status = decide(stable_on(1, host_trouble=ANOTHER))
    assert condition(status, "TrafficVerified") == ("False", ANOTHER.reason, ANOTHER.message)
    assert status.message == ANOTHER.message
    [event] = [event for event in transitions(stable_on(1).status, status) if event.warning]
    assert event.reason == "HostAnsweredByAnother"


def test_a_share_that_somebody_else_takes_unproves_the_weight() -> None:
    """The step waits, nothing counts in favour, and missing requests do not count against the canary."""
    seen = stepping(weight=LIVE)
    taken = again(seen, host_trouble=ANOTHER, weight=LIVE, verdict=PASS)
    status = decide(taken)
    assert at(status) == at(seen.status)
    assert status.run is not None
    assert status.weight is not None
    assert (status.weight.verified_at, status.run.step_started_at) == (None, None)
    assert status.run.live_weights[-1].disturbed
    assert condition(status, "Stalled")[:2] == ("True", "HostAnsweredByAnother")
    back = again(taken, host_trouble=None, weight=LIVE)
    assert condition(decide(back), "TrafficVerified")[:2] == ("True", "Proven")
    assert at(decide(again(back, verdict=PASS))).step == 1


def test_a_weight_that_stays_unproven_in_a_step_is_stalled() -> None:
    """After two minutes; TrafficVerified says it after 30 seconds."""
    first = stepping(weight=LIVE, verdict=PASS)
    written = again(again(first), workloads=both_ready(2, 2), weight=not_live("12 to revision stable"))
    late = again(written, after=119.0, weight=not_live("12 to revision stable"))
    assert at(decide(written)).weight == 50
    assert condition(decide(late), "Stalled")[1] == "Progressing"
    later = again(late, after=2.0, weight=not_live("12 to revision stable"))
    assert condition(decide(later), "Stalled") == (
        "True",
        "WeightNotProven",
        "weight 50 was written but is not live: 12 to revision stable; the step waits for it",
    )
