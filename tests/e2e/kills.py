"""Kills the process of a container with SIGKILL, as the kernel does it when memory is short: no hook runs."""

import os
import signal
from contextlib import suppress
from typing import Any

from dev.demo.chaos import DEPLOYMENT, NAMESPACE, leading_container
from dev.demo.cluster import Kubectl, process_of
from tests.e2e.rollouts import eventually


class Operator:
    """The process of the operator that leads; counts how often it was killed."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kills = 0
        self._kubectl = kubectl
        self._stopped: int | None = None

    async def kill(self) -> None:
        """Kill the process, and do not wait.

        From its second kill on, a pod is also deleted: otherwise the kubelet would wait 10 s and more before it starts
        the container again.
        """
        container = await eventually("the operator runs", self._running)
        os.kill(process_of(container["containerID"]), signal.SIGKILL)
        self.kills += 1
        if container["restartCount"]:
            pods = ("delete", "pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={DEPLOYMENT}")
            await self._kubectl.text(*pods, "--force", "--grace-period=0", "--wait=false")

    async def stop(self) -> None:
        """Stop the process of the one that leads, as a machine does that is out of breath. It does not end."""
        container = await eventually("the operator runs", self._running)
        self._stopped = process_of(container["containerID"])
        os.kill(self._stopped, signal.SIGSTOP)

    async def go_on(self) -> None:
        """The one that was stopped goes on, unless the kubelet has ended it."""
        if self._stopped is not None:
            with suppress(ProcessLookupError):
                os.kill(self._stopped, signal.SIGCONT)
        await self.available()

    async def replace(self) -> None:
        """Replace the pod by one that has never been killed, and wait until it is ready."""
        await self._kubectl.text("-n", NAMESPACE, "rollout", "restart", f"deployment/{DEPLOYMENT}")
        await self.available()

    async def available(self) -> None:
        await self._kubectl.text("-n", NAMESPACE, "rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=120s")

    async def _running(self) -> dict[str, Any] | None:
        return await leading_container(self._kubectl)


async def kill_server(kubectl: Kubectl, namespace: str, pod: str) -> None:
    """Kill the model server of a pod, and wait until the kubelet has started it again."""

    async def running() -> dict[str, Any] | None:
        (document,) = await kubectl.items("pods", "-n", namespace, f"--field-selector=metadata.name={pod}")
        containers = document["status"].get("containerStatuses", [])
        return next((container for container in containers if "running" in container["state"]), None)

    async def restarted() -> dict[str, Any] | None:
        container = await running()
        return container if container is not None and container["restartCount"] > before["restartCount"] else None

    before = await eventually(f"the server of pod {pod} runs", running)
    os.kill(process_of(before["containerID"]), signal.SIGKILL)
    await eventually(f"the server of pod {pod} was started again", restarted)
