"""The process that callers never meet: holds the sockets, asks the registry, and starts and ends those that serve."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path

from sluice_server import handover
from sluice_server.fetch.artifacts import Pinned
from sluice_server.handover import Failure, State
from sluice_server.reload import decide
from sluice_server.reload.asker import Asker, Named
from sluice_server.reload.child import Child, Listeners, start

# Seconds for the registry: at the start, when nobody is served yet, and while a version is served.
FIRST_ANSWER, NEXT_ANSWER = 10.0, 60.0
logger = logging.getLogger("sluice.reload")


class Supervisor:
    """`asker` says which version is named now; it is asked every `interval` seconds.

    `env`: that of the processes; MODEL_URI is set for each. `folder`: below it each model has a folder.
    """

    def __init__(
        self, asker: Asker, interval: float, env: Mapping[str, str], listeners: Listeners, folder: Path
    ) -> None:
        self._asker = asker
        self._interval = interval
        self._env = env
        self._listeners = listeners
        self._folder = folder / "reloaded"
        self._state = self._folder / "state.json"
        self._numbers = count(1)
        self._failed: Failure | None = None
        self._told = ""  # of the registry
        self._serving: Child | None = None
        self._trying: Child | None = None
        self._leaving = set[asyncio.Task[int]]()

    async def run(self) -> int:
        """Serves until a signal, or until the process that serves has ended by itself; gives its exit code."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        handover.write_state(State(), self._state)
        if (named := await self._first()) is None:
            return 0
        first = self._serving = await self._start(named.uri if isinstance(named, Pinned) else "", waits=False)
        watching = asyncio.create_task(self._watch(first))
        _on_signals(partial(self._stop, watching))
        code = await self._last_one_ended(first)
        watching.cancel()
        if self._trying is not None:
            self._trying.kill()
            await self._trying.ended()
        await asyncio.gather(*self._leaving)
        return code if code >= 0 else 128 - code

    async def _first(self) -> Named | None:
        """What is named at the start; None if a signal came first."""
        asking = asyncio.create_task(self._asker.answer(FIRST_ANSWER))
        _on_signals(asking.cancel)
        await asyncio.wait([asking])
        return None if asking.cancelled() else asking.result()

    def _stop(self, watching: asyncio.Task[None]) -> None:
        """Nothing new is tried, and who serves drains as a pod does. A second signal is passed on, too."""
        watching.cancel()
        if self._trying is not None:
            self._trying.kill()
        if self._serving is not None:
            self._serving.stop()

    async def _last_one_ended(self, serving: Child) -> int:
        while True:
            code = await serving.ended()
            if serving is self._serving or self._serving is None:
                return code
            serving = self._serving

    async def _watch(self, first: Child) -> None:
        report = await first.report()
        if first.uri:
            self._remember(decide.lasting(report, first.uri))
        serving = report.uri
        while True:
            await asyncio.sleep(self._interval)
            try:
                serving = await self._look(serving)
            except Exception:  # whatever is wrong with a registry or a version, the one that serves goes on
                logger.exception("no other version could be tried")

    async def _look(self, serving: str) -> str:
        """One look at what is named; gives what serves afterwards."""
        named = await self._asker.answer(NEXT_ANSWER)
        if not isinstance(named, Pinned):
            self._tell(f"{serving} is still served, as it is not known which version is named now: {named.message}")
            return serving
        self._told = ""
        self._remember(decide.remembered(named.uri, self._failed))
        if not decide.wanted(named.uri, serving, self._failed):
            return serving
        return named.uri if await self._try(named.uri) else serving

    def _tell(self, message: str) -> None:
        """Once, and not at each look."""
        if message != self._told:
            logger.warning(message)
            self._told = message

    async def _try(self, uri: str) -> bool:
        """Whether the version serves now. While it is fetched and loaded, the other one answers."""
        logger.info("%s is named now: it is fetched and loaded beside the one that is served", uri)
        child = self._trying = await self._start(uri, waits=True)
        report = await child.report()
        failed = decide.failure(report, uri)
        if failed is None:
            self._swap(child)
        else:
            logger.error("%s is not served, and the other version still is: %s", uri, failed.reason)
            if lasting := decide.lasting(report, uri):
                self._remember(lasting)
            child.kill()
            await child.ended()
        self._trying = None
        return failed is None

    def _swap(self, child: Child) -> None:
        assert self._serving is not None
        leaving, self._serving = self._serving, child
        leaving.leave()
        task = asyncio.create_task(leaving.ended())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        logger.info("%s is served from now on, and no longer %s", child.uri, leaving.uri)

    async def _start(self, uri: str, waits: bool) -> Child:
        """A process for the version; for what MODEL_PATH gives, else MODEL_URI, if no version is known."""
        env = {**self._env, **({"MODEL_URI": uri} if uri else {})}
        if not uri and "MODEL_PATH" in env:
            del env["MODEL_URI"]  # whose registry would be waited for once more
        if waits:
            env.pop("MODEL_PATH", None)  # what is tried is this version, and nothing instead
        return await start(uri, env, self._listeners, self._folder / str(next(self._numbers)), self._state, waits)

    def _remember(self, failed: Failure | None) -> None:
        if failed != self._failed:
            self._failed = failed
            handover.write_state(State(failed), self._state)


def _on_signals(then: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, then)
