"""Kills the operator with SIGKILL at random times, and waits until it runs again.

The first process of its container is killed, as the kernel does when memory is short: no hook runs, and nothing is
written out.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from dev.demo.cluster import Kubectl, process_of
from dev.demo.tasks import beside, first_answer

NAMESPACE = "sluice-system"
DEPLOYMENT = "sluice-operator"
CONTAINER = "operator"
LEASE = "sluice-leader"
KILLS_PER_RUN = 2  # the next one works after 15 s at the latest
PAUSE = (2.0, 9.0)  # seconds from the start of a run, or of the operator, to the next kill


class Chaos:
    def __init__(self, kubectl: Kubectl, seed: int, notice: Callable[[str], None]) -> None:
        self.kills: Counter[str] = Counter()  # by run
        self._kubectl, self._notice = kubectl, notice
        self._random = random.Random(seed)

    async def prepare(self) -> None:
        """Make a new pod. After kills in an earlier demo the kubelet would restart the old one only after minutes."""
        await self._kubectl.text("-n", NAMESPACE, "rollout", "restart", f"deployment/{DEPLOYMENT}")
        await self._kubectl.text("-n", NAMESPACE, "rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=120s")

    def during(self, run: str) -> AbstractAsyncContextManager[None]:
        """Kill the operator while the block runs, at most KILLS_PER_RUN times."""
        return beside(self._kill_some(run))

    async def restarts(self) -> int:
        """How often the containers of the operator were restarted."""
        pods = await self._kubectl.items("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={DEPLOYMENT}")
        return sum(int(entry["restartCount"]) for pod in pods for entry in pod["status"].get("containerStatuses", ()))

    async def _kill_some(self, run: str) -> None:
        for _ in range(KILLS_PER_RUN):
            await asyncio.sleep(self._random.uniform(*PAUSE))
            container = await first_answer(partial(leading_container, self._kubectl), every=1.0)
            process = process_of(container["containerID"])
            os.kill(process, signal.SIGKILL)
            self.kills[run] += 1
            self._notice(f"chaos: killed the operator (process {process}) in the {run}")
            await first_answer(partial(self._another_leads, container["containerID"]), every=1.0)

    async def _another_leads(self, killed: str) -> dict[str, Any] | None:
        """The container that leads, if it is not the one that was killed: its successor, or that of another pod."""
        container = await leading_container(self._kubectl)
        return container if container is not None and container["containerID"] != killed else None


async def leading_container(kubectl: Kubectl) -> dict[str, Any] | None:
    """The status of the operator's container in the pod that holds the Lease; None if that does not run."""
    pods = await kubectl.items("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={DEPLOYMENT}")
    leases = await kubectl.items("leases", "-n", NAMESPACE, f"--field-selector=metadata.name={LEASE}")
    holders = {lease["spec"].get("holderIdentity") for lease in leases}
    return running_container([pod for pod in pods if pod["metadata"]["name"] in holders])


def running_container(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The status of the operator's container, in the first pod that is not being deleted; None if it does not run."""
    return next(
        (
            container
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
            for container in pod["status"].get("containerStatuses", [])
            if container["name"] == CONTAINER and "running" in container["state"]
        ),
        None,
    )
