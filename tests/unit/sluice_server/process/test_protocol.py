"""What happens on a connection: predictions that are answered at once, all others, and what tells them apart."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from sluice_server.http.asgi import read_body, read_head, read_whole_body, send_json
from sluice_server.http.intake import Intake
from sluice_server.inference.batching import Batcher
from sluice_server.inference.pace import Pace
from sluice_server.model.schema import Rows
from sluice_server.process import protocol as protocol_module
from sluice_server.process.protocol import Protocol
from sluice_server.process.serve import Process
from sluice_server.runtimes.output import Output
from tests.unit.sluice_server.conftest import Client, Start

HEAD = b"POST / HTTP/1.1\r\nhost: pod\r\ncontent-length: 2\r\n\r\n"
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
PATIENCE = 30.0


@pytest.mark.parametrize(("parts", "whole"), [((HEAD + b"{}",), True), ((HEAD, b"{}"), False)])
def test_a_body_that_came_with_its_head_is_not_waited_for(parts: tuple[bytes, ...], whole: bool) -> None:
    """The application is told so, and needs no time limit for it; every other body still has one."""

    async def talk() -> tuple[bool, bytes]:
        seen = asyncio.get_running_loop().create_future()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            head = read_head(scope, b"x-correlation-id")
            seen.set_result(head.whole)
            await (read_whole_body if head.whole else read_body)(receive, 10, Intake(10, 10).place())
            await send_json(send, 200, {}, ())

        config = Config(app, log_config=None, lifespan="off")
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Protocol(config, ServerState(), {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.wait_for(asyncio.shield(seen), PATIENCE)
            answer = await asyncio.wait_for(reader.readline(), PATIENCE)
            writer.close()
        return seen.result(), answer

    assert asyncio.run(talk()) == (whole, b"HTTP/1.1 200 OK\r\n")


def asked(body: Any = ROW, *lines: bytes, path: bytes = b"/predict") -> bytes:
    """The bytes of a request."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [b"POST %b HTTP/1.1" % path, b"host: pod", b"content-length: %d" % len(content), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + content


@dataclass
class Pod:
    """A process on loopback. `tasks` are the paths that its application was asked; all others were answered at once."""

    process: Process
    tasks: list[str] = field(default_factory=list)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.tasks.append(scope["path"])
        await self.process.dispatch(scope, receive, send)

    def protocol(self) -> Protocol:
        config = Config(self.app, log_config=None, lifespan="off", interface="asgi3", proxy_headers=False)
        return Protocol(config, ServerState(), {}, at_once=self.process.dispatch.at_once)

    def talk(self, parts: Sequence[bytes], answers: int, half: bool = False) -> list[tuple[int, dict[str, str], Any]]:
        """Status, headers and body of the answers on one connection. `half`: the client closes its side at once."""

        async def scene() -> list[tuple[int, dict[str, str], Any]]:
            server = await asyncio.get_running_loop().create_server(self.protocol, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            self.process.entries[port] = "gateway"
            async with server, asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.02 if len(parts) > 1 else 0)  # so that they come apart
                if half:
                    writer.write_eof()
                heard = [await answer(reader) for _ in range(answers)]
                writer.close()
            return heard

        return asyncio.run(scene())


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name: value for name, _, value in (line.partition(": ") for line in head[1:-2])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split()[1]), headers, json.loads(body) if body else None


@pytest.fixture
def pod(client: Client) -> Pod:
    return Pod(client.process)


def requests(pod: Pod, code: int) -> float | None:
    return Client(pod.process).value("ml_requests_total", code=str(code))


def test_a_whole_prediction_is_answered_without_the_application(pod: Pod) -> None:
    """With the same answer, headers and counts as one whose body comes later, which is answered by it."""
    whole, last = asked(ROW, b"x-correlation-id: mine"), 10
    (first, second) = pod.talk([whole, whole[:-last], whole[-last:]], 2)
    assert pod.tasks == ["/predict"]
    for _, _, body in (first, second):
        assert body.pop("prediction_id")
    assert first == second
    assert (first[0], first[1]["x-correlation-id"]) == (200, "mine")
    assert requests(pod, 200) == Client(pod.process).value("ml_requests_started_total") == 2
    assert Client(pod.process).value("ml_predictions_total", **{"class": "0"}) == 2


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (asked({"features": [1.0]}), 422),
        (asked(b"5.1", b"content-type: text/csv"), 415),
        (asked({"features": [ROW["features"]] * 101}), 413),
        (asked(ROW, b"connection: close"), 200),
        (asked(ROW, b"content-encoding: gzip"), 415),
        (asked(ROW).replace(b"/predict", b"/predict?x=1"), 200),
        (asked(ROW, path=b"/predict/"), 200),
        (asked(ROW, path=b"/nowhere"), 404),
    ],
)
def test_every_other_request_goes_to_the_application(pod: Pod, request_: bytes, code: int) -> None:
    """It knows how to say what is wrong, and counts it once."""
    ((status, _, _),) = pod.talk([request_], 1)
    at_once = b"?x=1" in request_  # a query changes nothing
    assert (status, len(pod.tasks)) == (code, 0 if at_once else 1)


def test_a_probe_is_answered_at_once_and_leaves_no_trace(pod: Pod) -> None:
    """The operator asks each pod in this way."""
    ((status, _, body),) = pod.talk([asked(ROW, b"x-sluice-probe: 1")], 1)
    assert (status, body["prediction_id"], pod.tasks) == (200, None, [])
    assert requests(pod, 200) == 0


def test_the_time_of_a_request_ends_with_its_answer(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both ways: what is logged and kept of it afterwards makes no model slow. The model is much faster."""
    waits, whole, last = 0.3, asked(ROW), 10
    monkeypatch.setattr("sluice_server.inference.prediction_log.PredictionLog.write", lambda *_: time.sleep(waits))
    pod.talk([whole, whole[:-last], whole[-last:]], 2)
    assert pod.tasks == ["/predict"]
    seconds = Client(pod.process).value("ml_request_duration_seconds_sum")
    assert requests(pod, 200) == 2
    assert seconds is not None
    assert seconds < waits


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(pod: Pod) -> None:
    """Its body comes after that."""
    request = asked(ROW, b"expect: 100-continue")
    body = len(json.dumps(ROW))
    (first, second) = pod.talk([request[:-body], request[-body:]], 2)
    assert (first[0], second[0]) == (100, 200)


def test_requests_that_come_together_are_answered_in_order(pod: Pod) -> None:
    """Predictions at once, another one that has a fault, a path that only the application knows, and one more."""
    codes = {"at once": asked(ROW), "fault": asked({"features": []}), "other": asked(ROW, path=b"/nowhere")}
    sent = ["at once", "at once", "fault", "other", "at once", "other", "at once"]
    heard = pod.talk([b"".join(codes[each] for each in sent)], len(sent))
    assert [status for status, *_ in heard] == [200, 200, 422, 404, 200, 404, 200]
    assert requests(pod, 200) == 4
    assert requests(pod, 422) == 1


def test_a_client_that_closes_its_side_gets_its_answer(pod: Pod) -> None:
    """It has asked, and sends no more."""
    ((status, headers, _),) = pod.talk([asked(ROW)], 1, half=True)
    assert status == 200
    assert headers.get("connection", "close") == "close"


@dataclass
class Failing:
    """A model that fails the first `times` times."""

    times: int
    asked: int = 0

    def __call__(self, rows: Rows) -> Output:
        self.asked += 1
        if self.asked <= self.times:
            raise ZeroDivisionError
        return Output(np.zeros(len(rows)), None, None)


@pytest.mark.parametrize(("times", "code"), [(1, 200), (9, 500)])
def test_a_prediction_that_fails_is_tried_by_the_application(pod: Pod, times: int, code: int) -> None:
    """It is counted once, as whatever came of that."""
    model = Failing(times)
    with ThreadPoolExecutor(1) as worker:
        pod.process.pod.data_plane.take(Batcher(model, worker, 100, Pace(10)), None)
        ((status, _, _),) = pod.talk([asked(ROW)], 1)
    assert (status, pod.tasks, model.asked) == (code, ["/predict"], 2)
    assert Client(pod.process).value("ml_requests_started_total") == requests(pod, code) == 1


def test_a_limited_client_is_counted_once(start: Start) -> None:
    """A request that is answered at once takes one token, and one that is refused none."""
    pod = Pod(start(rate_limit=0.001, rate_limit_burst=2).process)
    assert [status for status, *_ in pod.talk([asked(ROW) * 4], 4)] == [200, 200, 429, 429]
    assert Client(pod.process).value("ml_requests_limited_total") == 2
    assert requests(pod, 200) == 2


def test_a_prediction_that_fails_takes_one_token(start: Start) -> None:
    """Else a failure of the model would be a client that asks too often, and nobody would see it."""
    pod = Pod(start(rate_limit=0.001, rate_limit_burst=1).process)
    with ThreadPoolExecutor(1) as worker:
        pod.process.pod.data_plane.take(Batcher(Failing(9), worker, 100, Pace(10)), None)
        ((status, _, _),) = pod.talk([asked(ROW)], 1)
    assert (status, requests(pod, 500)) == (500, 1)
    assert Client(pod.process).value("ml_requests_limited_total") == 0


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 8081), "peername": ("127.0.0.1", 1)})
        self.written: list[bytes] = []
        self.closed = False
        self.ended = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True
        self.ended.set()

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def on_the_wire(pod: Pod, scene: Callable[[Protocol, Wire], None]) -> Wire:
    """What was written some turns of the loop after `scene`."""

    async def run() -> Wire:
        protocol, wire = pod.protocol(), Wire()
        protocol.connection_made(wire)
        scene(protocol, wire)
        for _ in range(10):
            await asyncio.sleep(0)
        protocol.resume_writing()
        return wire

    return asyncio.run(run())


def test_a_client_that_does_not_read_is_not_answered_at_once(pod: Pod) -> None:
    """Its answers would pile up here; the application waits for it."""

    def scene(protocol: Protocol, wire: Wire) -> None:
        protocol.pause_writing()
        protocol.data_received(asked(ROW))

    on_the_wire(pod, scene)
    assert pod.tasks == ["/predict"]


def test_nothing_is_written_to_a_client_that_has_gone(pod: Pod) -> None:
    """Its prediction was made with those of the others, and is counted."""

    def scene(protocol: Protocol, wire: Wire) -> None:
        protocol.data_received(asked(ROW))
        wire.close()
        protocol.connection_lost(None)

    assert on_the_wire(pod, scene).written == []
    assert requests(pod, 200) == 1


def test_a_process_that_ends_answers_and_closes(pod: Pod) -> None:
    """What was read before the end gets its answer, with the word that no more will be."""

    def scene(protocol: Protocol, _: Wire) -> None:
        protocol.data_received(asked(ROW))
        protocol.shutdown()

    wire = on_the_wire(pod, scene)
    assert wire.closed
    assert b"connection: close\r\n" in b"".join(wire.written)


def test_a_version_cannot_add_headers(start: Start) -> None:
    """Whoever names a version does not write the response. The two ways to an answer send the same."""
    pod, whole = Pod(start(model_version="3\r\nx-other: 1").process), asked(ROW)
    for _, headers, _ in pod.talk([whole, whole[:-5], whole[-5:]], 2):
        assert headers["x-model-version"] == "3??x-other: 1"
        assert "x-other" not in headers
    assert pod.tasks == ["/predict"]


OFFER = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAARAAAAAAAIAAAAA")


@pytest.mark.parametrize("parts", [1, 2])
def test_a_client_that_offers_another_protocol_is_answered_in_this_one(pod: Pod, parts: int) -> None:
    """Some clients do with each request. Its body is neither lost nor read as the next request."""
    request, hidden = asked(ROW, *OFFER), b"GET /smuggled HTTP/1.1\r\nhost: pod\r\n\r\n"
    sneaky = asked(b'{"features": [5.1, 3.5, 1.4, 0.2]}' + b" " * 10, *OFFER).replace(b" " * 10, hidden[:10])
    sent = [request] if parts == 1 else [request[:-9], request[-9:]]
    heard = pod.talk([*sent, asked(ROW), sneaky], 3)
    assert [status for status, *_ in heard] == [200, 200, 422]
    assert "/smuggled" not in pod.tasks


def test_connect_is_refused(pod: Pod) -> None:
    """This is no proxy."""

    def scene(protocol: Protocol, _: Wire) -> None:
        protocol.data_received(b"CONNECT other:80 HTTP/1.1\r\nhost: other\r\n\r\n")

    wire = on_the_wire(pod, scene)
    assert wire.closed
    assert wire.written[0].startswith(b"HTTP/1.1 400 ")


def test_what_follows_a_body_in_chunks_is_no_header(pod: Pod) -> None:
    """Somebody in between may have checked the headers, and not these."""
    body = json.dumps(ROW).encode()
    head = b"POST /predict HTTP/1.1\r\nhost: pod\r\nx-correlation-id: first\r\ntransfer-encoding: chunked\r\n\r\n"
    trailers = b"x-correlation-id: second\r\nx-sluice-probe: 1\r\n\r\n"
    ((status, headers, answered),) = pod.talk([head + b"%x\r\n%b\r\n0\r\n" % (len(body), body) + trailers], 1)
    assert (status, headers["x-correlation-id"]) == (200, "first")
    assert answered["prediction_id"]


@pytest.mark.parametrize("head", [b"x: %b\r\n" % (b"y" * 100_000), b"a:b\r\n" * 110])
def test_a_head_has_a_limit(pod: Pod, head: bytes) -> None:
    """Of bytes, and of lines, which take much more memory than they have bytes. It is not kept until all has come."""

    def scene(protocol: Protocol, wire: Wire) -> None:
        protocol.data_received(b"POST /predict HTTP/1.1\r\nhost: pod\r\n")
        while head and not wire.closed and protocol._head_bytes < len(head):
            protocol.data_received(head[protocol._head_bytes :][:10_000])

    wire = on_the_wire(pod, scene)
    assert wire.closed
    assert wire.written[0].startswith(b"HTTP/1.1 431 ")


def test_a_client_that_leaves_behind_a_second_request_is_no_failure_of_the_model(pod: Pod) -> None:
    """The first one is still being answered; nobody waits for either answer."""
    begun, rows = threading.Event(), {"features": [ROW["features"]] * 50}

    def slow(rows: Rows) -> Output:
        begun.wait(PATIENCE)
        return Output(np.zeros(len(rows)), None, None)

    async def run() -> None:
        protocol, wire = pod.protocol(), Wire()
        protocol.connection_made(wire)
        protocol.data_received(asked(rows) + asked(ROW))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        wire.close()
        protocol.connection_lost(ConnectionResetError())
        begun.set()
        await asyncio.wait_for(asyncio.gather(*protocol.tasks), PATIENCE)

    with ThreadPoolExecutor(1) as worker:
        pod.process.pod.data_plane.take(Batcher(slow, worker, 100), None)
        asyncio.run(run())
    assert (requests(pod, 499), requests(pod, 500)) == (1, 0)


@pytest.mark.parametrize("sent", [b"", b"POST /predict HTTP/1.1\r\nhost"])
def test_a_client_that_never_ends_its_head_is_not_waited_for(
    pod: Pod, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of such connections would take all that a process may have."""
    monkeypatch.setattr(protocol_module, "HEAD_SECONDS", 0.01)

    async def run() -> bool:
        protocol, wire = pod.protocol(), Wire()
        protocol.connection_made(wire)
        if sent:  # after one that is answered
            protocol.data_received(asked(ROW))
            protocol.data_received(sent)
        async with asyncio.timeout(PATIENCE):
            await wire.ended.wait()
        return wire.closed

    assert asyncio.run(run())


def test_a_client_that_sends_thousands_of_requests_at_once_is_refused(pod: Pod) -> None:
    """They would all be kept until the first ones are answered."""

    def scene(protocol: Protocol, _: Wire) -> None:
        protocol.data_received(b"GET / HTTP/1.1\r\nhost: pod\r\n\r\n" * 5_000)

    wire = on_the_wire(pod, scene)
    assert wire.closed
    assert len(pod.tasks) <= 101
