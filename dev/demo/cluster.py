"""Calls to the local cluster: its entry point `cluster.sh`, kubectl, and the processes behind a container."""

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
OBJECT_LIMIT = 16 * 1024 * 1024  # bytes of one line of kubectl's output


class CommandError(Exception):
    """A command failed; the text names it and says what it printed."""


@dataclass(frozen=True, slots=True)
class Addresses:
    kubectl: str
    kubeconfig: str
    gateway: str
    mlflow: str


def run_part(*command: str) -> None:
    """`cluster.sh <command>`; its progress goes to the terminal. Safe to call when the work is done already."""
    done = subprocess.run([str(CLUSTER_SH), *command], check=False)
    if done.returncode:
        raise CommandError(f"dev/cluster/cluster.sh {' '.join(command)} ended with exit code {done.returncode}")


def addresses() -> Addresses:
    printed = subprocess.run([str(CLUSTER_SH), "env"], check=True, capture_output=True, text=True).stdout
    values = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    return Addresses(
        kubectl=values["KUBECTL"],
        kubeconfig=values["KUBECONFIG"],
        gateway=values["SLUICE_GATEWAY"],
        mlflow=values["SLUICE_MLFLOW"],
    )


class Kubectl:
    """kubectl on the demo's cluster. Every call raises CommandError with what kubectl said."""

    def __init__(self, found: Addresses) -> None:
        self._program = found.kubectl
        self._environment = os.environ | {"KUBECONFIG": found.kubeconfig}

    async def text(self, *arguments: str, stdin: str | None = None) -> str:
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
        """`kubectl get` of a list."""
        found: list[dict[str, Any]] = json.loads(await self.text("get", *arguments, "-o", "json"))["items"]
        return found

    async def apply(self, manifest: dict[str, Any]) -> None:
        await self.text("apply", "-f", "-", stdin=json.dumps(manifest))

    async def watch(self, *arguments: str) -> AsyncGenerator[dict[str, Any], None]:
        """The object now and after each change; ends when kubectl does."""
        process = await self._start("get", *arguments, "--watch", "-o", "json")
        assert process.stdout is not None
        lines: list[bytes] = []
        try:
            async for line in process.stdout:
                lines.append(line)
                if line == b"}\n":  # kubectl indents, so only the end of an object is in the first column
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
            limit=OBJECT_LIMIT,
            start_new_session=True,  # Ctrl-C reaches the demo alone, which then ends its children
        )


def process_of(container_id: str) -> int:
    """The first process of a container of this machine; `container_id` as in a pod's status (`containerd://...`).

    A kubelet puts every container into a cgroup that is named after it.
    """
    name = container_id.rpartition("/")[2]
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _in_cgroup(entry, name)]
    if not name or not found:
        raise CommandError(f"no process of container '{container_id}' on this machine")
    return min(found)


def _in_cgroup(process: Path, name: str) -> bool:
    try:
        return name in (process / "cgroup").read_text()
    except OSError:  # it has ended
        return False


def _kill(process: asyncio.subprocess.Process) -> None:
    """Not `process.kill()`: that may take the exit status away from the event loop, which then complains."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
