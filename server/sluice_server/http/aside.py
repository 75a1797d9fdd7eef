"""Work that takes long, such as reading some megabytes of JSON, in a thread beside the loop.

A library that parses keeps Python to itself until it is done, and the loop waits for that. So it is one thread: the
loop never waits for several in a row. And after something long the thread rests for a moment, because the loop needs
some turns for one answer, and would wait for the next body between any two of them.

What waits for the thread has its turn by size, the smallest first: a body of some kilobytes waits for the one that is
being read, and not for all the megabytes that came before it. What nobody waits for any longer leaves the line.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sluice_server.inference.leaving import unless_gone

T = TypeVar("T")

LONG = 0.02  # seconds
REST = 0.003  # seconds; the loop answers a health check in less
MOST_WAITING = 100  # jobs


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    size: int
    work: Callable[[], Any]
    outcome: asyncio.Future[Any]


class Aside:
    """The thread, which lives as long as the process, and the line before it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "aside")
        self._rested = 0.0  # when it may begin again, by the clock of time.monotonic
        self._line: list[_Job] = []
        self._busy = False

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nothing more should be begun."""
        return len(self._line) >= MOST_WAITING

    async def run(
        self, disconnected: Callable[[], Awaitable[object]], size: int, work: Callable[..., T], *arguments: object
    ) -> T | None:
        """What `work` gives; raises what it raises. None if its caller goes away while it waits for others.

        `disconnected` is awaited meanwhile, and returns then. `size` is in bytes.
        """
        waits = self._busy
        pending = self.submit(size, work, *arguments)
        if not waits:
            return await pending
        return await unless_gone(disconnected, pending)

    def submit(self, size: int, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """What `work` will give, or raise. `size`: in bytes, of what is to be done. Cancelled, it leaves the line."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        in_context = partial(contextvars.copy_context().run, work, *arguments)
        self._line.append(job := _Job(size, in_context, outcome))
        outcome.add_done_callback(partial(self._leave, job))
        self._next()
        return outcome

    def _leave(self, job: _Job, outcome: asyncio.Future[Any]) -> None:
        if outcome.cancelled() and job in self._line:
            self._line.remove(job)

    def _next(self) -> None:
        if self._busy or not self._line:
            return
        job = min(self._line, key=lambda job: job.size)  # the first of these
        self._line.remove(job)
        self._busy = True
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, job.work)
        running.add_done_callback(partial(self._done, job.outcome))

    def _done(self, outcome: asyncio.Future[Any], ran: asyncio.Future[Any]) -> None:
        self._busy = False
        self._next()
        error = ran.exception()
        if outcome.done():  # nobody waits for it any longer
            return
        if error is None:
            outcome.set_result(ran.result())
        else:
            outcome.set_exception(error)

    def _in_thread(self, work: Callable[[], T]) -> T:
        began = time.monotonic()
        if began < self._rested:
            time.sleep(self._rested - began)
            began = self._rested
        try:
            return work()
        finally:
            ended = time.monotonic()
            self._rested = ended + REST if ended - began > LONG else ended
