"""Keeps the Lease in a thread of its own, with an event loop and connections of its own.

The event loop of the work may be busy for a while, for example with a list of thousands of objects: that must not cost
the Lease. But one that hangs must not keep it, so the Lease is given back when the work has not moved for too long.
What that would still write afterwards is refused, because each write asks whether the Lease is held.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, Self

from sluice_operator.kubernetes.lease import Lease, LeaseLostError

HANGS = 30.0  # seconds without a sign of life from the work's event loop, after which it counts as hanging
_SIGN = 1.0  # seconds between two signs of life


class LeaseThread:
    """Keeps `lease`. `close`: called at the end, in the thread. `clock`: seconds, that of the Lease."""

    def __init__(
        self,
        lease: Lease,
        close: Callable[[], Coroutine[Any, Any, None]],
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lease = lease
        self._close = close
        self._new_loop = new_loop
        self._clock = clock
        self._alive_at = clock()

    @asynccontextmanager
    async def acquired(self) -> AsyncIterator[Awaitable[None]]:
        """Wait for the Lease, keep it as long as the context lasts, and give it back.

        What the context gives raises LeaseLostError when the Lease is lost.
        """
        alive = asyncio.create_task(self._show_life())
        with _Thread(self._new_loop()) as thread:
            try:
                await asyncio.wrap_future(thread.starts(self._lease.acquire()))
                keeping = thread.starts(self._keep())
                try:
                    yield asyncio.wrap_future(keeping)
                finally:
                    keeping.cancel()  # reaches the thread before what it is to do next
            finally:
                alive.cancel()
                await asyncio.wrap_future(thread.starts(self._lease.release()))
                await asyncio.wrap_future(thread.starts(self._close()))

    async def _keep(self) -> None:
        try:
            await self._lease.keep(self._work_trouble)
        except LeaseLostError:
            await self._lease.release()  # here, because nothing else may move any more
            raise

    async def _show_life(self) -> None:
        while True:
            self._alive_at = self._clock()
            await asyncio.sleep(_SIGN)

    def _work_trouble(self) -> str:
        silent = self._clock() - self._alive_at
        return f"the work of this operator has not moved for {silent:.0f} s" if silent > HANGS else ""


class _Thread:
    """Runs `loop` while the context lasts."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.Thread(target=self._main, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def starts(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Begins `work` in the thread. To cancel what is returned cancels the work, in the order of the calls."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _main(self) -> None:
        self._loop.run_forever()
        self._loop.close()
