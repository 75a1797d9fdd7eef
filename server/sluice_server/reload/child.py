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
from sluice_server.handover import Fetched, Place, Report

LONGEST_FETCH = 1800.0  # seconds for the files of a version to come
LONGEST_LOAD = 1800.0  # seconds to convert and load it then


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

    async def report(self, fetch: float = LONGEST_FETCH, load: float = LONGEST_LOAD) -> Report:
        """What it says about its model; or that it has ended instead, or takes too long.

        `fetch`, `load`: seconds for the files to come, and for the model to be ready then. Files that do not come are
        no fault of the version.
        """
        said: Fetched | Report | None = None
        try:
            async with asyncio.timeout(fetch):
                said = await self._said()
            async with asyncio.timeout(load):
                while isinstance(said, Fetched):  # once more where the first of two sources was not good enough
                    said = await self._said()
        except TimeoutError:
            return self._late(fetch, load, fetched=said is not None)
        if said is not None:
            return said
        code = await self.process.wait()
        return Report(self.uri, False, f"the process that should serve it has ended with {_spelt(code)}: see the log")

    async def _said(self) -> Fetched | Report | None:
        return handover.read(await self.reader.readline())

    def _late(self, fetch: float, load: float, *, fetched: bool) -> Report:
        if fetched:
            return Report(self.uri, False, f"it was not ready {load:g} s after its files had come")
        why = f"the registry or the store of its files has not given all of them within {fetch:g} s"
        return Report(self.uri, False, why, final=False)

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
