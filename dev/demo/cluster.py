"""Access to the local cluster: `cluster.sh`, kubectl, and the processes of a container."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLUSTER_SH = ROOT / "dev" / "cluster" / "cluster.sh"
LINE_LIMIT = 16 * 1024 * 1024  # bytes of one line of kubectl's output


class CommandError(Exception):
    """A command failed. The text has the command and its error output."""


@dataclass(frozen=True, slots=True)
class Addresses:
    kubectl: str
    kubeconfig: str
    gateway: str
    mlflow: str
    prometheus: str
    audit_log: Path | None = None  # what service accounts ask of the API server; kind keeps none


def run_part(*command: str) -> None:
    """Run `cluster.sh <command>`. It prints its progress, and may be called again. Raises CommandError."""
    done = subprocess.run([str(CLUSTER_SH), *command], check=False)
    if done.returncode:
        raise CommandError(f"dev/cluster/cluster.sh {' '.join(command)} ended with exit code {done.returncode}")


def addresses() -> Addresses:
    """What `cluster.sh env` prints."""
    printed = subprocess.run([str(CLUSTER_SH), "env"], check=True, capture_output=True, text=True).stdout
    values = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    return Addresses(
        kubectl=values["KUBECTL"],
        kubeconfig=values["KUBECONFIG"],
        gateway=values["SLUICE_GATEWAY"],
        mlflow=values["SLUICE_MLFLOW"],
        prometheus=values["SLUICE_PROMETHEUS"],
        audit_log=Path(values["SLUICE_AUDIT_LOG"]) if values.get("SLUICE_AUDIT_LOG") else None,
    )


class Kubectl:
    """kubectl on the local cluster. Each call raises CommandError, with kubectl's error output, if kubectl fails."""

    def __init__(self, addresses: Addresses) -> None:
        self._program = addresses.kubectl
        self._environment = os.environ | {"KUBECONFIG": addresses.kubeconfig}

    async def text(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints."""
        process = await self._start(*arguments, stdin=None if stdin is None else asyncio.subprocess.PIPE)
        try:
            out, err = await process.communicate(None if stdin is None else stdin.encode())
        except asyncio.CancelledError:
            _kill(process)
            raise
        if process.returncode:
            raise CommandError(f"kubectl {' '.join(arguments)}: {err.decode().strip()}")
        return out.decode()

    async def items(self, *arguments: str) -> list[dict[str, Any]]:
        """The objects of a list that `kubectl get` prints."""
        items: list[dict[str, Any]] = json.loads(await self.text("get", *arguments, "-o", "json"))["items"]
        return items

    async def apply(self, manifest: dict[str, Any]) -> None:
        await self.text("apply", "-f", "-", stdin=json.dumps(manifest))

    async def watch(self, *arguments: str) -> AsyncGenerator[dict[str, Any], None]:
        """The object as it is now, and after each change. Ends when kubectl ends."""
        process = await self._start("get", *arguments, "--watch", "-o", "json")
        assert process.stdout is not None
        lines: list[bytes] = []
        try:
            async for line in process.stdout:
                lines.append(line)
                if line == b"}\n":  # kubectl indents: only the end of an object is in the first column
                    yield json.loads(b"".join(lines))
                    lines = []
        finally:
            _kill(process)
            await process.wait()

    async def _start(self, *arguments: str, stdin: int | None = None) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            limit=LINE_LIMIT,
            start_new_session=True,  # Ctrl-C only reaches the demo, which then ends kubectl
        )


def process_of(container_id: str) -> int:
    """The id of the first process of a container on this machine. `container_id`: as in a pod's status (`containerd://...`).

    The kubelet puts each container into a cgroup that has its name. Raises CommandError.
    """
    return min(processes_of(container_id))


def processes_of(container_id: str) -> list[int]:
    """As `process_of`: all of its processes, at least one."""
    name = container_id.rpartition("/")[2]
    folders = (folder for folder in Path("/proc").iterdir() if folder.name.isdecimal())
    processes = [int(folder.name) for folder in folders if _in_cgroup(folder, name)]
    if not name or not processes:
        raise CommandError(f"no process of container '{container_id}' on this machine")
    return processes


def _in_cgroup(process: Path, name: str) -> bool:
    try:
        return name in (process / "cgroup").read_text()
    except OSError:  # the process has ended
        return False


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the process, but not by `process.kill()`: that may take its exit status away from the event loop."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
