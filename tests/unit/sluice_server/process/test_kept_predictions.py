"""Rows of predictions on their way to the store: in batches, within a limit, and never in the way of a request."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable

import numpy as np
import pytest

from sluice_server.http.dialects import CODES
from sluice_server.inference.kept_rows import MAX_LINE, KeptRows
from sluice_server.inference.metrics import Metrics
from sluice_server.inference.prediction import Prediction
from sluice_server.model.identity import Identity
from sluice_server.process.kept_predictions import BATCH, MOST_BYTES, KeptPredictions
from sluice_server.runtimes.output import Output
from sluice_server.store.client import REFUSED, StoreError

pytestmark = pytest.mark.anyio
IDENTITY = Identity("iris", "3", "abcdefghij", "models:/iris/3")
LARGE = "x" * (MAX_LINE // 2)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Store:
    """A store in memory, which can be down, or refuse everything."""

    def __init__(self) -> None:
        self.up = threading.Event()
        self.up.set()
        self.refuses = False
        self.bodies: list[bytes] = []

    def post(self, body: bytes) -> None:
        if self.refuses:
            raise StoreError(REFUSED, "413 there is no space")
        if not self.up.is_set():
            raise StoreError("StoreUnreachable", "no answer")
        self.bodies.append(body)

    @property
    def texts(self) -> list[str]:
        """What the rows have, in their order."""
        lines = b"".join(self.bodies).splitlines()
        return [json.loads(line)["features"]["text"] for line in lines]


class Pod:
    """One pod's keeper and metrics."""

    def __init__(self, store: Store, every: float = 0.0) -> None:
        self.metrics = Metrics(IDENTITY, CODES)
        rows = KeptRows(IDENTITY, ("text",), ())
        self.keeper = KeptPredictions(store.post, rows, self.metrics, every, (0.001,))

    def keep(self, text: str) -> None:
        rows = np.array([[text]], dtype=object)
        self.keeper.keep(rows, Prediction(Output(np.array([1.5]), None, None), [], None, "0" * 16), None)

    def rows(self, result: str) -> float:
        own = {"model": "iris", "revision": "abcdefghij", "result": result}
        return self.metrics.registry.get_sample_value("ml_kept_rows_total", own) or 0

    async def until(self, told: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not told():
                await asyncio.to_thread(threading.Event().wait, 0.001)


async def test_rows_wait_for_more_of_them() -> None:
    """Each request becomes a file of the store; a pod that stops sends what it has."""
    store = Store()
    pod = Pod(store, every=3_600.0)
    for text in "abc":
        pod.keep(text)
    await pod.keeper.close()
    assert (len(store.bodies), store.texts) == (1, ["a", "b", "c"])
    assert (pod.rows("sent"), pod.rows("dropped")) == (3, 0)


async def test_a_full_batch_does_not_wait() -> None:
    """It is as large as a request may be."""
    store = Store()
    pod = Pod(store, every=3_600.0)
    count = BATCH // len(LARGE) + 2
    for _ in range(count):
        pod.keep(LARGE)
    await pod.until(lambda: bool(store.bodies))
    assert BATCH - 2 * MAX_LINE < len(store.bodies[0]) <= BATCH
    await pod.keeper.close()
    assert len(store.texts) == count


async def test_rows_wait_for_a_store_that_is_down() -> None:
    """Within a limit: what comes above it is dropped, and counted."""
    store = Store()
    pod = Pod(store)
    store.up.clear()
    count = MOST_BYTES // len(LARGE) + 10
    for _ in range(count):
        pod.keep(LARGE)
    assert pod.rows("dropped") > 0
    store.up.set()
    await pod.until(lambda: pod.rows("sent") + pod.rows("dropped") == count)
    assert len(store.texts) == pod.rows("sent")
    pod.keep("there is space again")
    await pod.until(lambda: store.texts[-1] == "there is space again")


async def test_what_the_store_refuses_holds_up_nothing() -> None:
    """As rows over the limit of the namespace; they are dropped, and counted."""
    store = Store()
    pod = Pod(store)
    store.refuses = True
    pod.keep("a")
    await pod.until(lambda: pod.rows("dropped") == 1)
    store.refuses = False
    pod.keep("b")
    await pod.until(lambda: store.texts == ["b"])


async def test_a_row_that_is_too_long_is_dropped() -> None:
    """A whole book is nobody's feature."""
    store = Store()
    pod = Pod(store)
    pod.keep("x" * MAX_LINE)
    assert pod.rows("dropped") == 1


async def test_what_is_left_when_the_pod_stops_is_counted() -> None:
    """The store is down for longer than the pod waits."""
    store = Store()
    pod = Pod(store)
    store.up.clear()
    pod.keep("a")
    await pod.keeper.close()
    assert pod.rows("dropped") == 1
