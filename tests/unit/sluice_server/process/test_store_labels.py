"""Labels through a store: counted once by all pods together, kept while it does not answer, and never twice."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sluice_server.http.dialects import CODES
from sluice_server.inference.labels import Outcome, RowLabel, TooManyPendingError
from sluice_server.inference.metrics import Metrics
from sluice_server.model.identity import Identity
from sluice_server.process.serve import assemble, read_manifest
from sluice_server.process.store_labels import AT_ONCE, StoreLabels
from sluice_server.settings import ServeSettings, StoreSettings
from sluice_server.store.client import StoreError
from sluice_server.variables import SettingError

pytestmark = pytest.mark.anyio
IDENTITY = Identity("iris", "3", "abcdefghij", "models:/iris/3")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def label(number: int, *, correct: bool = True) -> RowLabel:
    return RowLabel(number.to_bytes(8), 0, "abcdefghij", "gateway", 1_800_000_000, correct)


class Store:
    """A store in memory, which can be down, and can lose its answer after it has counted."""

    def __init__(self) -> None:
        self.up = threading.Event()
        self.up.set()
        self.loses_answers = 0
        self.rows: dict[tuple[str, int], str] = {}
        self.sizes: list[int] = []
        self.refuses: set[str] = set()
        self.short_answers = 0

    def post(self, body: bytes) -> list[bool]:
        if not self.up.is_set():
            raise StoreError("StoreUnreachable", "no answer")
        labels: list[dict[str, Any]] = msgspec.json.decode(body)["labels"]
        self.sizes.append(len(labels))
        new = []
        for each in labels:
            assert each["model_deployment"] == "iris"
            if each["prediction"] in self.refuses:
                raise StoreError("StoreRefused", "422 the body does not fit")
            at = each["prediction"], each["row"]
            new.append(self.rows.setdefault(at, each["claim"]) == each["claim"])
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreError("StoreUnreachable", "the connection broke")
        if self.short_answers:
            self.short_answers -= 1
            return new[:-1]
        return new


class Pod:
    """One pod's counter and metrics."""

    def __init__(self, store: Store, limit: int = 10_000, patience: float = 60.0) -> None:
        self.metrics = Metrics(IDENTITY, CODES)
        self.labels = StoreLabels(store.post, "iris", self.metrics, limit, (0.001,), patience)

    def value(self, name: str) -> float:
        own = {"model": "iris", "revision": "abcdefghij", "entry": "gateway"}
        return self.metrics.registry.get_sample_value(f"ml_feedback{name}_total", own) or 0

    async def until(self, told: Callable[[Pod], bool]) -> None:
        async with asyncio.timeout(60):
            while not told(self):
                await asyncio.to_thread(threading.Event().wait, 0.001)


async def test_a_row_counts_in_one_pod() -> None:
    """Whichever pod gets the second label, it is a repeat."""
    store = Store()
    first, second = Pod(store), Pod(store)
    assert await first.labels.count([label(1), label(2, correct=False)]) == [Outcome.COUNTED] * 2
    assert await second.labels.count([label(2), label(3)]) == [Outcome.REPEAT, Outcome.COUNTED]
    assert (first.value(""), first.value("_correct"), first.value("_repeats")) == (2, 1, 0)
    assert (second.value(""), second.value("_correct"), second.value("_repeats")) == (1, 1, 1)


async def test_labels_wait_for_a_store_that_is_down() -> None:
    """The client is told, and when the store is back each counts, once."""
    store = Store()
    pod = Pod(store, patience=0.001)
    store.up.clear()
    assert await pod.labels.count([label(1), label(2)]) == [Outcome.PENDING] * 2
    assert await pod.labels.count([label(1)]) == [Outcome.PENDING]
    assert pod.metrics.registry.get_sample_value("ml_feedback_pending") == 3
    assert pod.value("") == 0
    store.up.set()
    await pod.until(lambda it: it.metrics.registry.get_sample_value("ml_feedback_pending") == 0)
    assert (pod.value(""), pod.value("_repeats")) == (2, 1)


async def test_a_label_whose_answer_was_lost_counts_once() -> None:
    """The store has counted it already, and knows it again."""
    store = Store()
    store.loses_answers = 2
    pod = Pod(store)
    assert await pod.labels.count([label(1)]) == [Outcome.COUNTED]
    assert await pod.labels.count([label(1)]) == [Outcome.REPEAT]
    assert (pod.value(""), pod.value("_repeats"), len(store.rows)) == (1, 1, 1)


async def test_what_waits_is_bounded() -> None:
    """Beyond the limit nothing of a request is taken, and there is room again afterwards."""
    store = Store()
    pod = Pod(store, limit=3, patience=0.001)
    store.up.clear()
    await pod.labels.count([label(1), label(2)])
    with pytest.raises(TooManyPendingError):
        await pod.labels.count([label(3), label(4)])
    store.up.set()
    await pod.until(lambda it: it.value("") == 2)
    assert await Pod(store).labels.count([label(3)]) == [Outcome.COUNTED]


async def test_many_labels_go_in_few_requests() -> None:
    """What came while the store was asked goes together, in the sizes that it takes."""
    store = Store()
    pod = Pod(store)
    counted = await asyncio.gather(*(pod.labels.count([label(number)]) for number in range(2_500)))
    assert counted == [[Outcome.COUNTED]] * 2_500
    assert max(store.sizes) == AT_ONCE
    assert len(store.sizes) <= 5


async def test_a_pod_that_stops_sends_what_is_pending() -> None:
    """The store came back in the last moment."""
    store = Store()
    pod = Pod(store, patience=0.001)
    store.up.clear()
    await pod.labels.count([label(1)])
    store.up.set()
    await pod.labels.close()
    assert pod.value("") == 1


@pytest.mark.parametrize("bad", [0, 1_234, 2_499])
async def test_a_label_that_the_store_refuses_holds_up_no_other_one(bad: int) -> None:
    """It is found in few requests, dropped and counted as refused; all others count, and the client is told."""
    store = Store()
    store.refuses = {label(bad).request.hex()}
    pod = Pod(store)
    outcomes = await pod.labels.count([label(number) for number in range(2_500)])
    assert outcomes[bad] is Outcome.REFUSED
    assert outcomes.count(Outcome.COUNTED) == pod.value("") == len(store.rows) == 2_499
    assert pod.value("_refused") == 1
    assert len(store.sizes) <= 40
    assert await pod.labels.count([label(3_000)]) == [Outcome.COUNTED]


async def test_an_answer_of_another_length_counts_nothing() -> None:
    """The labels are sent again, as after a lost answer, and each counts once."""
    store = Store()
    store.short_answers = 2
    pod = Pod(store)
    assert await pod.labels.count([label(1), label(2)]) == [Outcome.COUNTED] * 2
    assert (pod.value(""), pod.value("_repeats"), len(store.rows)) == (2, 0, 2)


@pytest.mark.parametrize("name", ["", "Iris", "iris_2", "i" * 254])
def test_a_name_that_the_store_refuses_ends_the_pod_at_its_start(settings: ServeSettings, name: str) -> None:
    """And not each label, one by one."""
    store = StoreSettings("http://store", Path("/nowhere/token"))
    changed = dataclasses.replace(settings, model_deployment=name, store=store)
    with pytest.raises(SettingError, match="SLUICE_MODEL_DEPLOYMENT"):
        assemble(changed, read_manifest(settings.model_dir), None)
