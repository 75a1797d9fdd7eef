"""Copies by list and watch: what changes, comes or goes wakes its owner, also what went unseen. Time is simulated."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from sluice_operator.api import names
from sluice_operator.api.owner import Key, Manifest
from sluice_operator.kubernetes.cache import Cache
from sluice_operator.kubernetes.port import Expired, NoAnswer, NoSuchKind, ReadRefused
from sluice_operator.kubernetes.reflector import Reflector
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.simulated_time import simulated

IRIS = ("models", "iris")


class FakeSource:
    """An API server with Services. A watch of it lasts for 50 seconds, and remembers `remembered` changes."""

    def __init__(self) -> None:
        self.services: dict[str, Manifest] = {}
        self.changes: list[tuple[str, Manifest]] = []
        self.remembered = 100
        self.lists = 0
        self.trouble: Exception | None = None
        self.silent = False

    def put(self, name: str, owner: str = "iris", label: str = names.LABEL_OWNER, **spec: object) -> None:
        labels = {label: owner, names.LABEL_MANAGED_BY: names.MANAGED_BY}
        metadata = {"name": name, "namespace": "models", "labels": labels, "managedFields": [{"manager": "sluice"}]}
        manifest = {"metadata": {**metadata, "resourceVersion": str(len(self.changes) + 1)}, "spec": spec}
        self.changes.append(("MODIFIED" if name in self.services else "ADDED", manifest))
        self.services[name] = manifest

    def delete(self, name: str) -> None:
        gone = self.services.pop(name)
        version = {"resourceVersion": str(len(self.changes) + 1)}
        self.changes.append(("DELETED", {**gone, "metadata": {**gone["metadata"], **version}}))

    async def pages(
        self, kind: str, namespace: str, labels: dict[str, str]
    ) -> AsyncIterator[tuple[list[Manifest], str]]:
        """One object a page. A page takes half a second, if there are more."""
        if self.trouble is not None:
            raise self.trouble
        self.lists += 1
        services = list(self.services.values())
        yield services[:1], str(len(self.changes))
        for service in services[1:]:
            await asyncio.sleep(0.5)
            yield [service], str(len(self.changes))

    async def watch(
        self, kind: str, namespace: str, labels: dict[str, str], version: str
    ) -> AsyncIterator[tuple[str, Manifest]]:
        seen = int(version)
        for _ in range(500):
            await asyncio.sleep(0.1)
            if self.silent:
                await asyncio.sleep(3600)
            if self.trouble is not None:
                raise self.trouble
            if seen < len(self.changes) - self.remembered:
                raise Expired("too old")
            for change in self.changes[seen:]:
                yield change
            seen = len(self.changes)


class Scenario:
    def __init__(self) -> None:
        self.source = FakeSource()
        self.woken: list[Key] = []
        self.found: list[Key] = []  # in a list
        clock = asyncio.get_running_loop().time
        self.reflector = Reflector(
            self.source, "Service", self.woken.append, self.found.append, random.Random(1), clock=clock
        )
        self.running = asyncio.create_task(self.reflector.run())

    async def wakes(self, seconds: float) -> list[Key]:
        """Who is woken in this time."""
        self.woken.clear()
        await asyncio.sleep(seconds)
        return list(self.woken)


def test_each_change_wakes_the_owner_at_once() -> None:
    """A new object, a changed one, and one that is deleted."""

    async def scenario() -> None:
        world = Scenario()
        world.source.put("iris")
        assert await world.wakes(1) == []
        assert world.found == [IRIS], "it was in the first list: that may be one of thousands"
        world.source.put("iris", port=80)
        assert await world.wakes(0.2) == [IRIS]
        assert world.reflector.owned("models", "iris")[0]["spec"] == {"port": 80}
        world.source.delete("iris")
        assert await world.wakes(0.2) == [IRIS]
        assert world.reflector.owned("models", "iris") == []
        world.running.cancel()

    simulated(scenario)


def test_an_object_that_went_while_the_watch_was_cut_off_is_noticed() -> None:
    """Ten minutes later the API server has forgotten the change, so lists are compared. Nobody else is woken."""

    async def scenario() -> None:
        world = Scenario()
        world.source.put("iris")
        world.source.put("iris-metrics", owner="other")
        await asyncio.sleep(1)
        world.source.trouble = NoAnswer("refused")
        await asyncio.sleep(1)
        world.source.delete("iris")
        world.source.remembered = 0
        await asyncio.sleep(600)
        world.source.trouble = None
        assert await world.wakes(10) == [IRIS]
        assert world.source.lists == 2
        world.running.cancel()

    simulated(scenario)


def test_the_first_objects_of_a_long_list_are_there_while_the_others_are_read() -> None:
    """The list comes in pages; but what is in none of them may only be dropped after the last one."""

    async def scenario() -> None:
        world = Scenario()
        for number in range(10):
            world.source.put(f"iris-{number}", owner=f"iris-{number}")
        await asyncio.sleep(2.1)
        assert [key[1] for key in world.found] == [f"iris-{number}" for number in range(5)]
        assert not world.reflector.listed.is_set()
        await asyncio.sleep(3)
        assert len(world.found) == 10
        assert world.reflector.listed.is_set()
        world.running.cancel()

    simulated(scenario)


def test_an_object_that_changes_its_owner_wakes_both() -> None:
    """Each must see what it has now."""

    async def scenario() -> None:
        world = Scenario()
        world.source.put("iris")
        await asyncio.sleep(1)
        world.source.put("iris", owner="rose")
        assert await world.wakes(0.2) == [IRIS, ("models", "rose")]
        assert world.reflector.owned("models", "iris") == []
        world.running.cancel()

    simulated(scenario)


def test_nothing_is_asked_while_nothing_changes() -> None:
    """One list, and a watch that goes on where the last one ended."""

    async def scenario() -> None:
        world = Scenario()
        world.source.put("iris")
        await asyncio.sleep(3600)
        assert world.source.lists == 1
        assert world.reflector.trouble() == ""
        world.running.cancel()

    simulated(scenario)


def test_a_deaf_watch_is_a_trouble_of_the_process() -> None:
    """One that hears nothing for three minutes. One that is forbidden is none: a new process would hear no more."""

    async def scenario() -> None:
        world = Scenario()
        await asyncio.sleep(1)
        world.source.trouble = ReadRefused("services is forbidden")
        await asyncio.sleep(600)
        assert world.reflector.trouble() == ""
        world.source.trouble = None
        await asyncio.sleep(20)
        world.source.silent = True
        await asyncio.sleep(240)
        assert world.reflector.trouble().startswith("the watch of Service objects has heard nothing for ")
        world.running.cancel()

    simulated(scenario)


def test_who_stands_by_is_not_deaf() -> None:
    """It does not watch yet."""

    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        reflector = Reflector(
            FakeSource(), "Service", lambda key: None, lambda key: None, random.Random(1), clock=clock
        )
        await asyncio.sleep(3600)
        assert reflector.trouble() == ""

    simulated(scenario)


@pytest.mark.parametrize("labels", [{names.LABEL_OWNER: "iris"}, {names.LABEL_OWNER: "iris", "app": "x"}])
def test_the_cache_answers_as_the_api_server_does(labels: dict[str, str]) -> None:
    """What it does not have or cannot select, it reads from there."""

    async def scenario() -> None:
        world = Scenario()
        world.source.put("iris", port=80)
        kube = FakeKube()
        kube.put({"kind": "Service", "metadata": {"name": "iris", "namespace": "models", "labels": labels}})
        kube.put({"kind": "Secret", "metadata": {"name": "key", "namespace": "models"}})
        cache = Cache(kube, [world.reflector])
        assert "spec" not in (await cache.find("Service", "models", labels))[0], "it is not filled yet"
        await asyncio.sleep(1)
        found = await cache.find("Service", "models", labels)
        assert ("spec" in found[0]) == (len(labels) == 1)
        got = await cache.get("Service", "models", "iris")
        assert got is not None
        assert (got["kind"], got["spec"], "managedFields" in got["metadata"]) == ("Service", {"port": 80}, False)
        assert await cache.get("Secret", "models", "key") is not None
        assert await cache.get("Service", "models", "rose") is None
        world.running.cancel()

    simulated(scenario)


def test_a_pod_that_prepares_wakes_its_owner_and_is_none_of_its_pods_that_serve() -> None:
    """It has another label, because Services select by the first one. (Services stand for pods here.)"""

    async def scenario() -> None:
        world = Scenario()
        world.source.put("iris-x")
        await asyncio.sleep(1)
        world.source.put("iris-prepare-x", label=names.LABEL_PREPARES)
        assert await world.wakes(0.2) == [IRIS]
        cache = Cache(FakeKube(), [world.reflector])
        for label, name in ((names.LABEL_OWNER, "iris-x"), (names.LABEL_PREPARES, "iris-prepare-x")):
            found = await cache.find("Service", "models", {label: "iris"})
            assert [manifest["metadata"]["name"] for manifest in found] == [name]
        world.running.cancel()

    simulated(scenario)


def test_a_kind_that_is_not_installed_has_no_objects_until_it_is() -> None:
    """Nothing waits for its list, and nothing is deaf; once its CRD is there, its objects are found."""

    async def scenario() -> None:
        world = Scenario()
        world.source.trouble = NoSuchKind("no CRD")
        world.source.put("early")
        await asyncio.sleep(1000)
        assert world.reflector.listed.is_set()
        assert world.reflector.owned("models", "iris") == []
        assert world.reflector.trouble() == ""
        world.source.trouble = None
        await asyncio.sleep(60)
        assert [found["metadata"]["name"] for found in world.reflector.owned("models", "iris")] == ["early"]

    simulated(scenario)
