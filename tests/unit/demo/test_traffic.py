import asyncio
import itertools
from typing import Any

import pytest
from aiohttp import web

from dev.demo.traffic import Request, Stream, iris_rows
from tests.unit.demo.gateway import Handler, gateway

ROWS = (((5.1, 3.5, 1.4, 0.2), 0), ((6.3, 3.3, 6.0, 2.5), 2))
RIGHT = {"predictions": [0], "prediction_id": "id-1", "model_version": "3"}
HEADERS = {"X-Model-Version": "3", "X-Sluice-Revision": "abcdefghij"}


def answering(body: Any, status: int = 200, version: str = "3") -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=HEADERS | {"X-Model-Version": version})

    return answer


def sent_to(handler: Handler, count: int = 10) -> list[Request]:
    """The requests of a short stream to a gateway with this handler."""

    async def run() -> list[Request]:
        async with gateway(handler) as address, short(address, max_requests=count) as stream:
            await stream.finished()
        return stream.requests

    return asyncio.run(run())


def short(address: str, **settings: Any) -> Stream:
    return Stream(address, "iris.example.com", rows=ROWS, label_delay=(0, 0), **{"rate": 10_000, **settings})


def test_each_prediction_gets_its_label_posted() -> None:
    """The true class is sent with the prediction's id, through the same gateway and host."""
    labels: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.host == "iris.example.com"
        if request.path == "/feedback":
            labels.append(await request.json())
        return await answering(RIGHT)(request)

    requests = sent_to(answer, count=10)

    assert [request.kind for request in requests].count("predict") == 10
    assert len(labels) == 10
    assert {label["prediction_id"] for label in labels} == {"id-1"}
    assert {label["label"] for label in labels} == {0, 2}


def test_a_request_has_version_revision_and_correctness() -> None:
    """Version and revision come from the headers. Correct means equal to the true class."""
    requests = [request for request in sent_to(answering(RIGHT)) if request.kind == "predict"]

    assert {(request.version, request.revision) for request in requests} == {("3", "abcdefghij")}
    assert {request.correct for request in requests} == {True, False}
    assert not any(request.failure for request in requests)


async def page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>")


@pytest.mark.parametrize(
    ("handler", "failure"),
    [
        (answering({}, status=503), "status 503"),
        (answering({}, status=404), "status 404"),
        (answering(RIGHT, version="4"), "wrong shape: X-Model-Version is 4, the body says 3"),
        (answering(RIGHT, version=""), "wrong shape: X-Model-Version is absent, the body says 3"),
        (answering({"predictions": [0, 1]}), 'wrong shape: {"predictions": [0, 1]}'),
        (page, "wrong shape: <html>"),
    ],
)
def test_a_wrong_status_or_body_counts_as_failed(handler: Handler, failure: str) -> None:
    """The failure says what came instead. Such an answer gets no feedback."""
    (request,) = sent_to(handler, count=1)

    assert request.failure == failure
    assert request.correct is None


def test_no_answer_counts_as_failed() -> None:
    """The failure of a broken connection has the client's error."""

    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    (request,) = sent_to(hang_up, count=1)

    assert request.status is None
    assert request.failure == "no answer: ServerDisconnectedError Server disconnected"


def test_refused_feedback_counts_as_failed() -> None:
    """A label that is refused is a failed request, too."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await answering(RIGHT, status=500 if request.path == "/feedback" else 200)(request)

    predicted, feedback = sent_to(answer, count=1)

    assert (predicted.failure, feedback.failure) == ("", "status 500")


def test_the_stream_ends_with_its_block() -> None:
    """Also if its limits are not reached."""

    async def run() -> None:
        async with gateway(answering(RIGHT)) as address, Stream(address, "host", rows=ROWS):
            pass

    asyncio.run(asyncio.wait_for(run(), 5))


def test_the_stream_is_bounded_in_time() -> None:
    """After `max_seconds` by its clock nothing more is sent."""
    seconds = itertools.count()

    async def run() -> list[Request]:
        async with (
            gateway(answering(RIGHT)) as address,
            short(address, rate=1e9, max_seconds=50, clock=lambda: float(next(seconds))) as stream,
        ):
            await stream.finished()
        return stream.requests

    requests = asyncio.run(run())

    assert 0 < len(requests) <= 50


def test_a_bug_in_the_stream_is_not_swallowed() -> None:
    """An error that does not come from the network is raised at the end of the block."""

    async def run() -> None:
        unusable = Stream("http://127.0.0.1:1", "host", rows=(((object(),), 0),), rate=10_000)
        async with unusable as stream:
            await stream.finished()

    with pytest.raises(ExceptionGroup):
        asyncio.run(run())


def test_rows_are_all_of_iris() -> None:
    """150 rows of four features, each with its true class."""
    rows = iris_rows()

    assert len(rows) == 150
    assert rows[0] == ((5.1, 3.5, 1.4, 0.2), 0)
