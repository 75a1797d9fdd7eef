"""Labels through the store: of all pods together, one counts for each row of a prediction.

A request waits a moment for the store's answer. What has none by then is kept and sent again, in order and within a
limit, until the store takes it; the client is told that it is pending. What is new is counted in this pod's metrics
when the store has said so, and so in one pod only: the one whose label the store took. A label that the store refuses
is looked for in smaller and smaller requests, and dropped, so that it holds up no other one.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sluice_server.inference.labels import Outcome, RowLabel, TooManyPendingError, tell
from sluice_server.inference.metrics import Metrics
from sluice_server.store.client import REFUSED, StoreError

MOST_PENDING = 100_000  # labels; some 30 MB
AT_ONCE = 1_000  # labels of one request to the store, which takes no more
PATIENCE = 2.0  # seconds that a client waits for the store
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds after each failure in a row; then the last one again
_LAST_TRY = 5.0  # seconds for what is pending when the pod stops
logger = logging.getLogger("sluice.labels")


@dataclass(frozen=True, slots=True)
class _Pending:
    """`claim`: the same whenever this label is sent, so that the store knows it again after an answer was lost."""

    label: RowLabel
    claim: str
    answered: asyncio.Future[Outcome]


class StoreLabels:
    """`LabelCounter` of a store. `post` takes a body for its /labels and blocks: which of the labels are new.

    `pauses` are the seconds after each failure in a row, `patience` those that a client waits.
    """

    def __init__(
        self,
        post: Callable[[bytes], list[bool]],
        model_deployment: str,
        metrics: Metrics,
        limit: int = MOST_PENDING,
        pauses: Sequence[float] = _PAUSES,
        patience: float = PATIENCE,
    ) -> None:
        self._post = post
        self._model_deployment = model_deployment
        self._metrics = metrics
        self._limit = limit
        self._pauses = pauses
        self._patience = patience
        self._pending: deque[_Pending] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def count(self, labels: Sequence[RowLabel]) -> list[Outcome]:
        """See `LabelCounter.count`."""
        if not labels:
            return []
        if len(self._pending) + len(labels) > self._limit:
            raise TooManyPendingError
        loop = asyncio.get_running_loop()
        waiting = [_Pending(label, secrets.token_hex(8), loop.create_future()) for label in labels]
        self._pending.extend(waiting)
        self._metrics.pending_labels.set(len(self._pending))
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(self._send())
        await asyncio.wait([each.answered for each in waiting], timeout=self._patience)
        return [each.answered.result() if each.answered.done() else Outcome.PENDING for each in waiting]

    async def close(self) -> None:
        """Gives what is pending a last chance; what the store does not take in time is lost, and told."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=_LAST_TRY)
            self._sending.cancel()
        if self._pending:
            logger.error("%d labels were not taken by the store before the pod stopped", len(self._pending))

    async def _send(self) -> None:
        """Sends what is pending, until nothing is."""
        failures, size = 0, AT_ONCE
        while self._pending:
            batch = [self._pending[at] for at in range(min(size, len(self._pending)))]
            try:
                self._take(batch, await self._sent(batch))
                failures, size = 0, min(2 * size, AT_ONCE)
            except StoreError as error:
                if error.reason == REFUSED:
                    size = max(len(batch) // 2, 1)
                    continue
                logger.warning("%d labels wait for the store: %s", len(self._pending), error)
                await asyncio.sleep(self._pauses[min(failures, len(self._pauses) - 1)])
                failures += 1

    async def _sent(self, batch: Sequence[_Pending]) -> list[Outcome]:
        """What the store says of each label, told to the metrics; raises StoreError, and then nothing was told.

        Labels are refused together, since nobody knows which one it is; a label by itself has an outcome.
        """
        try:
            new = await asyncio.to_thread(self._post, self._body(batch))
        except StoreError as error:
            if error.reason != REFUSED or len(batch) > 1:
                raise
            logger.error("a label is dropped, because the store refuses it: %s", error)
            self._metrics.refused(batch[0].label.revision, batch[0].label.entry)
            return [Outcome.REFUSED]
        if len(new) != len(batch):
            raise StoreError("StoreUnreachable", f"the store answers {len(batch)} labels with {len(new)} results")
        return [tell(self._metrics, each.label, new=is_new) for each, is_new in zip(batch, new, strict=True)]

    def _take(self, batch: Sequence[_Pending], outcomes: Sequence[Outcome]) -> None:
        for each, outcome in zip(batch, outcomes, strict=True):
            self._pending.popleft()
            if not each.answered.done():
                each.answered.set_result(outcome)
        self._metrics.pending_labels.set(len(self._pending))

    def _body(self, batch: Sequence[_Pending]) -> bytes:
        return msgspec.json.encode({"labels": [self._as_sent(each) for each in batch]})

    def _as_sent(self, pending: _Pending) -> dict[str, Any]:
        label = pending.label
        value = {} if label.value is None else {"value": label.value}
        return value | {
            "prediction": label.request.hex(),
            "claim": pending.claim,
            "row": label.row,
            "model_deployment": self._model_deployment,
            "revision": label.revision,
            "entry": label.entry,
            "issued": label.issued,
            "correct": label.correct,
        }
