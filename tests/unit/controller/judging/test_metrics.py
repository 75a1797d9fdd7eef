"""What is asked of Prometheus, and that whatever it answers is samples or a sentence that says what is wrong."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests

from sluice_operator.judging.metrics import BUCKETS, MetricsLostError, Reader, Selection, connect

IRIS = Selection((("models", "iris"),), ("canary", "stable"), (0.2, 1.0))
SELECTOR = (
    '{__name__=~"ml_requests_started_total|ml_requests_total|ml_feedback_total|ml_feedback_correct_total'
    '|ml_request_duration_seconds_bucket",namespace=~"models",model_deployment=~"iris",revision=~"canary|stable",'
    'entry="gateway",le=~"|[+]Inf|0[.]2|1[.]0"}'
)
LABELS = {"__name__": "ml_requests_total", "pod_uid": "a"}
ASKS: dict[str, Callable[[Reader], Coroutine[Any, Any, Any]]] = {
    "raw": lambda reader: reader.raw(IRIS, 100, 130.5),
    "grid": lambda reader: reader.grid(IRIS, 100, 160, 15),
    "rate": lambda reader: reader.rate(IRIS, 130.5),
}


class FakePrometheus:
    """Answers everything alike, and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        return self._answered(query, params)

    def custom_query_range(self, query: str, start_time: datetime, end_time: datetime, step: str) -> Any:
        return self._answered(query, start_time, end_time, step)

    def _answered(self, *asked: Any) -> Any:
        self.asked.append(asked)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def asked(kind: str, answer: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    """What the reader makes of an answer, and what it asked."""
    prometheus = FakePrometheus(answer)
    return asyncio.run(ASKS[kind](Reader(prometheus))), prometheus.asked


def test_a_selection_names_the_object_its_revisions_and_the_bounds_that_are_needed() -> None:
    """Gateway requests only; of a histogram the bounds and the total, and what is no histogram has no bound."""
    assert IRIS.promql() == SELECTOR


def test_a_selection_may_take_all_bounds_or_none() -> None:
    """All of them to choose from; none where nothing is said about latency."""
    every = Selection((("models", "iris"),), ("stable",), None).promql((BUCKETS,))
    assert every == (
        '{__name__=~"ml_request_duration_seconds_bucket",namespace=~"models",model_deployment=~"iris",'
        'revision=~"stable",entry="gateway"}'
    )
    assert Selection((("models", "iris"),), ("stable",)).promql().endswith(',entry="gateway",le=~"|[+]Inf"}')


def test_raw_samples_are_asked_for_by_the_millisecond() -> None:
    """Of the whole span up to now, as Prometheus keeps them."""
    answer = [{"metric": LABELS, "values": [[101.5, "7"], [116.5, "NaN"]]}]
    assert asked("raw", answer) == (
        [(LABELS, [(101.5, "7"), (116.5, "NaN")])],
        [(f"{SELECTOR}[30500ms]", {"time": 130.5})],
    )


def test_a_grid_is_a_range_query() -> None:
    """From its first to its last moment."""
    found, queries = asked("grid", [{"metric": LABELS, "values": [[100, "7"], [115, "9"]]}])
    assert found == [(LABELS, [(100, "7"), (115, "9")])]
    assert queries == [(SELECTOR, datetime.fromtimestamp(100, UTC), datetime.fromtimestamp(160, UTC), "15s")]


def test_a_grid_may_be_of_some_counters() -> None:
    """Latencies alone, say."""
    prometheus = FakePrometheus([])
    asyncio.run(Reader(prometheus).grid(IRIS, 100, 160, 15, (BUCKETS,)))
    assert [query for query, *_ in prometheus.asked] == [IRIS.promql((BUCKETS,))]


@pytest.mark.parametrize(
    ("answer", "rate"),
    [([{"metric": {}, "value": [1, "12.5"]}], 12.5), ([{"metric": {}, "value": [1, "NaN"]}], None), ([], None)],
)
def test_a_rate_is_what_prometheus_says_or_unknown(answer: Any, rate: float | None) -> None:
    """NaN and no series are no rate."""
    assert asked("rate", answer)[0] == rate


@pytest.mark.parametrize("kind", ["raw", "grid"])
def test_no_series_is_an_answer(kind: str) -> None:
    """What it means is decided elsewhere."""
    assert asked(kind, [])[0] == []


@pytest.mark.parametrize("kind", ASKS)
@pytest.mark.parametrize(
    "answer",
    [
        [1_800_000_000.0, "a string"],  # of type string, or a scalar
        "a string",
        None,
        {"metric": {}},
        [None],
        [{"metric": {}}],
        [{"metric": {}, "value": "7", "values": "7"}],
        [{"metric": {}, "value": [1, 7], "values": [[1, 7]]}],
        [{"metric": {}, "value": ["1", "7"], "values": [[1]]}],
        [{"metric": {"pod_uid": 7}, "value": [1, "7"], "values": [[1, "7"]]}],
        [{"metric": {}, "histogram": [1, {}], "histograms": [[1, {}]]}],
    ],
)
def test_an_answer_of_another_shape_is_no_series(kind: str, answer: Any) -> None:
    """It is told, and breaks nothing later."""
    with pytest.raises(MetricsLostError, match=r"^Prometheus answered with something else than series: "):
        asked(kind, answer)


@contextmanager
def serving(status: int, body: bytes, length: int) -> Iterator[str]:
    """The URL of a server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


SERIES = b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"2"]]}]}}'
REFUSED = b'{"status":"error","errorType":"bad_data","error":"parse error"}'


def test_the_client_reads_what_prometheus_sends() -> None:
    """The same as the fakes of these tests."""
    with serving(200, SERIES, len(SERIES)) as url:
        assert asyncio.run(ASKS["raw"](Reader(connect(url)))) == [({"a": "b"}, [(1, "2")])]


@pytest.mark.parametrize("kind", ["raw", "grid"])
@pytest.mark.parametrize(
    ("status", "body", "length"),
    [
        (500, b"oops", 4),
        (422, REFUSED, len(REFUSED)),
        (400, REFUSED, len(REFUSED)),
        (200, b"<html>", 6),
        (200, b"", 0),
        (200, SERIES, len(SERIES) + 10),
        (200, SERIES[:60], 60),
        (200, REFUSED, len(REFUSED)),
        (200, b"[]", 2),
        (200, b'{"data":null}', 13),
    ],
    ids=["500", "422", "400", "HTML", "empty", "half a body", "half a JSON", "no data", "a list", "null"],
)
def test_what_is_no_answer_is_told(kind: str, status: int, body: bytes, length: int) -> None:
    """Whatever went wrong, with what is known of it."""
    with serving(status, body, length) as url, pytest.raises(MetricsLostError, match=r"^Prometheus gave no answer: ."):
        asyncio.run(ASKS[kind](Reader(connect(url))))


def test_a_prometheus_that_refuses_is_told() -> None:
    """Nobody listens there, and one try is enough."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(MetricsLostError, match=r"^Prometheus gave no answer: .*refused"):
            asyncio.run(ASKS["raw"](Reader(connect(url))))


def test_a_prometheus_that_takes_too_long_is_told() -> None:
    """The next look is only seconds away."""
    with pytest.raises(MetricsLostError, match=r"^Prometheus gave no answer: Read timed out"):
        asked("raw", requests.ReadTimeout("Read timed out"))
