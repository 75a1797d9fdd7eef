"""SIGKILL for a container's process, as the kernel does it when memory is short: no hook runs, nothing is flushed."""

import os
import signal
from typing import Any

from dev.demo.chaos import DEPLOYMENT, NAMESPACE, running_container
from dev.demo.cluster import Kubectl, process_of
from tests.e2e.rollouts import eventually


class Operator:
    """The operator's process; counts how often it was killed."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kills = 0
        self._kubectl = kubectl

    async def kill(self) -> None:
        """Returns at once. The second and later kills of one pod also delete it: the kubelet would wait 10 s and more
        before it starts the container again.
        """
        container = await eventually("the operator runs", self._running)
        os.kill(process_of(container["containerID"]), signal.SIGKILL)
        self.kills += 1
        if container["restartCount"]:
            pods = ("delete", "pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={DEPLOYMENT}")
            await self._kubectl.text(*pods, "--force", "--grace-period=0", "--wait=false")

    async def replace(self) -> None:
        """A fresh pod that has never been killed; returns when it is ready."""
        await self._kubectl.text("-n", NAMESPACE, "rollout", "restart", f"deployment/{DEPLOYMENT}")
        await self.available()

    async def available(self) -> None:
        await self._kubectl.text("-n", NAMESPACE, "rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=120s")

    async def _running(self) -> dict[str, Any] | None:
        pods = await self._kubectl.items("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={DEPLOYMENT}")
        return running_container(pods)


async def kill_server(kubectl: Kubectl, namespace: str, pod: str) -> None:
    """Kills the model server of a pod, and waits until the kubelet has started it again."""

    async def look() -> dict[str, Any] | None:
        (found,) = await kubectl.items("pods", "-n", namespace, f"--field-selector=metadata.name={pod}")
        running = [each for each in found["status"].get("containerStatuses", []) if "running" in each["state"]]
        return running[0] if running else None

    async def look_again() -> dict[str, Any] | None:
        found = await look()
        return found if found is not None and found["restartCount"] > before["restartCount"] else None

    before = await eventually(f"the server of pod {pod} runs", look)
    os.kill(process_of(before["containerID"]), signal.SIGKILL)
    await eventually(f"the server of pod {pod} was started again", look_again)
