"""Each run record gets into the store, whatever is down or killed, and nobody waits for it. Simulated time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from sluice_operator.api import names
from sluice_operator.api.owner import Key, Manifest
from sluice_operator.api.run import Run
from sluice_operator.api.status import Status
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.sending import Sending
from sluice_operator.kubernetes.guard import Guarded
from sluice_operator.kubernetes.port import ReadRefused, WriteRefused
from sluice_operator.prometheus.reader import MetricsLostError
from sluice_operator.run_store import RecordRefusedError, StoreSilentError
from tests.unit.sluice_operator.build import OWNER
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.recorded import BEGAN, FakeEndedRuns, a_run
from tests.unit.sluice_operator.simulated_time import simulated

IRIS: Key = ("models", "iris")
STORE = "http://store:8090"
HOURS = 3600.0


class FakeStore:
    """Keeps what it gets by run, unless there is `trouble`. `asked`: the runs of all requests.

    `meanwhile`: what happens while a request is under way.
    """

    def __init__(self, url: str = STORE) -> None:
        self.url = url
        self.kept: dict[str, Manifest] = {}
        self.asked: list[str] = []
        self.trouble: Exception | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    async def put(self, namespace: str, name: str, run: str, document: bytes) -> None:
        self.asked.append(run)
        self.meanwhile()
        if self.trouble is not None:
            raise self.trouble
        self.kept[run] = msgspec.json.decode(document)


class Scenario:
    """An archive that sends, in an operator that can be started again. `leads`: whether it may write."""

    def __init__(self) -> None:
        self.kube, self.ending, self.store = FakeKube(), FakeEndedRuns(), FakeStore()
        self.leads = True
        self.task: asyncio.Task[None] | None = None
        self.start()

    def start(self) -> None:
        if self.task is not None:
            self.task.cancel()
        kube = Guarded(self.kube, lambda namespace: self.leads)
        self.sending = Sending(kube, self.store, random.Random(1))
        self.archive = Archive(kube, self.ending, self.sending.look)
        self.task = asyncio.get_running_loop().create_task(self.sending.run())

    async def keep(self, run: Run) -> None:
        """The record is written, and nothing is sent before this returns."""
        sent = len(self.store.asked)
        await self.archive.keep(OWNER, Status(run=run), BEGAN + timedelta(hours=24))
        assert len(self.store.asked) == sent

    def records(self) -> list[str]:
        return [name for kind, name in self.kube.objects if kind == "ConfigMap"]


def scenario(test: Callable[[Scenario], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """The test, run in simulated time. Whatever it says, the sender goes on."""

    async def run() -> None:
        world = Scenario()
        await test(world)
        assert world.task is not None
        assert not world.task.done()

    def in_simulated_time() -> None:
        simulated(run)

    in_simulated_time.__doc__ = test.__doc__
    return in_simulated_time


def nth(index: int, **changes: Any) -> Run:
    began = BEGAN + timedelta(hours=index)
    return a_run(id=f"bbbbbbbbbb-{int(began.timestamp())}", started_at=began, **changes)


@scenario
async def test_a_record_is_sent_once_after_it_was_written(world: Scenario) -> None:
    """The store gets the ConfigMap with its counts, and without what only the cluster knows of it."""
    await world.keep(nth(0))
    await asyncio.sleep(1)
    live = world.kube.objects["ConfigMap", names.run_record("iris", nth(0).id)]
    kept = world.store.kept[nth(0).id]
    assert {**live, "metadata": {}} == {**kept, "metadata": {}}
    assert kept["metadata"] == {field: live["metadata"][field] for field in ("name", "namespace", "labels")}
    assert live["metadata"]["annotations"] == {"sluice.dev/in-store": STORE}
    world.sending.look(IRIS)
    await asyncio.sleep(HOURS)
    world.start()
    await world.keep(nth(0))
    await asyncio.sleep(HOURS)
    assert world.store.asked == [nth(0).id]


@scenario
async def test_a_silent_store_is_asked_less_and_less_and_gets_all_in_the_end(world: Scenario) -> None:
    """An hour of it costs 20 requests at most, however many objects wait."""
    world.store.trouble = StoreSilentError("no answer: connection refused")
    await world.keep(nth(0))
    for other in range(100):
        world.sending.look(("models", f"other-{other}"))
    await asyncio.sleep(HOURS)
    await world.keep(nth(1))
    assert 10 < len(world.store.asked) < 20
    world.store.trouble = None
    await asyncio.sleep(331)
    assert set(world.store.kept) == {nth(0).id, nth(1).id}


@scenario
async def test_what_was_not_sent_before_a_restart_is_sent_after_it(world: Scenario) -> None:
    """Also that of earlier runs, and while the newest one has not ended."""
    world.store.trouble = StoreSilentError("no answer")
    for index in range(3):
        await world.keep(nth(index))
        await asyncio.sleep(1)
    world.store.trouble = None
    world.start()
    await asyncio.sleep(HOURS)
    assert not world.store.kept, "nobody has looked at the object yet"
    await world.keep(replace(nth(3), ended_at=None, outcome=None))
    await asyncio.sleep(1)
    assert set(world.store.kept) == {nth(index).id for index in range(3)}


@scenario
async def test_another_store_gets_all_records_that_the_cluster_has(world: Scenario) -> None:
    """As when its address was changed: the mark is about one store."""
    await world.keep(nth(0))
    await asyncio.sleep(1)
    world.store = FakeStore("http://elsewhere:8090")
    world.start()
    await world.keep(nth(0))
    await asyncio.sleep(1)
    assert set(world.store.kept) == {nth(0).id}


@scenario
async def test_a_record_that_gets_its_counts_later_is_sent_again(world: Scenario) -> None:
    """The store has it without them meanwhile: how the run ended is known."""
    world.ending.trouble = MetricsLostError("Prometheus is down")
    await world.keep(nth(0))
    await asyncio.sleep(1)
    assert "binaryData" not in world.store.kept[nth(0).id]
    world.ending.trouble = None
    world.start()
    await world.keep(nth(0))
    await asyncio.sleep(1)
    assert "binaryData" in world.store.kept[nth(0).id]


@scenario
async def test_a_record_that_changes_while_it_is_sent_is_sent_again(world: Scenario) -> None:
    """Its mark is refused, because it is about another version."""
    await world.keep(nth(0))
    reference = ("ConfigMap", names.run_record("iris", nth(0).id))
    world.store.meanwhile = lambda: world.kube.touch(reference)
    await asyncio.sleep(1)
    assert "annotations" not in world.kube.objects[reference]["metadata"]
    world.store.meanwhile = lambda: None
    await asyncio.sleep(10)
    assert len(world.store.asked) == 2
    assert "annotations" in world.kube.objects[reference]["metadata"]


@scenario
async def test_a_record_that_the_store_refuses_holds_up_no_other(world: Scenario) -> None:
    """It stays in the cluster, and is offered again with the next run."""
    world.store.trouble = RecordRefusedError("HTTP 413, over the limit")
    await world.keep(nth(0))
    await asyncio.sleep(HOURS)
    assert world.store.asked == [nth(0).id]
    world.store.trouble = None
    await world.keep(nth(1))
    await asyncio.sleep(1)
    assert set(world.store.kept) == {nth(0).id, nth(1).id}


@pytest.mark.parametrize("error", [WriteRefused("configmaps is forbidden"), KeyError("a bug")])
def test_whatever_goes_wrong_is_tried_again(error: Exception) -> None:
    """And ends neither the sender nor the process."""

    @scenario
    async def refused(world: Scenario) -> None:
        def refuse(verb: str, manifest: Manifest) -> None:
            if verb == "apply":
                raise error

        await world.keep(nth(0))
        world.kube.before_write = refuse
        await asyncio.sleep(HOURS)
        world.kube.before_write = lambda verb, manifest: None
        await asyncio.sleep(331)
        assert "annotations" in world.kube.objects["ConfigMap", world.records()[0]]["metadata"]

    refused()


@scenario
async def test_nothing_is_written_without_the_lease(world: Scenario) -> None:
    """After a moment without it the record is marked; what another operator has is forgotten."""
    await world.keep(nth(0))
    world.leads = False
    await asyncio.sleep(1)
    assert "annotations" not in world.kube.objects["ConfigMap", world.records()[0]]["metadata"]
    world.leads = True
    await asyncio.sleep(10)
    assert "annotations" in world.kube.objects["ConfigMap", world.records()[0]]["metadata"]
    world.leads = False
    await asyncio.sleep(1)
    sent = len(world.store.asked)
    world.sending.look(IRIS)
    world.sending.forget(IRIS)
    await asyncio.sleep(HOURS)
    assert len(world.store.asked) == sent


@scenario
async def test_a_namespace_that_cannot_be_read_holds_up_no_other(world: Scenario) -> None:
    """Hundreds of its objects wait longer and longer; a record of another namespace is sent at once."""

    class Refusing(FakeKube):
        asked = 0

        async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
            if namespace == "closed":
                self.asked += 1
                raise ReadRefused("configmaps is forbidden")
            return await world.kube.find(kind, namespace, labels)

    refusing = Refusing()
    world.sending = Sending(refusing, world.store, random.Random(1))
    assert world.task is not None
    world.task.cancel()
    world.task = asyncio.get_running_loop().create_task(world.sending.run())
    for number in range(200):
        world.sending.look(("closed", f"model-{number}"))
    await asyncio.sleep(HOURS)
    assert 200 * 8 < refusing.asked < 200 * 20
    await world.archive.keep(OWNER, Status(run=a_run()), BEGAN + timedelta(hours=24))
    world.sending.look(IRIS)
    await asyncio.sleep(1)
    assert len(world.store.kept) == 1
