"""The data path when the client does not wait."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from starlette.types import Message, Receive, Scope

from dev.bench.faulty.faulty import Faults, Slow
from sluice_server.http import asgi
from sluice_server.http.dialects.plain import PlainDialect
from sluice_server.http.dialects.port import Body, Parsed
from sluice_server.http.intake import Intake
from sluice_server.http.predict import PredictEndpoint
from sluice_server.http.request import Request, WholeRequest
from sluice_server.inference.batching import Batcher
from sluice_server.inference.data_plane import DataPlane
from sluice_server.inference.pace import Pace
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.prediction_log import PredictionLog
from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Start

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/predict",
    "server": ("pod", 8081),
    "headers": [(b"content-type", b"application/json")],
}


def received(body: bytes) -> Receive:
    """A client that sends a body and waits for the answer."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def receive() -> Message:
        return messages.pop() if messages else await asyncio.Event().wait()  # type: ignore[return-value]

    return receive


def large() -> Intake:
    """Room for some large bodies."""
    return Intake(1_000_000, 10_000_000)


def test_half_a_body_is_not_waited_for_for_ever(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts as a request under way for as long, and a rollout waits for these."""

    async def half(messages: list[Message]) -> bytes | asgi.Unread:
        async def receive() -> Message:
            return messages.pop() if messages else await asyncio.Event().wait()  # type: ignore[return-value]

        return await asgi.read_body(receive, 100, Intake(100, 100).place(), 0.01)

    begun: Message = {"type": "http.request", "body": b"{", "more_body": True}
    for sent in (list[Message](), [begun]):
        assert asyncio.run(half(sent)) is asgi.Unread.TOO_SLOW

    async def too_slow(*_: Any) -> asgi.Unread:
        return asgi.Unread.TOO_SLOW

    monkeypatch.setattr("sluice_server.http.predict.read_body", too_slow)
    monkeypatch.setattr("sluice_server.http.dispatch.read_body", too_slow)
    client = start()
    for path in ("/predict", "/feedback"):
        answer = client.post(path, json={})
        assert (answer.status_code, answer.headers["connection"]) == (408, "close")
    assert client.value("ml_requests_total", code="408") == 1
    assert client.value("ml_requests_in_progress") == 0


@pytest.mark.parametrize("sent", ["9" * 5_000, "-1", "x", ""])
def test_a_length_that_is_no_length_is_no_failure_of_the_server(client: Client, sent: str) -> None:
    """Python reads numbers of at most 4,300 digits; the whole body is JSON then."""
    headers = {"inference-header-content-length": sent}
    assert client.post("/predict", json={"features": [1, 2, 3, 4]}, headers=headers).status_code == 200


def test_a_dialect_that_fails_is_no_failure_of_the_model(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client sends must not roll a model back."""

    def broken(*_: Any) -> Any:
        raise MemoryError("a body that nobody has thought of")

    monkeypatch.setattr("sluice_server.http.dialects.plain.PlainDialect.parse", broken, raising=True)
    client = start(load=False)
    with ThreadPoolExecutor(1) as worker:
        batcher = Batcher(lambda rows: Output(np.zeros(len(rows)), None, None), worker, 100)
        client.process.pod.data_plane.take(batcher, None)
        client.process.pod.data_plane.open(Output(np.zeros(1), None, None))
        assert client.post("/predict", json={"features": [1, 2, 3, 4]}).status_code == 422
    assert client.value("ml_requests_total", code="500") == 0


def test_what_is_kept_of_a_request_cannot_fail_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller has its answer already, and a 500 would count against the model."""

    def broken(*_: Any) -> Any:
        raise MemoryError("a value that nobody has thought of")

    monkeypatch.setattr("sluice_server.inference.prediction_log.PredictionLog.write", broken)
    client = start()
    assert client.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).status_code == 200
    assert (client.value("ml_requests_total", code="200"), client.value("ml_requests_total", code="500")) == (1, 0)


def test_a_client_that_leaves_while_it_waits_is_a_499(start: Start) -> None:
    """No answer is sent, no error of the server is counted, and what still waited is not computed."""
    client = start(load=False)
    busy, go = threading.Event(), threading.Event()
    passes: list[int] = []

    def slow(rows: Rows) -> Output:
        passes.append(len(rows))
        busy.set()
        assert go.wait(30)
        return Output(np.zeros(len(rows)), None, None)

    async def leave_while_waiting(worker: ThreadPoolExecutor) -> list[Message]:
        batcher = Batcher(slow, worker, 100)
        client.process.pod.data_plane.take(batcher, None)
        client.process.pod.data_plane.open(Output(np.zeros(1), None, None))
        ahead = batcher.submit(np.zeros((1, 4)))
        assert await asyncio.to_thread(busy.wait, 30)
        messages: list[Message] = [
            {"type": "http.request", "body": b'{"features": [1, 2, 3, 4]}', "more_body": False},
            {"type": "http.disconnect"},
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)

        await client.process.dispatch(SCOPE, receive, send)
        go.set()
        await ahead
        await batcher.submit(np.zeros((2, 4)))
        return sent

    with ThreadPoolExecutor(1) as worker:
        assert asyncio.run(leave_while_waiting(worker)) == []
    assert passes == [1, 2]
    assert client.value("ml_requests_total", code="499") == 1
    assert client.value("ml_requests_total", code="500") == 0
    assert client.value("ml_requests_in_progress") == 0


class Waiting(PlainDialect):
    """Reads and writes only when it is let go, and says when it waits."""

    def __init__(self, rows: RowReader, identity: Identity) -> None:
        super().__init__(rows, identity)
        self.waits, self.go = threading.Event(), threading.Event()

    def _wait(self) -> None:
        self.waits.set()
        assert self.go.wait(10)
        self.go.clear()

    def parse(self, body: bytes, content_type: str = "", json_bytes: int | None = None) -> Parsed | Rejection:
        self._wait()
        return super().parse(body, content_type, json_bytes)

    def write(self, prediction: Prediction, echo: Any) -> Body:
        self._wait()
        return super().write(prediction, echo)


def test_other_requests_are_answered_while_a_large_one_is_read_and_written(client: Client) -> None:
    """A health check that waits for some megabytes of CSV would end the pod."""
    pod = client.process.pod
    dialect = Waiting(RowReader(pod.manifest.schema, 3_000), pod.identity)
    log = PredictionLog(pod.identity, (), 0.0)
    endpoint = PredictEndpoint(dialect, pod.data_plane, pod.metrics, log, large())
    body = json.dumps({"features": [[5.1, 3.5, 1.4, 0.2]] * 2_501}).encode()
    sent: list[Message] = []

    receive = received(body)

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        head = asgi.read_head({"type": "http", "headers": []}, b"x-correlation-id")
        answering = asyncio.create_task(endpoint(Request(receive, send, head, "gateway", ())))
        for _ in ("read", "written"):
            assert await asyncio.to_thread(dialect.waits.wait, 30)
            dialect.waits.clear()
            dialect.go.set()  # by the loop, which stands still for nobody
        await answering

    asyncio.run(run())
    assert sent[0]["status"] == 200
    assert len(json.loads(sent[1]["body"])["predictions"]) == 2_501


class Where(PlainDialect):
    """Notes in which thread answers are written."""

    def __init__(self, rows: RowReader, identity: Identity) -> None:
        super().__init__(rows, identity)
        self.threads: list[str] = []

    def write(self, prediction: Prediction, echo: Any) -> Body:
        self.threads.append(threading.current_thread().name.partition("_")[0])
        return super().write(prediction, echo)


@dataclass
class Whole:
    """A request that has come as a whole."""

    body: bytes
    scope: Scope = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)

    def answer(self, content: bytes, headers: asgi.Headers) -> None:
        self.answers.append(content)

    def hand_on(self) -> None:
        raise AssertionError("nothing failed")


@pytest.mark.parametrize(
    ("a_row", "rows", "thread"),
    [
        (np.zeros(3_000), 1, "MainThread"),
        (np.zeros(3_000), 4, "aside"),
        (np.zeros(()), 100, "MainThread"),
        (np.array("a text", dtype=object), 1, "aside"),
    ],
    ids=["few values", "many values", "many rows", "texts"],
)
def test_the_size_of_an_answer_decides_where_it_is_written(start: Start, a_row: Any, rows: int, thread: str) -> None:
    """Four rows may be longer than a thousand others; and what is written aside is not answered at once either."""
    client = start(load=False)
    pod = client.process.pod
    dialect = Where(RowReader(pod.manifest.schema, 1_000), pod.identity)
    endpoint = PredictEndpoint(dialect, pod.data_plane, pod.metrics, PredictionLog(pod.identity, (), 0.0), large())
    body = json.dumps({"features": [[5.1, 3.5, 1.4, 0.2]] * rows}).encode()
    head = asgi.read_head({"type": "http", "headers": []}, b"x-correlation-id")

    def predict(asked: Rows) -> Output:
        return Output(np.stack([a_row] * len(asked)), None, None)

    async def run(worker: ThreadPoolExecutor) -> bool:
        pod.data_plane.take(Batcher(predict, worker, 1_000, Pace(1_000)), None)
        pod.data_plane.open(predict(np.zeros((1, 4))))
        await endpoint(Request(received(body), asyncio.Queue[Message]().put, head, "gateway", ()))
        whole = Whole(body)
        taken = endpoint.at_once(WholeRequest(whole, head, "gateway", ()))
        await asyncio.sleep(0)
        assert len(whole.answers) == taken
        return taken

    with ThreadPoolExecutor(1) as worker:
        taken = asyncio.run(run(worker))
    assert set(dialect.threads) == {thread}
    assert taken or thread == "aside"


class Counting(PlainDialect):
    """Counts how many bodies are read at the same moment."""

    def __init__(self, rows: RowReader, identity: Identity) -> None:
        super().__init__(rows, identity)
        self.now = self.most = 0

    def parse(self, body: bytes, content_type: str = "", json_bytes: int | None = None) -> Parsed | Rejection:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.01)  # here another thread would begin
        self.now -= 1
        return super().parse(body, content_type, json_bytes)


def test_large_bodies_are_read_one_after_the_other(client: Client) -> None:
    """Each keeps Python to itself for some time: a health check waits for one of them, and not for all."""
    pod = client.process.pod
    dialect = Counting(RowReader(pod.manifest.schema, 3_000), pod.identity)
    endpoint = PredictEndpoint(dialect, pod.data_plane, pod.metrics, PredictionLog(pod.identity, (), 0.0), large())
    body = json.dumps({"features": [[5.1, 3.5, 1.4, 0.2]] * 2_501}).encode()
    statuses: list[int] = []

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    async def run() -> None:
        head = asgi.read_head({"type": "http", "headers": []}, b"x-correlation-id")
        await asyncio.gather(*(endpoint(Request(received(body), send, head, "gateway", ())) for _ in range(5)))

    asyncio.run(run())
    assert (statuses.count(200), dialect.most) == (5, 1)


def test_a_slow_client_is_not_a_slow_model(client: Client) -> None:
    """Neither the time for its body to come nor that until it reads the answer counts. The model is much faster."""
    waits = 0.3
    body = b'{"features": [1, 2, 3, 4]}'
    parts: list[Message] = [
        {"type": "http.request", "body": body[:5], "more_body": True},
        {"type": "http.request", "body": body[5:], "more_body": False},
    ]

    async def receive() -> Message:
        await asyncio.sleep(waits)
        return parts.pop(0) if parts else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: Message) -> None:
        await asyncio.sleep(waits)

    asyncio.run(client.process.dispatch(SCOPE, receive, send))
    assert client.value("ml_requests_total", code="200") == 1
    seconds = client.value("ml_request_duration_seconds_sum")
    assert seconds is not None
    assert seconds < waits


def test_a_slow_model_is_measured(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the one that benchmarks make slow on purpose: without that, they would prove nothing."""
    slow = Slow(Faults(delay=0.3), random.Random(1)).slowed(DataPlane.predict)
    monkeypatch.setattr(DataPlane, "predict", slow)
    assert client.post("/predict", json={"features": [1, 2, 3, 4]}).status_code == 200
    seconds = client.value("ml_request_duration_seconds_sum")
    assert seconds is not None
    assert seconds >= 0.3
