"""Who answers callers, at rest and in a step: plain probes in the background, through a real socket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from sluice_operator.api.observation import HostTrouble, Observation, Workload
from sluice_operator.api.owner import Manifest
from sluice_operator.controller.observation.callers import Callers
from sluice_operator.kubernetes.port import ReadRefused
from sluice_operator.routing.gateway import Access
from tests.unit.sluice_operator.build import NOW, OWNER, both_ready, revision, stable_on, starting, stepping
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.routing.gateways import HOST, Asked, Behaviour, FakeGateway, Reply, serving

STABLE = revision(1).revision
CANARY = revision(2).revision


def ingress(namespace: str, name: str, host: str = HOST) -> Manifest:
    metadata = {"namespace": namespace, "name": name, "uid": f"{namespace}/{name}"}
    return {"kind": "Ingress", "metadata": metadata, "spec": {"rules": [{"host": host}, {}]}}


class NoTimer:
    """A timer that a test lets go off."""

    def cancel(self) -> None:
        """Nothing."""


class Watcher:
    """Looks at one object again and again; before each further look all timers go off, and all probes end."""

    def __init__(self, gateway: FakeGateway, kube: FakeKube) -> None:
        self.gateway = gateway
        self.now: datetime = NOW
        self.pauses: list[float] = []
        self.woken = 0
        self._due: list[Callable[[], None]] = []
        access = Access(gateway.http, probe_timeout=5.0)
        self.callers = Callers(kube, access, random.Random(1), lambda: self.now, self.wake, self.later)

    def wake(self, _: tuple[str, str]) -> None:
        self.woken += 1

    def later(self, seconds: float, callback: Callable[[], None]) -> NoTimer:
        self.pauses.append(seconds)
        self._due.append(callback)
        return NoTimer()

    async def look(self, seen: Observation, times: int = 1) -> HostTrouble | None:
        """What the look after `times` groups of probes says."""
        self.callers.look(OWNER, seen.status, seen.workloads)
        for _ in range(times):
            self.now += timedelta(minutes=1)
            due, self._due = self._due, []
            for callback in due:
                callback()
            await asyncio.gather(*self.callers._running)
        return self.callers.look(OWNER, seen.status, seen.workloads)


def watched(
    behaviour: Behaviour, story: Callable[[Watcher], Awaitable[Any]], *ingresses: Manifest, kube: FakeKube | None = None
) -> Any:
    kube = kube or FakeKube()
    for manifest in ingresses:
        kube.put(manifest)

    async def run() -> Any:
        async with serving(behaviour) as gateway:
            return await asyncio.wait_for(story(Watcher(gateway, kube)), 30)

    return asyncio.run(run())


def at_rest() -> Observation:
    return stable_on(1, workloads={STABLE: Workload(ready=2)})


def in_a_step() -> Observation:
    return stepping(workloads=both_ready())


def test_an_object_at_rest_costs_one_probe_a_minute() -> None:
    """As long as its own revision answers; it is not woken, and looks do not ask."""

    async def story(watcher: Watcher) -> None:
        assert await watcher.look(at_rest(), times=5) is None
        assert (len(watcher.gateway.asked), watcher.woken) == (5, 0)
        assert all(48 <= pause <= 72 for pause in watcher.pauses[1:])

    watched(lambda _: Reply(revision=STABLE), story)


def test_a_large_fleet_is_probed_five_times_a_second_in_all() -> None:
    """Each object less often."""

    async def story(watcher: Watcher) -> None:
        seen = at_rest()
        for number in range(2_000):
            owner = replace(OWNER, name=f"iris-{number}")
            watcher.callers.look(owner, seen.status, seen.workloads)
        assert max(watcher.pauses[:100]) <= 72, "they begin anywhere in the first minute"
        assert 360 <= max(watcher.pauses) <= 480

    watched(lambda _: Reply(revision=STABLE), story)


def test_of_many_rollouts_each_is_probed_less_often() -> None:
    """Probes of rollouts are many: 24 each time. They do not slow down those of the objects at rest."""

    async def story(watcher: Watcher) -> None:
        stepping_now, resting = in_a_step(), at_rest()
        for number in range(200):
            owner = replace(OWNER, name=f"iris-{number}")
            watcher.callers.look(owner, stepping_now.status, stepping_now.workloads)
        assert max(watcher.pauses[:30]) <= 18, "a few do not notice each other"
        assert 60 <= max(watcher.pauses) <= 96
        watcher.callers.look(replace(OWNER, name="calm"), resting.status, resting.workloads)
        assert watcher.pauses[-1] <= 72
        for number in range(200):
            watcher.callers.forget(OWNER.namespace, f"iris-{number}")
        watcher.callers.look(OWNER, stepping_now.status, stepping_now.workloads)
        assert watcher.pauses[-1] <= 18, "those that are over do not count"

    watched(lambda _: Reply(revision=STABLE), story)


def test_an_ingress_of_somebody_else_with_the_same_host_is_named() -> None:
    """One odd answer is enough to ask again, often enough for a share."""

    async def story(watcher: Watcher) -> HostTrouble | None:
        return await watcher.look(at_rest())

    others = (
        ingress("team-b", "old"),
        ingress("team-c", "all", "*.example.com"),
        ingress("d", "x", "b.example.com"),
    )
    ours = {"kind": "Ingress", "metadata": OWNER.metadata("iris"), "spec": {"rules": [{"host": HOST}]}}
    trouble = watched(lambda _: Reply(200), story, *others, ours)
    assert (trouble.reason, trouble.by_another) == ("HostAnsweredByAnother", True)
    assert trouble.message == (
        f"24 of 24 plain requests for {HOST} went elsewhere: 24 to no model server (status 200); the same host is in"
        " Ingress team-b/old, Ingress team-c/all: change or delete one of the two"
    )


class Restricted(FakeKube):
    async def find(self, kind: str, namespace: str, labels: Any) -> list[Manifest]:
        raise ReadRefused("ingresses is forbidden")


def test_without_permission_to_list_nobody_is_named_and_it_is_told_all_the_same() -> None:
    """As in an install for some namespaces."""

    async def story(watcher: Watcher) -> HostTrouble | None:
        return await watcher.look(at_rest())

    trouble = watched(lambda _: Reply(200), story, kube=Restricted())
    assert trouble.reason == "HostAnsweredByAnother"
    assert "look at what else the gateway obeys" in trouble.message


def test_a_share_that_a_foreign_canary_takes_in_a_step_is_noticed() -> None:
    """40 % of the callers reach neither stable nor canary."""
    sent = iter(range(10_000))

    def shared(_: Asked) -> Reply:
        return Reply(200) if next(sent) % 5 < 2 else Reply(revision=STABLE if next(sent) % 2 else CANARY)

    async def story(watcher: Watcher) -> tuple[HostTrouble | None, datetime]:
        return await watcher.look(in_a_step()), watcher.now

    trouble, _ = watched(shared, story, ingress("team-b", "theirs-canary"))
    assert trouble.by_another
    assert "team-b/theirs-canary" in trouble.message


def test_trouble_knows_when_all_was_right_and_wakes_the_object_as_it_comes_and_goes() -> None:
    """Since then nobody knows what share the canary got."""
    replies = {"now": Reply(revision=STABLE)}

    async def story(watcher: Watcher) -> None:
        assert await watcher.look(in_a_step()) is None
        right = watcher.now
        replies["now"] = Reply(200)
        trouble = await watcher.look(in_a_step(), times=3)
        assert trouble is not None
        assert (trouble.since, watcher.woken) == (right, 1)
        replies["now"] = Reply(revision=CANARY)
        assert await watcher.look(in_a_step()) is None
        assert watcher.woken == 2

    watched(lambda _: replies["now"], story)


@pytest.mark.parametrize("status", [404, 503])
def test_what_may_pass_by_itself_is_told_when_it_is_seen_twice(status: int) -> None:
    """A gateway that reads its configuration is no trouble yet."""

    async def story(watcher: Watcher) -> None:
        assert await watcher.look(at_rest()) is None
        again = await watcher.look(at_rest())
        assert again is not None
        assert again.reason == "HostNotAnswered"

    watched(lambda _: Reply(status), story)


def test_what_is_known_of_one_stable_says_nothing_about_the_next() -> None:
    """A promotion comes between the probes and their end."""

    async def story(watcher: Watcher) -> None:
        assert await watcher.look(at_rest(), times=2) is not None
        promoted = stable_on(2, workloads={CANARY: Workload(ready=2)})
        assert await watcher.look(promoted, times=0) is None

    watched(lambda _: Reply(200), story)


def test_a_gateway_that_does_not_answer_holds_no_pass() -> None:
    """The look returns what the last probes showed; these go on without it."""

    async def story(watcher: Watcher) -> None:
        watcher.callers.look(OWNER, at_rest().status, at_rest().workloads)
        watcher._due[0]()
        await asyncio.sleep(0)
        assert watcher.callers.look(OWNER, at_rest().status, at_rest().workloads) is None
        [task] = watcher.callers._running
        task.cancel()

    watched(lambda _: Reply(silent=True), story)


def test_nobody_is_asked_while_who_answers_is_changing_or_nobody_could() -> None:
    """A start has its own proofs, and a stable without pods has its own condition."""

    async def story(watcher: Watcher) -> int:
        await watcher.look(starting(workloads=both_ready()))
        await watcher.look(stable_on(1, workloads={}))
        return len(watcher.gateway.asked)

    assert watched(lambda _: Reply(200), story) == 0


def test_pods_of_one_namespace_that_never_answer_delay_nobody_elsewhere() -> None:
    """However many there are; all others hear of a stranger as soon as ever."""

    async def story(watcher: Watcher) -> None:
        seen = at_rest()
        assert seen.status.route is not None
        assert seen.status.route.traffic.ingress is not None
        host = structs.replace(seen.status.route.traffic.ingress, host="pit.example.com")
        route = structs.replace(seen.status.route, traffic=structs.replace(seen.status.route.traffic, ingress=host))
        pit = structs.replace(seen.status, route=route)
        for number in range(40):
            watcher.callers.look(replace(OWNER, namespace="theirs", name=f"pit-{number}"), pit, seen.workloads)
        watcher.callers.look(OWNER, seen.status, seen.workloads)
        for callback in watcher._due:
            callback()
        async with asyncio.timeout(3):  # less than a probe waits
            await answered.wait()
        for task in watcher.callers._running:
            task.cancel()
        await asyncio.gather(*watcher.callers._running, return_exceptions=True)

    answered = asyncio.Event()

    def behaviour(asked: Asked) -> Reply:
        if asked.headers["host"] == HOST:
            answered.set()
        return Reply(revision=STABLE, silent=asked.headers["host"] != HOST)

    watched(behaviour, story)
