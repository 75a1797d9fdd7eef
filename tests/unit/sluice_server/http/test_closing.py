"""After which responses the connection is closed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from sluice_server.inference.batching import Batcher, QueueFullError
from sluice_server.inference.params import Params
from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Start

ROW = [5.1, 3.5, 1.4, 0.2]
JSON = {"content-type": "application/json"}


def connection(answer: httpx.Response) -> str:
    return str(answer.headers.get("connection", ""))


@pytest.mark.parametrize(
    ("code", "options", "expected"),
    [
        (200, {"json": {"features": ROW}}, ""),
        (413, {"json": {"features": [ROW] * 101}}, "close"),
        (413, {"content": b" " * 5000, "headers": JSON}, "close"),
        (415, {"content": b"1,2,3,4", "headers": {"content-type": "text/csv"}}, "close"),
        (415, {"content": b"x", "headers": {**JSON, "content-encoding": "gzip"}}, "close"),
        (422, {"json": {"features": [[1, 2, 3]]}}, ""),
        (422, {"content": b"{", "headers": JSON}, ""),
    ],
)
def test_the_connection_is_closed_where_the_rest_of_a_body_is_not_read(
    client: Client, code: int, options: dict[str, Any], expected: str
) -> None:
    """A 413 and a 415 close it; a 422 does not, because the whole body was read and the client may correct it."""
    answer = client.post("/predict", **options)
    assert (answer.status_code, connection(answer)) == (code, expected)


def test_a_pod_without_a_ready_model_closes_the_connection(start: Start) -> None:
    """The client's next connection may lead to another pod."""
    answer = start(load=False).post("/predict", json={"features": ROW})
    assert (answer.status_code, connection(answer)) == (503, "close")


class FullQueue(Batcher):
    """A queue that has no room for another row."""

    def submit(self, rows: Rows, params: Params | None = None) -> asyncio.Future[Output]:
        raise QueueFullError(9)


def broken(rows: Rows) -> Output:
    raise RuntimeError("the model is broken")


@pytest.mark.parametrize(("queue", "code", "expected"), [(FullQueue, 503, "close"), (Batcher, 500, "")])
def test_a_full_queue_closes_the_connection_and_a_broken_model_does_not(
    start: Start, queue: type[Batcher], code: int, expected: str
) -> None:
    """The next connection may lead to a pod with room, but to no pod with another model."""
    client = start(load=False)
    with ThreadPoolExecutor(1) as worker:
        client.process.pod.data_plane.take(queue(broken, worker, 100), None)
        client.process.pod.data_plane.open(Output(np.zeros(1), None, None))
        answer = client.post("/predict", json={"features": ROW})
    assert (answer.status_code, connection(answer)) == (code, expected)


def test_a_process_that_another_one_follows_closes_the_connections_that_it_has(client: Client) -> None:
    """It is ready all the same: who asks it on such a connection asks for the service, which goes on."""
    client.process.pod.readiness.leaving = True
    answers = [client.post("/predict", json={"features": ROW}), client.get("/health/ready")]
    assert [(answer.status_code, connection(answer)) for answer in answers] == [(200, "close")] * 2
