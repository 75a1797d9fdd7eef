"""What is asked of Prometheus, and that whatever it answers is samples or a sentence that says what is wrong."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import BUCKETS, Selection

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
    "values": lambda reader: reader.values("sum(revenue)", 100, 160, 15),
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


@pytest.mark.parametrize("kind", ["raw", "grid"])
@pytest.mark.parametrize("at", [131.6 + 60, 1.3e11, float("inf")])
def test_samples_of_the_future_are_no_answer(kind: str, at: float) -> None:
    """A proxy that tells milliseconds, say: one would wait for them for thousands of years."""
    answer = [{"metric": LABELS, "values": [[101.5, "7"]]}, {"metric": LABELS, "values": [[99, "7"], [at, "8"]]}]
    with pytest.raises(MetricsLostError, match=r"^Prometheus answered with samples of the future: "):
        asked(kind, answer)


def test_what_is_no_number_is_no_rate_and_no_measurement() -> None:
    """However it is spelt."""
    assert asked("rate", [{"metric": {}, "value": [1, "many"]}])[0] is None
    found, _ = asked("values", [{"metric": {}, "values": [[110, "many"], [120, "NaN"], [130, "7"]]}])
    assert [value if math.isfinite(value) else None for _, value in found] == [None, None, 7]


def test_a_query_must_give_one_series() -> None:
    """Of two, nobody knows which one is meant."""
    two = [{"metric": {"pod": pod}, "values": [[110, "7"]]} for pod in ("a", "b")]
    with pytest.raises(MetricsLostError, match="the query gives 2 series: aggregate them into one, such as by sum"):
        asked("values", two)


def test_a_long_run_is_measured_in_parts() -> None:
    """Prometheus refuses more than 11,000 measurements at once; each moment is asked for once."""
    prometheus = FakePrometheus([{"metric": {}, "values": [[1, "7"]]}])
    found = asyncio.run(Reader(prometheus).values("sum(revenue)", 1000, 26_005, 1))
    spans = [(since.timestamp(), until.timestamp()) for _, since, until, _ in prometheus.asked]
    assert spans == [(1000, 11_000), (11_001, 21_001), (21_002, 26_005)]
    assert found == [(1, 7)] * 3


@pytest.mark.parametrize(("theirs", "ahead"), [(99.0, -1.0), (100.0, 0.0), (101.5, 0.0), (102.0, 0.0), (145.0, 43.0)])
def test_a_clock_is_ahead_by_what_is_certain(theirs: float, ahead: float) -> None:
    """Asked at 100, answered at 102: what lies between may be the way of the answer."""
    times = iter((100.0, 102.0))
    prometheus = FakePrometheus([{"metric": {}, "value": [theirs, str(theirs)]}])
    assert asyncio.run(Reader(prometheus, lambda: next(times)).ahead()) == ahead
    assert prometheus.asked == [("vector(time())", {})]


@pytest.mark.parametrize("answer", [[], [{"metric": {}, "value": [1, "NaN"]}], [{"metric": {}, "value": [1, "noon"]}]])
def test_a_prometheus_without_a_clock_is_none(answer: Any) -> None:
    """It answered something else."""
    with pytest.raises(MetricsLostError, match="does not tell its time"):
        asyncio.run(Reader(FakePrometheus(answer)).ahead())
