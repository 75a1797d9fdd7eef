"""After a start: rollouts first, then the others at a bounded rate, and a change is never late. Time is simulated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import kopf
import pytest

from sluice_operator.api import names
from sluice_operator.api.allowed_routes import AllowedRoutes
from sluice_operator.api.owner import Key
from sluice_operator.controller import watch
from sluice_operator.controller.observation.host_claims import HostClaims
from sluice_operator.controller.scheduling.first_looks import FirstLooks
from sluice_operator.controller.scheduling.lanes import Lanes
from sluice_operator.kubernetes.cache import Cache
from tests.unit.sluice_operator.build import raw_spec
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.simulated_time import simulated

Event = Callable[..., Coroutine[Any, Any, None]]


class Watched:
    """What the operator does with the events of its watch, and when it has looked at which object."""

    def __init__(self) -> None:
        kube = FakeKube()
        self.looks: list[tuple[float, str]] = []
        self.lanes = Lanes()
        self.first = FirstLooks(self.wake, self.lanes)
        self.own: set[tuple[str, str]] = set()  # names and versions that the operator has written
        handlers = watch.registry(
            self.wake,
            self.first,
            HostClaims(kube, AllowedRoutes()),
            self.lanes,
            Cache(kube, []),
            lambda key, version: (key[1], version) in self.own,
        )
        (handler,) = handlers._watching.get_all_handlers()
        self._handler = cast(Event, handler.fn)
        self.running = asyncio.create_task(self.first.run())

    def wake(self, key: Key) -> None:
        self.first.forget(key)
        self.looks.append((round(asyncio.get_running_loop().time(), 3), key[1]))

    async def tell(self, change: str | None, name: str, phase: str = "Stable", version: str = "1") -> None:
        metadata = {"namespace": "models", "name": name, "uid": name, "resourceVersion": version}
        metadata["creationTimestamp"] = "2026-03-01T00:00:00Z"
        body = {"kind": names.KIND, "metadata": metadata, "spec": raw_spec(), "status": {"phase": phase}}
        event = cast(kopf.RawEvent, {"type": change, "object": body})
        await self._handler(event=event, namespace="models", name=name)

    async def pass_by(self, seconds: float) -> list[tuple[float, str]]:
        """The looks in this time."""
        self.looks.clear()
        await asyncio.sleep(seconds)
        assert not self.running.done()
        return list(self.looks)


def run(scenario: Callable[[Watched], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        watched = Watched()
        await scenario(watched)
        watched.running.cancel()

    simulated(main)


def test_a_thousand_objects_at_rest_are_looked_at_within_a_minute_and_not_at_once() -> None:
    """Fifty immediately, then one every twentieth of a second."""

    async def scenario(watched: Watched) -> None:
        for number in range(1000):
            await watched.tell(None, f"idle-{number}")
        looks = await watched.pass_by(60)
        assert [name for _, name in looks] == [f"idle-{number}" for number in range(1000)]
        for second in range(48):
            assert sum(second < at <= second + 1 for at, _ in looks) <= 20
        assert sum(at == 0 for at, _ in looks) == 50

    run(scenario)


def test_a_rollout_is_looked_at_before_all_objects_at_rest() -> None:
    """It is the last one in the list."""

    async def scenario(watched: Watched) -> None:
        for number in range(1000):
            await watched.tell(None, f"idle-{number}")
        await watched.tell(None, "iris", phase="Stepping")
        assert watched.looks == [(0, "iris")]

    run(scenario)


@pytest.mark.parametrize("change", ["ADDED", "MODIFIED", "DELETED"])
def test_a_change_does_not_wait_for_the_first_looks(change: str) -> None:
    """It is looked at once, and not again when it would have been its turn."""

    async def scenario(watched: Watched) -> None:
        for number in range(1000):
            await watched.tell(None, f"idle-{number}")
        await watched.pass_by(10)
        await watched.tell(change, "idle-999", version="2")
        assert watched.looks[-1] == (10, "idle-999")
        assert "idle-999" not in {name for _, name in await watched.pass_by(60)}

    run(scenario)


def test_a_write_of_the_operator_s_own_wakes_nobody() -> None:
    """It knows what it wrote; whatever somebody else writes then is looked at at once."""

    async def scenario(watched: Watched) -> None:
        watched.own.add(("iris", "2"))
        await watched.tell("MODIFIED", "iris", phase="Stepping", version="2")
        assert watched.looks == []
        await watched.tell("MODIFIED", "iris", phase="Stepping", version="3")
        assert watched.looks == [(0, "iris")]

    run(scenario)


def test_a_second_list_wakes_only_what_has_changed_and_at_once() -> None:
    """The API server had forgotten what had changed, and kopf lists again."""

    async def scenario(watched: Watched) -> None:
        for number in range(1000):
            await watched.tell(None, f"idle-{number}")
        await watched.pass_by(60)
        watched.looks.clear()
        for number in range(1000):
            await watched.tell(None, f"idle-{number}", version="2" if number == 999 else "1")
        assert watched.looks == [(60, "idle-999")]
        assert await watched.pass_by(60) == []

    run(scenario)


def test_few_objects_need_not_wait() -> None:
    """Also those that come later: an hour without any makes up for the first fifty."""

    async def scenario(watched: Watched) -> None:
        for begin in (0, 3600):
            for number in range(50):
                await watched.tell(None, f"{begin}-{number}")
            assert {at for at, _ in await watched.pass_by(3600)} == {begin}

    run(scenario)
