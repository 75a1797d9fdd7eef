"""A process that fetches one version and serves it: `run` again, with the sockets that all of them share."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluice_server import handover
from sluice_server.handover import Place, Report

LONGEST_LOAD = 1800.0  # seconds to fetch, check and load a version


@dataclass(frozen=True, slots=True)
class Listeners:
    """The two sockets that callers come through."""

    cluster: socket.socket
    gateway: socket.socket


@dataclass(frozen=True, slots=True)
class Child:
    """One process, for the model `uri`, with its end of the channel and the folder of its model."""

    uri: str
    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    folder: Path

    async def report(self) -> Report:
        """What it says about its model; or that it has ended instead, or takes too long."""
        try:
            async with asyncio.timeout(LONGEST_LOAD):
                found = handover.read_report(await self.reader.readline())
        except TimeoutError:
            return Report(self.uri, False, f"it was not ready after {LONGEST_LOAD:g} s")
        if found is not None:
            return found
        code = await self.process.wait()
        return Report(self.uri, False, f"the process that should serve it has ended with {_spelt(code)}: see the log")

    def leave(self) -> None:
        """From now on another one answers: it takes no new connection, answers on those that it has, and ends."""
        self.writer.close()

    def stop(self) -> None:
        """It drains, as a pod does; a second time, it ends that."""
        if self.process.returncode is None:
            self.process.terminate()

    def kill(self) -> None:
        """Ends it at once, with what it has started to convert a model."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    async def ended(self) -> int:
        """The exit code; nothing of it is left."""
        code = await self.process.wait()
        self.writer.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return code


async def start(
    uri: str, env: Mapping[str, str], listeners: Listeners, folder: Path, state: Path, waits: bool
) -> Child:
    """A new process. The environment names the model; with `waits`, it takes no connection before that is ready."""
    ours, theirs = socket.socketpair()
    place = Place(listeners.cluster.fileno(), listeners.gateway.fileno(), theirs.fileno(), str(state), waits)
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sluice_server", "run"),
            env={**env, "SLUICE_MODEL_DIR": str(folder), **handover.variables(place)},
            pass_fds=place.descriptors,
            start_new_session=True,  # a terminal sends its signals to the starting process alone
        )
    reader, writer = await asyncio.open_connection(sock=ours)
    return Child(uri, process, reader, writer, folder)


def _spelt(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
