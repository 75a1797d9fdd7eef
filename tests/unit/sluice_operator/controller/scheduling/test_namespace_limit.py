"""One namespace's slow work is its own trouble."""

from __future__ import annotations

import asyncio

from sluice_operator.controller.scheduling.namespace_limit import NamespaceLimit
from tests.unit.sluice_operator.simulated_time import simulated


async def work(limit: NamespaceLimit, namespace: str, seconds: float) -> float:
    """When the work begins."""
    async with limit.turn(namespace):
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        return began


def test_slow_work_of_one_namespace_delays_only_its_own() -> None:
    """Two at a time there, and nobody else waits."""

    async def scenario() -> None:
        limit = NamespaceLimit(2)
        slow = [work(limit, "theirs", 10) for _ in range(6)]
        *theirs, ours = await asyncio.gather(*slow, work(limit, "ours", 1))
        assert (theirs, ours) == ([0, 0, 10, 10, 20, 20], 0)

    simulated(scenario)
