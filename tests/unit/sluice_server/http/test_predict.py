"""The data path when the client does not wait."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.types import Message

from sluice_server.inference.batching import Batcher
from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Start

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/predict",
    "server": ("pod", 8081),
    "headers": [(b"content-type", b"application/json")],
}


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
