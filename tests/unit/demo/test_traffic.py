import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from dev.demo.traffic import Request, Stream, iris_rows

ROWS = (((5.1, 3.5, 1.4, 0.2), 0), ((6.3, 3.3, 6.0, 2.5), 2))
RIGHT = {"predictions": [0], "prediction_id": "id-1", "model_version": "3"}
HEADERS = {"X-Model-Version": "3", "X-Sluice-Revision": "abcdefghij"}

Handler = Callable[[httpx.Request], httpx.Response]


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    return lambda request: httpx.Response(status, json=body, headers=HEADERS if headers is None else headers)


def sent_to(handler: Handler, count: int = 10) -> list[Request]:
    """What a short stream records against `handler`."""

    async def run() -> list[Request]:
        stream = Stream(
            *("http://gateway", "iris.example.com"),
            rate=10_000,
            max_requests=count,
            rows=ROWS,
            transport=httpx.MockTransport(handler),
        )
        async with stream:
            await stream.finished()
        return stream.requests

    return asyncio.run(run())


def test_each_prediction_gets_its_label_posted() -> None:
    """The true class follows under the prediction's id, through the same gateway and host."""
    labels: list[Any] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        assert request.headers["host"] == "iris.example.com"
        if request.url.path == "/feedback":
            labels.append(json.loads(request.content))
            return httpx.Response(200, json={})
        return httpx.Response(200, json=RIGHT, headers=HEADERS)

    requests = sent_to(gateway, count=10)

    assert [request.kind for request in requests].count("predict") == 10
    assert len(labels) == 10
    assert {label["prediction_id"] for label in labels} == {"id-1"}
    assert {label["label"] for label in labels} == {0, 2}


def test_a_request_keeps_who_answered_and_whether_it_was_right() -> None:
    """Version and revision are read from the headers; right means equal to the true class."""
    requests = [request for request in sent_to(answer(RIGHT)) if request.kind == "predict"]

    assert {(request.version, request.revision) for request in requests} == {("3", "abcdefghij")}
    assert {request.correct for request in requests} == {True, False}
    assert not any(request.failure for request in requests)


@pytest.mark.parametrize(
    ("handler", "failure"),
    [
        (answer({}, status=503), "status 503"),
        (answer({}, status=404), "status 404"),
        (answer(RIGHT, headers={"X-Model-Version": "4"}), "wrong shape: X-Model-Version is 4, the body says 3"),
        (answer(RIGHT, headers={}), "wrong shape: X-Model-Version is None, the body says 3"),
        (answer({"predictions": [0, 1]}), 'wrong shape: {"predictions":[0,1]}'),
        (lambda request: httpx.Response(200, text="<html>"), "wrong shape: <html>"),
    ],
)
def test_an_answer_that_is_no_prediction_counts_as_failed(handler: Handler, failure: str) -> None:
    """Any status but success and any other shape is a failure that says what came, and gets no feedback."""
    (request,) = sent_to(handler, count=1)

    assert request.failure == failure
    assert request.correct is None


def test_no_answer_counts_as_failed() -> None:
    """A connection that breaks is recorded with what happened to it."""

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    (request,) = sent_to(broken, count=1)

    assert request.status is None
    assert request.failure == "no answer: ConnectError refused"


def test_refused_feedback_counts_as_failed() -> None:
    """A label that is not taken is a failed request too."""

    def gateway(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500) if request.url.path == "/feedback" else answer(RIGHT)(request)

    predicted, feedback = sent_to(gateway, count=1)

    assert (predicted.failure, feedback.failure) == ("", "status 500")


def test_the_stream_ends_with_its_block() -> None:
    """Leaving the block ends a stream that could have gone on for hours."""

    async def run() -> None:
        async with Stream("http://gateway", "host", rows=ROWS, transport=httpx.MockTransport(answer(RIGHT))):
            pass

    asyncio.run(asyncio.wait_for(run(), 5))


def test_the_stream_is_bounded_in_time() -> None:
    """After `max_seconds` by its clock nothing more is sent."""
    times = iter(range(10_000))

    async def run() -> list[Request]:
        transport = httpx.MockTransport(answer(RIGHT))
        stream = Stream(
            *("http://gateway", "host"),
            rate=1e9,
            max_seconds=50,
            rows=ROWS,
            transport=transport,
            clock=lambda: float(next(times)),
        )
        async with stream:
            await stream.finished()
        return stream.requests

    requests = asyncio.run(run())

    assert 0 < len(requests) <= 50


def test_a_bug_in_the_stream_is_not_swallowed() -> None:
    """An error that is not the network's ends the block with that error."""

    def broken(request: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        sent_to(broken, count=1)


def test_rows_are_all_of_iris() -> None:
    """150 rows of four features with their true class."""
    rows = iris_rows()

    assert len(rows) == 150
    assert rows[0] == ((5.1, 3.5, 1.4, 0.2), 0)
