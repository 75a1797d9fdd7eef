"""Of several operators one works, and one that was stalled writes nothing any more. Time is simulated."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.guard import Guarded, NotLeading
from sluice_operator.kubernetes.lease import DURATION, RENEW_DEADLINE, Lease, LeaseLostError
from sluice_operator.kubernetes.port import NoAnswer
from tests.unit.sluice_operator.fakes import FakeKube, finish
from tests.unit.sluice_operator.simulated_time import simulated


class Connection:
    """The API server as one operator reaches it: `broken`, or `silent`, for that operator alone."""

    def __init__(self, kube: FakeKube) -> None:
        self._kube = kube
        self.broken = self.silent = False
        self.reads = 0

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        self.reads += 1
        await self._pass()
        return await self._kube.get(kind, namespace, name)

    async def create(self, manifest: Manifest) -> None:
        await self._pass()
        await self._kube.create(manifest)

    async def replace(self, manifest: Manifest) -> Manifest | None:
        await self._pass()
        return await self._kube.replace(manifest)

    async def _pass(self) -> None:
        if self.silent:
            await asyncio.sleep(3600)
        if self.broken:
            raise NoAnswer("refused")


class Candidates:
    """Two operators that want the same Lease, and at each tenth of a second which of them held it."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.connections = [Connection(self.kube), Connection(self.kube)]
        clock = asyncio.get_running_loop().time
        self.a, self.b = (
            Lease(connection, "sluice-system", "sluice-operator", name, clock)
            for connection, name in zip(self.connections, ("a", "b"), strict=True)
        )

    async def held_for(self, seconds: float) -> list[str]:
        """Who held it in this time, without repetitions. It is never both."""
        held: list[str] = []
        for _ in range(round(seconds * 10)):
            assert not (self.a.held() and self.b.held()), "there are two holders"
            holder = "a" if self.a.held() else "b" if self.b.held() else "nobody"
            if held[-1:] != [holder]:
                held.append(holder)
            await asyncio.sleep(0.1)
        return held


async def lead(lease: Lease) -> None:
    await lease.acquire()
    await lease.keep()


def test_one_of_two_holds_the_lease_as_long_as_it_renews_it() -> None:
    """The other one stands by, and knows who works."""

    async def scenario() -> None:
        pair = Candidates()
        await pair.a.acquire()
        tasks = [asyncio.create_task(work) for work in (pair.a.keep(), lead(pair.b))]
        assert await pair.held_for(3600) == ["a"]
        assert (pair.b.was_read, pair.b.holder) == (True, "a")
        for task in tasks:
            task.cancel()

    simulated(scenario)


def test_a_renewal_is_one_request() -> None:
    """It is read again after a write that failed, as one to a Lease that somebody has touched does."""

    async def scenario() -> None:
        pair = Candidates()
        await pair.a.acquire()
        keeping = asyncio.create_task(pair.a.keep())
        await asyncio.sleep(5)
        reads = pair.connections[0].reads
        await asyncio.sleep(600)
        assert pair.connections[0].reads == reads
        pair.kube.touch(("Lease", "sluice-operator"))
        assert await pair.held_for(60) == ["a"]
        assert pair.connections[0].reads == reads + 1
        del pair.kube.objects["Lease", "sluice-operator"]
        assert await pair.held_for(60) == ["a"]
        assert ("Lease", "sluice-operator") in pair.kube.objects
        keeping.cancel()

    simulated(scenario)


@pytest.mark.parametrize("fault", ["broken", "silent"])
def test_a_holder_that_is_cut_off_stops_before_the_other_one_starts(fault: str) -> None:
    """It ends ten seconds after its last renewal, and the other one takes over within twenty."""

    async def scenario() -> None:
        pair = Candidates()
        await pair.a.acquire()
        first, second = asyncio.create_task(pair.a.keep()), asyncio.create_task(lead(pair.b))
        await asyncio.sleep(60)
        setattr(pair.connections[0], fault, True)
        assert await pair.held_for(25) == ["a", "nobody", "b"]
        assert isinstance(first.exception(), LeaseLostError)
        second.cancel()

    simulated(scenario)


def test_a_released_lease_is_taken_at_once() -> None:
    """So an upgrade does not wait for its end."""

    async def scenario() -> None:
        pair = Candidates()
        await pair.a.acquire()
        second = asyncio.create_task(lead(pair.b))
        await asyncio.sleep(60)
        await pair.a.release()
        assert not pair.a.held()
        await asyncio.sleep(2.1)
        assert pair.b.held()
        await pair.a.release()
        assert pair.b.held(), "who does not hold it cannot give it away"
        second.cancel()

    simulated(scenario)


def test_a_restarted_process_takes_its_own_lease_at_once() -> None:
    """It was killed, and could not release it."""

    async def scenario() -> None:
        pair = Candidates()
        await pair.a.acquire()
        again = Lease(pair.connections[1], "sluice-system", "sluice-operator", "a", asyncio.get_running_loop().time)
        await again.acquire()
        assert again.held()

    simulated(scenario)


def test_an_operator_waits_for_an_api_server_that_is_away() -> None:
    """For as long as it takes; a process that ends each time would be restarted less and less often."""

    async def scenario() -> None:
        pair = Candidates()
        pair.connections[0].broken = True
        first = asyncio.create_task(pair.a.acquire())
        await asyncio.sleep(600)
        assert not pair.a.was_read
        pair.connections[0].broken = False
        await asyncio.wait_for(first, 2.1)
        assert pair.a.held()

    simulated(scenario)


def test_a_deleted_lease_is_made_again() -> None:
    """By its holder, with its next renewal."""

    async def scenario() -> None:
        kube = FakeKube()
        lease = Lease(kube, "sluice-system", "sluice-operator", "a", asyncio.get_running_loop().time)
        await lease.acquire()
        del kube.objects["Lease", "sluice-operator"]
        keeping = asyncio.create_task(lease.keep())
        await asyncio.sleep(60)
        assert ("Lease", "sluice-operator") in kube.objects
        assert lease.held()
        keeping.cancel()

    simulated(scenario)


IRIS: Manifest = {"metadata": {"namespace": "models", "name": "iris"}}
WRITES: dict[str, tuple[Any, ...]] = {
    "create": (IRIS,),
    "apply": (IRIS,),
    "scale": (IRIS, 3),
    "delete": (IRIS,),
    "update_status": (IRIS,),
}


@pytest.mark.parametrize("verb", WRITES)
def test_an_operator_that_was_stalled_writes_nothing_any_more(verb: str) -> None:
    """It was stopped for longer than the deadline, and goes on with what it was about to write."""
    now = 0.0
    kube = FakeKube()
    lease = Lease(kube, "sluice-system", "sluice-operator", "a", lambda: now)
    guarded = Guarded(kube, lambda namespace: lease.held())
    asyncio.run(lease.acquire())
    now = RENEW_DEADLINE
    with pytest.raises(NotLeading):
        finish(getattr(guarded, verb)(*WRITES[verb]))
    assert finish(guarded.get("Service", "models", "iris")) is None
    assert finish(guarded.find("Service", "models", {})) == []


def test_there_is_time_between_two_holders() -> None:
    """For a write that was on its way when the deadline passed."""
    assert DURATION - RENEW_DEADLINE >= 5.0
