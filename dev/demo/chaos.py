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
from typing import Any

from dev.demo.cluster import Kubectl, process_of
from dev.demo.tasks import beside, first_answer

NAMESPACE = "sluice-system"
DEPLOYMENT = "sluice-operator"
CONTAINER = "operator"
KILLS_PER_RUN = 2  # the kubelet waits up to 10 s before it starts the operator again
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
        """Wait until the container runs. Returns how often it was restarted."""
        return int((await self._running())["restartCount"])

    async def _kill_some(self, run: str) -> None:
        for _ in range(KILLS_PER_RUN):
            await asyncio.sleep(self._random.uniform(*PAUSE))
            container = await self._running()
            process = process_of(container["containerID"])
            os.kill(process, signal.SIGKILL)
            self.kills[run] += 1
            self._notice(f"chaos: killed the operator (process {process}) in the {run}")
            await self._running(after=int(container["restartCount"]))

    async def _running(self, after: int = -1) -> dict[str, Any]:
        """Wait until the operator's container runs and has more than `after` restarts. Returns its status."""

        async def status() -> dict[str, Any] | None:
            pods = await self._kubectl.items("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={DEPLOYMENT}")
            container = running_container(pods)
            return container if container is not None and int(container["restartCount"]) > after else None

        return await first_answer(status, every=1.0)


def running_container(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The status of the operator's container, in the pod that is not being deleted; None if it does not run."""
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
