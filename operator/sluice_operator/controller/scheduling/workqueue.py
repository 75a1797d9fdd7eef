"""A queue of keys. Several workers take keys from it, but never two the same key at the same time.

It has two lanes, each with its own workers: objects at rest, however many they are and whatever they wait for, never
delay a rollout. A key that is added during its work is worked on once more afterwards. After an exception a key waits
longer each time, with jitter. Unexpected exceptions are caught here and nowhere else.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass

from sluice_operator import logs
from sluice_operator.api.owner import Key
from sluice_operator.telemetry import stages
from sluice_operator.telemetry.metrics import LANES, QUEUE_WAIT

_log = logging.getLogger(__name__)
_BACKOFF_FIRST = 0.5  # seconds
_BACKOFF_MAX, _BACKOFF_MAX_ROLLOUT = 300.0, 15.0  # seconds
_STUCK = 300.0  # seconds of work on one key, after which the process counts as broken
_MAX_DOUBLINGS = 16  # more than are needed to get there; without a limit the power overflows

Work = Callable[[str, str], Awaitable[float | None]]


@dataclass(frozen=True, slots=True)
class Workers:
    """How many keys are worked on at the same time: objects at rest, and rollouts."""

    at_rest: int
    rollouts: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a key waits, and since when, by the clock of the event loop."""

    lane: asyncio.Queue[Key]
    since: float


class WorkQueue:
    """Calls `work(namespace, name)`, which returns the seconds until the key is due again, or None to drop the key.

    `rollouts`: the keys that are worked on in the lane of the rollouts.
    """

    def __init__(self, work: Work, workers: Workers, chance: random.Random, rollouts: Container[Key] = ()) -> None:
        self._work = work
        self._workers = workers
        self._chance = chance
        self._rollouts = rollouts
        self._at_rest: asyncio.Queue[Key] = asyncio.Queue()
        self._in_rollout: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: dict[Key, _Place] = {}
        self._running: dict[Key, float] = {}  # since when, by the clock of the event loop
        self._added_meanwhile: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """Work on `key` as soon as a worker is free."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._running:
            self._added_meanwhile.add(key)
            return
        lane = self._in_rollout if key in self._rollouts else self._at_rest
        place = self._queued.get(key)
        if place is None or place.lane not in (lane, self._in_rollout):  # a rollout does not go back to those at rest
            since = asyncio.get_running_loop().time() if place is None else place.since
            self._queued[key] = _Place(lane, since)
            lane.put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Work on `key` in `seconds`, or earlier if it is added earlier."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    def trouble(self) -> str:
        """Which key has been worked on for far too long; empty if none has."""
        now = asyncio.get_running_loop().time()
        key, since = min(self._running.items(), key=lambda running: running[1], default=(("", ""), now))
        return f"{'/'.join(key)} has been worked on for {now - since:.0f} s" if now > since + _STUCK else ""

    def ages(self) -> dict[str, list[float]]:
        """For how many seconds each key waits, by lane."""
        now, ages = asyncio.get_running_loop().time(), {lane: list[float]() for lane in LANES}
        for place in self._queued.values():
            ages[self._name(place.lane)].append(now - place.since)
        return ages

    def _name(self, lane: asyncio.Queue[Key]) -> str:
        return LANES[lane is self._in_rollout]

    async def run(self) -> None:
        """Run the workers until this is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers.at_rest):
                group.create_task(self._worker(self._at_rest))
            for _ in range(self._workers.rollouts):
                group.create_task(self._worker(self._in_rollout))

    async def _worker(self, lane: asyncio.Queue[Key]) -> None:
        while True:
            key = await lane.get()
            place, now = self._queued.get(key), asyncio.get_running_loop().time()
            if place is None or place.lane is not lane:
                continue  # it was moved to the other lane
            del self._queued[key]
            QUEUE_WAIT.labels(self._name(lane)).observe(now - place.since)
            self._running[key] = now
            try:
                pause = await self._attempt(key)
            finally:
                del self._running[key]
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
            limit = _BACKOFF_MAX_ROLLOUT if key in self._rollouts else _BACKOFF_MAX
            longest = min(limit, _BACKOFF_FIRST * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
            delay = longest * self._chance.uniform(0.5, 1.0)
            _log.exception("%s/%s: attempt %d failed, next in %.1f s", *key, failures, delay)
            return delay
        self._failures.pop(key, None)
        return pause
