"""Sends the rows of sampled predictions to the store, in batches and in the background.

No request waits for that. What the store does not take in time, because it is down or refuses it, is dropped and
counted, and never more than MOST_BYTES wait in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from sluice_server.inference.kept_rows import MAX_LINE, KeptRows
from sluice_server.inference.metrics import Metrics
from sluice_server.inference.prediction import Prediction
from sluice_server.model.schema import Rows
from sluice_server.store.client import REFUSED, StoreError

BATCH = 2**20  # bytes of a request to the store, which then makes a file of them
MOST_BYTES = 8 * BATCH
EVERY = 300.0  # seconds that rows wait for more of them: each batch is a file
_PAUSES = (5.0, 10.0, 30.0, 60.0)  # seconds after each failure in a row; then the last one again
_LAST_TRY = 5.0  # seconds for what is left when the pod stops
logger = logging.getLogger("sluice.predictions")


class KeptPredictions:
    """`Keeper` of a store. `post` takes lines and blocks; it raises StoreError.

    `every`: seconds after the first row in which a batch is sent, also if it is small.
    """

    def __init__(
        self,
        post: Callable[[bytes], None],
        rows: KeptRows,
        metrics: Metrics,
        every: float = EVERY,
        pauses: Sequence[float] = _PAUSES,
    ) -> None:
        self._post = post
        self._rows = rows
        self._metrics = metrics
        self._every = every
        self._pauses = pauses
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._full = asyncio.Event()  # there is enough for a batch, or no time to wait for it
        self._sending: asyncio.Task[None] | None = None

    def keep(self, rows: Rows, prediction: Prediction, classes: Sequence[Any] | None) -> None:
        """See `Keeper.keep`."""
        dropped = 0
        for line in self._rows.lines(rows, prediction, classes, time.time()):
            if len(line) > MAX_LINE or self._size + len(line) > MOST_BYTES:
                dropped += 1
                continue
            self._lines.append(line)
            self._size += len(line) + 1
        self._metrics.kept(0, dropped)
        if self._size >= BATCH:
            self._full.set()
        if self._lines and (self._sending is None or self._sending.done()):
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def close(self) -> None:
        """Sends what is left, if the store takes it soon."""
        self._full.set()
        self._every = 0.0
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=_LAST_TRY)
            self._sending.cancel()
        self._metrics.kept(0, len(self._lines))

    async def _send(self) -> None:
        """Sends what is there, batch by batch, until nothing is."""
        while self._lines:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._full.wait()
            count = self._count_of_batch()
            sent = await self._delivered([self._lines[at] for at in range(count)])
            self._metrics.kept(*((count, 0) if sent else (0, count)))
            for _ in range(count):
                self._size -= len(self._lines.popleft()) + 1
            if self._every and self._size < BATCH:
                self._full.clear()

    def _count_of_batch(self) -> int:
        """How many of the first lines fit into one request; 1 at least."""
        size = 0
        for count, line in enumerate(self._lines):
            size += len(line) + 1
            if size > BATCH:
                return max(count, 1)
        return len(self._lines)

    async def _delivered(self, batch: Sequence[bytes]) -> bool:
        """Tries the same bytes until the store has taken them, and then knows them again; False if it refuses them."""
        body, failures = b"".join(line + b"\n" for line in batch), 0
        while True:
            try:
                await asyncio.to_thread(self._post, body)
            except StoreError as error:
                if error.reason == REFUSED:
                    logger.error("%d rows are not kept, because the store refuses them: %s", len(batch), error)
                    return False
                logger.warning("rows of predictions wait for the store: %s", error)
                await asyncio.sleep(self._pauses[min(failures, len(self._pauses) - 1)])
                failures += 1
            else:
                return True
