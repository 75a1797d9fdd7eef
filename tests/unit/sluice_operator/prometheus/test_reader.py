"""The queries to Prometheus. Each answer gives samples, or an error that says what is wrong."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import BUCKETS, Selection

IRIS = Selection((("models", "iris"),), ("canary", "stable"), (0.2, 1.0))
SELECTOR = (
    '{__name__=~"ml_requests_started_total|ml_requests_total|ml_other_requests_total|ml_feedback_total|ml_feedback_correct_total'
    '|ml_request_duration_seconds_bucket",namespace=~"models",model_deployment=~"iris",revision=~"canary|stable",'
    'entry="gateway",le=~"|[+]Inf|0[.]2|1[.]0"}'
)
LABELS = {"__name__": "ml_requests_total", "pod_uid": "a"}
QUERIES: dict[str, Callable[[Reader], Coroutine[Any, Any, Any]]] = {
    "raw": lambda reader: reader.raw(IRIS, 100, 130.5),
    "grid": lambda reader: reader.grid(IRIS, 100, 160, 15),
    "rate": lambda reader: reader.rate(IRIS, 130.5),
    "values": lambda reader: reader.values("sum(revenue)", 100, 160, 15),
}


class FakePrometheus:
    """Gives the same answer to every query, and keeps the queries."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.queries: list[tuple[Any, ...]] = []

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        return self._answered(query, params)

    def custom_query_range(self, query: str, start_time: datetime, end_time: datetime, step: str) -> Any:
        return self._answered(query, start_time, end_time, step)

    def _answered(self, *query: Any) -> Any:
        self.queries.append(query)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def read(kind: str, answer: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    """The result of the reader for this answer, and its queries."""
    prometheus = FakePrometheus(answer)
    return asyncio.run(QUERIES[kind](Reader(prometheus))), prometheus.queries


def test_a_selection_has_the_object_its_revisions_and_the_needed_bounds() -> None:
    """Only requests through the gateway. Histograms have these bounds and +Inf; other counters have no bound."""
    assert IRIS.promql() == SELECTOR


def test_a_selection_may_take_all_bounds_or_none() -> None:
    """All bounds, to choose from them; none if there is no latency objective."""
    every = Selection((("models", "iris"),), ("stable",), None).promql((BUCKETS,))
    assert every == (
        '{__name__=~"ml_request_duration_seconds_bucket",namespace=~"models",model_deployment=~"iris",'
        'revision=~"stable",entry="gateway"}'
    )
    assert Selection((("models", "iris"),), ("stable",)).promql().endswith(',entry="gateway",le=~"|[+]Inf"}')


def test_raw_samples_are_a_range_selector_in_milliseconds() -> None:
    """All samples of that time, as Prometheus has them."""
    answer = [{"metric": LABELS, "values": [[101.5, "7"], [116.5, "NaN"]]}]
    assert read("raw", answer) == (
        [(LABELS, [(101.5, "7"), (116.5, "NaN")])],
        [(f"{SELECTOR}[30500ms]", {"time": 130.5})],
    )


def test_a_grid_is_a_range_query() -> None:
    """From the first to the last time, with its step."""
    found, queries = read("grid", [{"metric": LABELS, "values": [[100, "7"], [115, "9"]]}])
    assert found == [(LABELS, [(100, "7"), (115, "9")])]
    assert queries == [(SELECTOR, datetime.fromtimestamp(100, UTC), datetime.fromtimestamp(160, UTC), "15s")]


def test_a_grid_may_have_only_some_counters() -> None:
    """Only latencies, for example."""
    prometheus = FakePrometheus([])
    asyncio.run(Reader(prometheus).grid(IRIS, 100, 160, 15, (BUCKETS,)))
    assert [query for query, *_ in prometheus.queries] == [IRIS.promql((BUCKETS,))]


@pytest.mark.parametrize(
    ("answer", "rate"),
    [([{"metric": {}, "value": [1, "12.5"]}], 12.5), ([{"metric": {}, "value": [1, "NaN"]}], None), ([], None)],
)
def test_a_rate_is_a_finite_number_or_none(answer: Any, rate: float | None) -> None:
    """NaN, and an answer without series, give None."""
    assert read("rate", answer)[0] == rate


@pytest.mark.parametrize("kind", ["raw", "grid"])
def test_an_answer_without_series_is_no_error(kind: str) -> None:
    """Its meaning is decided elsewhere."""
    assert read(kind, [])[0] == []


@pytest.mark.parametrize("kind", QUERIES)
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
def test_a_malformed_answer_is_an_error(kind: str, answer: Any) -> None:
    """It is reported at once, so that it cannot break anything later."""
    with pytest.raises(MetricsLostError, match=r"^Prometheus answered with something else than series: "):
        read(kind, answer)


@pytest.mark.parametrize("kind", ["raw", "grid"])
@pytest.mark.parametrize("at", [131.6 + 60, 1.3e11, float("inf")])
def test_samples_from_the_future_are_an_error(kind: str, at: float) -> None:
    """A proxy may give times in milliseconds. A run would wait for thousands of years for that time to come."""
    answer = [{"metric": LABELS, "values": [[101.5, "7"]]}, {"metric": LABELS, "values": [[99, "7"], [at, "8"]]}]
    with pytest.raises(MetricsLostError, match=r"^Prometheus answered with samples of the future: "):
        read(kind, answer)


def test_values_that_are_not_numbers_are_not_used() -> None:
    """A rate of that value is None, and a measurement is NaN."""
    assert read("rate", [{"metric": {}, "value": [1, "many"]}])[0] is None
    found, _ = read("values", [{"metric": {}, "values": [[110, "many"], [120, "NaN"], [130, "7"]]}])
    assert [value if math.isfinite(value) else None for _, value in found] == [None, None, 7]


def test_a_query_must_give_one_series() -> None:
    """With two, it is not clear which one is meant."""
    answer = [{"metric": {"pod": pod}, "values": [[110, "7"]]} for pod in ("a", "b")]
    with pytest.raises(MetricsLostError, match="the query gives 2 series: aggregate them into one, such as by sum"):
        read("values", answer)


def test_slow_queries_of_users_do_not_delay_samples() -> None:
    """They have threads of their own, however many of them there are."""
    hang = threading.Event()

    class Slow(FakePrometheus):
        def custom_query_range(self, *_: Any) -> Any:
            hang.wait(10)
            return []

    async def story() -> None:
        reader = Reader(Slow([]))
        slow = [asyncio.create_task(reader.values("slow", 0, 10, 1)) for _ in range(50)]
        await asyncio.wait_for(reader.raw(IRIS, 100, 130), 5)
        hang.set()
        await asyncio.gather(*slow)

    asyncio.run(story())


@pytest.mark.parametrize(("theirs", "ahead"), [(99.0, -1.0), (100.0, 0.0), (101.5, 0.0), (102.0, 0.0), (145.0, 43.0)])
def test_a_clock_is_ahead_by_at_least_this(theirs: float, ahead: float) -> None:
    """The request is at 100 and its answer at 102: a time between the two may be right."""
    times = iter((100.0, 102.0))
    prometheus = FakePrometheus([{"metric": {}, "value": [theirs, str(theirs)]}])
    assert asyncio.run(Reader(prometheus, lambda: next(times)).ahead()) == ahead
    assert prometheus.queries == [("vector(time())", {})]


@pytest.mark.parametrize("answer", [[], [{"metric": {}, "value": [1, "NaN"]}], [{"metric": {}, "value": [1, "noon"]}]])
def test_an_answer_without_a_time_is_an_error(answer: Any) -> None:
    """The time is asked with a query, whose answer may be anything."""
    with pytest.raises(MetricsLostError, match="does not report its time"):
        asyncio.run(Reader(FakePrometheus(answer)).ahead())
