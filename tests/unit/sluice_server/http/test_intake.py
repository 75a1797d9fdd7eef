"""Bodies together have a bound: what is beyond is a 429, and what has gone leaves room."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from starlette.types import Message

from sluice_server.http.intake import SMALL_BODY, Intake

if TYPE_CHECKING:
    from sluice_server.process.serve import Process
    from tests.unit.sluice_server.conftest import Client, Start

MB = 1_000_000
LARGE = {"max_body": MB, "max_rows": 10_000}
ROWS = json.dumps({"features": [[5.1, 3.5, 1.4, 0.2]] * 1_200}).encode()
LABELS = json.dumps({"prediction_id": "x", "labels": [1] * 10_000}).encode()
PATIENCE = 30


def test_a_body_counts_until_its_place_is_left() -> None:
    """What had no room does not count."""
    intake = Intake(MB, 100_000)
    with intake.place() as first:
        assert first.take(60_000)
        assert first.take(30_000)
        with intake.place() as second:
            assert not second.take(20_000)
            assert second.take(10_000)
        with intake.place() as third:
            assert third.take(10_000)
    with intake.place() as fourth:
        assert fourth.take(100_000)


def test_a_small_body_and_one_that_is_alone_always_have_room() -> None:
    """Nobody shuts others out with large ones, and no limit makes the other one useless."""
    intake = Intake(MB, 50_000)
    with intake.place() as alone, intake.place() as small:
        assert alone.take(40_000)
        assert alone.take(40_000)
        assert small.take(SMALL_BODY)
        assert not small.take(1)


class Sender:
    """A client of a process that sends a body in parts, and can go away."""

    def __init__(self, process: Process, path: str, *parts: bytes) -> None:
        self.path, self.parts = path, list(parts)
        self.status, self.headers, self.body = 0, dict[str, str](), b""
        self.waits, self.gone = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(process.dispatch(self._scope(), self._receive, self._send))

    def _scope(self) -> dict[str, Any]:
        head = [(b"content-type", b"application/json")]
        names = {"type": "http", "method": "POST", "path": self.path, "query_string": b""}
        return {**names, "server": ("pod", 8081), "headers": head}

    async def _receive(self) -> Message:
        if self.parts:
            part = self.parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self.parts)}
        self.waits.set()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]

    async def leave(self) -> None:
        self.gone.set()
        await self.task


Story = Callable[["Process"], Awaitable[None]]


def told(client: Client, story: Story) -> None:
    """A story in which the thread that parses does not come to an end before the story does."""
    go = threading.Event()

    async def run() -> None:
        busy = client.process.pod.intake.aside.submit(MB, go.wait, PATIENCE)
        try:
            await story(client.process)
        finally:
            go.set()
            await busy

    asyncio.run(run())


def turned_away(sender: Sender, status: int) -> bool:
    """Whether the client was told to come again, and that this connection is over."""
    assert msgspec.json.decode(sender.body)
    return (sender.status, sender.headers["retry-after"], sender.headers["connection"]) == (status, "1", "close")


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v2/models/iris/infer", "/feedback"])
def test_bodies_together_have_a_bound(start: Start, path: str) -> None:
    """Of what is being read, and of what waits to be parsed. Each dialect says so in its own way."""

    async def story(process: Process) -> None:
        waiting = Sender(process, "/predict", ROWS)
        other = Sender(process, path, b" " * 30_000)
        for each in (waiting, other):
            await asyncio.wait_for(each.waits.wait(), PATIENCE)
        beyond = Sender(process, path, b" " * 30_000, b" " * 30_000)
        await asyncio.wait_for(beyond.task, PATIENCE)
        assert turned_away(beyond, 429)
        small = Sender(process, "/predict", b'{"features": [5.1, 3.5, 1.4, 0.2]}')
        await asyncio.wait_for(small.task, PATIENCE)
        assert small.status == 200
        for each in (waiting, other):
            await each.leave()
        afterwards = Sender(process, path, b" " * 60_000)
        await asyncio.wait_for(afterwards.waits.wait(), PATIENCE)
        await afterwards.leave()

    client = start(max_body_bytes_together=80_000, **LARGE)
    told(client, story)
    assert client.value("ml_requests_total", code="503") == 0, "no client can make a failure of the model out of it"


def test_who_leaves_while_a_body_waits_is_a_499(start: Start) -> None:
    """Its body is not parsed: 40 of 4 MB kept an honest request waiting for 14 s after all their senders had gone."""
    client = start(**LARGE)

    async def story(process: Process) -> None:
        senders = [Sender(process, path, body) for path, body in (("/predict", ROWS), ("/feedback", LABELS))]
        for sender in senders:
            await asyncio.wait_for(sender.waits.wait(), PATIENCE)
            await sender.leave()

    told(client, story)
    assert client.value("ml_requests_total", code="499") == 1
    assert client.value("ml_requests_in_progress") == 0


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
def test_a_line_that_is_full_is_a_429(start: Start, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the bodies are not many bytes."""
    monkeypatch.setattr("sluice_server.http.aside.MOST_WAITING", 1)

    async def story(process: Process) -> None:
        waiting = Sender(process, "/predict", ROWS)
        await asyncio.wait_for(waiting.waits.wait(), PATIENCE)
        beyond = Sender(process, path, ROWS)
        await asyncio.wait_for(beyond.task, PATIENCE)
        assert turned_away(beyond, 429)
        await waiting.leave()

    told(start(**LARGE), story)


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v2/models/iris/infer", "/feedback"])
def test_what_waits_when_the_process_ends_may_come_again(start: Start, path: str) -> None:
    """A 500 in plain text would be a failure of the model, and no reason to ask another pod."""
    client = start(**LARGE)

    async def story(process: Process) -> None:
        sender = Sender(process, path, ROWS)
        await asyncio.wait_for(sender.waits.wait(), PATIENCE)
        sender.task.cancel()  # as uvicorn does in the end
        await asyncio.wait_for(sender.task, PATIENCE)
        assert turned_away(sender, 503)
        assert sender.headers["x-sluice-revision"] == "abcdefghij"

    told(client, story)
    assert client.value("ml_requests_total", code="500") == 0
    assert client.value("ml_requests_in_progress") == 0
