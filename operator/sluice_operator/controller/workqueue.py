"""A queue of keys. Several workers take keys from it, but never two the same key at the same time.

A key that is added during its work is worked on once more afterwards. After an exception a key waits longer each time,
with jitter, up to five minutes. Unexpected exceptions are caught here and nowhere else.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from sluice_operator import logs
from sluice_operator.telemetry import stages

_log = logging.getLogger(__name__)
_BACKOFF_FIRST = 0.5  # seconds
_BACKOFF_MAX = 300.0  # seconds
_MAX_DOUBLINGS = 16  # more than are needed to get there; without a limit the power overflows

Key = tuple[str, str]  # namespace, name
Work = Callable[[str, str], Awaitable[float | None]]


class WorkQueue:
    """Calls `work(namespace, name)`, which returns the seconds until the key is due again, or None to drop the key."""

    def __init__(self, work: Work, workers: int, chance: random.Random) -> None:
        self._work = work
        self._workers = workers
        self._chance = chance
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._running: set[Key] = set()
        self._added_meanwhile: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """Work on `key` as soon as a worker is free."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._running:
            self._added_meanwhile.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Work on `key` in `seconds`, or earlier if it is added earlier."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def run(self) -> None:
        """Run the workers until this is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            key = await self._ready.get()
            self._queued.discard(key)
            self._running.add(key)
            try:
                pause = await self._attempt(key)
            finally:
                self._running.discard(key)
            if key in self._added_meanwhile:
                self._added_meanwhile.discard(key)
                self.add(key)
            elif pause is not None:
                self.add_after(key, pause)

    async def _attempt(self, key: Key) -> float | None:
        with logs.about(*key):
            return await self._pause_after(key)

    async def _pause_after(self, key: Key) -> float | None:
        try:
            with stages.reconcile():
                pause: float | None = await self._work(*key)
        except Exception:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            longest = min(_BACKOFF_MAX, _BACKOFF_FIRST * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
            delay = longest * self._chance.uniform(0.5, 1.0)
            _log.exception("%s/%s: attempt %d failed, next in %.1f s", *key, failures, delay)
            return delay
        self._failures.pop(key, None)
        return pause
