"""Work that takes long, such as reading some megabytes of JSON, in a thread beside the loop.

A library that parses keeps Python to itself until it is done, and the loop waits for that. So it is one thread: the
loop never waits for several in a row. And after something long the thread rests for a moment, because the loop needs
some turns for one answer, and would wait for the next body between any two of them.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")

LONG = 0.02  # seconds
REST = 0.003  # seconds; the loop answers a health check in less


class Aside:
    """The thread, which lives as long as the process."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "aside")
        self._rested = 0.0  # when it may begin again, by the clock of time.monotonic

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """What `work` gives; raises what it raises."""
        in_context = partial(contextvars.copy_context().run, work, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, in_context)

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
