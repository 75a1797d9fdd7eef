"""The Lease has a thread of its own: busy work does not cost it, and work that hangs does not keep it.

The time of that thread is simulated, and flies while the work waits.
"""

from __future__ import annotations

import asyncio
import threading

import pytest
from aiohttp import web

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.kubernetes.guard import NotLeading
from sluice_operator.kubernetes.guarded_rest import GuardedRest
from sluice_operator.kubernetes.lease import RENEW_DEADLINE, RETRY, Lease, LeaseLostError
from sluice_operator.kubernetes.lease_thread import HANGS, LeaseThread
from tests.unit.sluice_operator.api_server import api_server
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.simulated_time import SimulatedLoop

PATIENCE = 60.0  # seconds, after which a test fails


class SlowKube(FakeKube):
    """After `renewals` writes of the Lease, the next one waits until `go_on`. So time stands still until then."""

    def __init__(self, renewals: int) -> None:
        super().__init__()
        self._left = renewals
        self.reached, self.go_on, self.given_back = threading.Event(), threading.Event(), threading.Event()
        self.was_read = threading.Event()

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        found = await super().get(kind, namespace, name)
        self.was_read.set()
        return found

    async def replace(self, manifest: Manifest) -> Manifest | None:
        self._left -= 1
        if self._left == 0:
            self.reached.set()
            self.go_on.wait(PATIENCE)
        written = await super().replace(manifest)
        if not manifest["spec"]["holderIdentity"]:
            self.given_back.set()
        return written


class Scenario:
    """The Lease in its thread. A test that waits for an event blocks the event loop of the work."""

    def __init__(self, renewals: int) -> None:
        self.kube, self.closed, self.loop = SlowKube(renewals), False, SimulatedLoop()
        self.lease = Lease(self.kube, "sluice-system", "sluice-leader", "a", self.loop.time)
        self.thread = LeaseThread(self.lease, self._close, lambda: self.loop, self.loop.time)

    async def _close(self) -> None:
        self.closed = True

    def holder(self) -> str:
        return str(self.kube.objects["Lease", "sluice-leader"]["spec"]["holderIdentity"])


def test_work_that_is_busy_for_longer_than_the_deadline_does_not_cost_the_lease() -> None:
    """Its event loop does not turn for twice that time, and the Lease is renewed all the same."""

    async def scenario() -> None:
        renewals = int(2 * RENEW_DEADLINE / RETRY)
        world = Scenario(renewals)
        async with world.thread.acquired() as lost:
            assert world.kube.reached.wait(PATIENCE)
            assert world.loop.time() >= 2 * RENEW_DEADLINE
            assert world.lease.held()
            world.kube.go_on.set()
            assert not asyncio.ensure_future(lost).done()
        assert (world.holder(), world.closed, world.lease.held()) == ("", True, False)

    asyncio.run(scenario())


def test_work_that_hangs_loses_the_lease() -> None:
    """It is given back, so that the other operator need not wait for its end; and a late write is refused."""

    async def scenario() -> None:
        world = Scenario(renewals=1000)
        async with world.thread.acquired() as lost:
            assert world.kube.given_back.wait(PATIENCE)
            assert HANGS < world.loop.time() <= HANGS + 2 * RETRY
            assert not world.lease.held()
            with pytest.raises(LeaseLostError, match=r"the work of this operator has not moved for 3\d s"):
                await lost

    asyncio.run(scenario())


def test_an_operator_that_stands_by_can_be_told_to_end() -> None:
    """Another one holds the Lease, and keeps it."""

    async def scenario() -> None:
        world = Scenario(renewals=1000)
        spec = {"holderIdentity": "b", "leaseDurationSeconds": 1_000_000_000}
        metadata = {"namespace": "sluice-system", "name": "sluice-leader"}
        world.kube.put({"kind": "Lease", "metadata": metadata, "spec": spec})

        async def stand_by() -> None:
            async with world.thread.acquired():
                raise AssertionError("it was acquired")

        standing_by = asyncio.create_task(stand_by())
        await asyncio.to_thread(world.kube.was_read.wait, PATIENCE)
        standing_by.cancel()
        await asyncio.wait([standing_by])
        assert (standing_by.cancelled(), world.holder(), world.closed) == (True, "b", True)

    asyncio.run(scenario())


def test_a_write_that_waited_for_its_connection_is_refused_when_the_lease_is_lost_meanwhile() -> None:
    """Nothing of it reaches the server, which still answers reads."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.method)
        return web.json_response({"metadata": {}})

    async def scenario() -> None:
        leads = {"models"}
        async with api_server(answer) as api:
            api.rest_client = GuardedRest(api.configuration, leads.__contains__)
            server, manifest = ApiServer(api), {"kind": "Service", "metadata": {"namespace": "models", "name": "iris"}}
            await server.replace(manifest)
            leads.clear()
            with pytest.raises(NotLeading):
                await server.replace(manifest)
            await server.get("Service", "models", "iris")

    asyncio.run(scenario())
    assert seen == ["PUT", "GET"]
