"""Objectives that are queries of the user's own: measured from the first traffic on, judged by a plain rule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from sluice_operator.analysis.queries import Measured, judged, rendered
from sluice_operator.api.status import METRICS_UNAVAILABLE, Result
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.fake_prometheus import (
    CANARY,
    START,
    FakePrometheus,
    a_run,
    evaluator_for,
    serving,
    verdict_at,
)

REVENUE: dict[str, Any] = {
    "name": "revenue",
    "query": {"expr": "sum(revenue)", "min": "10", "max": "20", "interval": "10s", "failureLimit": 1},
}
CONFINED = 'sum({__name__="revenue", namespace="models"})'
OBJECTIVE = a_spec(objectives=[REVENUE]).objectives[0]


def measured_as(values: Iterable[tuple[float, float]]) -> Measured:
    """In parts, as they come."""
    assert OBJECTIVE.query is not None
    found = Measured()
    for value in values:
        found = found.plus(OBJECTIVE.query, [value])
    return found


@pytest.mark.parametrize(
    ("values", "result", "needs"),
    [
        ([], Result.UNDECIDED, "needs a measurement inside the limit"),
        ([15], Result.PASS, ""),
        ([10, 20], Result.PASS, ""),
        ([15, 9], Result.UNDECIDED, "needs a measurement inside the limit"),
        ([9, 15], Result.PASS, ""),
        ([9, 15, 21, 15], Result.FAIL, ""),
        ([math.nan, math.inf, -math.inf], Result.UNDECIDED, "needs a measurement inside the limit"),
        ([9, math.nan, math.nan, 15, math.nan], Result.PASS, ""),
    ],
)
def test_too_many_measurements_outside_the_limit_are_a_fail(
    values: Sequence[float], result: Result, needs: str
) -> None:
    """A value that is not a number is left out, and the last measurement decides a Pass."""
    verdict = judged(OBJECTIVE, measured_as((100.0 + at, value) for at, value in enumerate(values)), since=50)
    assert (verdict.result, verdict.needs) == (result, needs)


def test_a_pass_needs_a_measurement_of_this_step() -> None:
    """A measurement from before its weight was live does not count."""
    assert judged(OBJECTIVE, measured_as([(100.0, 15.0)]), since=100).result is Result.UNDECIDED
    assert judged(OBJECTIVE, measured_as([(100.0, 15.0)]), since=99).result is Result.PASS


def test_a_query_is_shown_with_its_numbers() -> None:
    """The last measurement, the limit, and how many measurements were outside it."""
    verdict = judged(OBJECTIVE, measured_as([(1.0, 9.0), (2.0, 21.0), (3.0, 8.25)]), since=0)
    assert (verdict.canary, verdict.limit, verdict.requests, verdict.evidence) == (
        "8.25",
        "at least 10, at most 20",
        3,
        "3 of 3 measurements outside the limit, 1 tolerated (a plain rule, without an error rate)",
    )


def test_names_in_braces_are_replaced() -> None:
    """With or without spaces in the braces; other braces belong to PromQL."""
    query = (
        a_spec(
            objectives=[
                {
                    **REVENUE,
                    "query": {**REVENUE["query"], "expr": 'f{a="{{ revision }}",b="{{name}}",c="{{ namespace }}"}'},
                }
            ]
        )
        .objectives[0]
        .query
    )
    assert query is not None
    assert rendered(query, "models", "iris", "abc") == 'f{a="abc",b="iris",c="models"}'


class Measuring:
    """A Prometheus that has a healthy canary, and gives `answer` to the user's query."""

    def __init__(self, answer: Any) -> None:
        self.served: FakePrometheus = serving()
        self.answer = answer
        self.measured: list[tuple[str, float, float, str]] = []

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        return self.served.custom_query(query, params)

    def custom_query_range(self, query: str, start_time: Any, end_time: Any, step: str) -> Any:
        if not query.startswith('sum({__name__="revenue"'):
            return self.served.custom_query_range(query, start_time, end_time, step)
        self.measured.append((query, start_time.timestamp() - START, end_time.timestamp() - START, step))
        return self.answer


def series(*values: float) -> dict[str, Any]:
    return {"metric": {}, "values": [[START + 20 + 10 * number, str(value)] for number, value in enumerate(values)]}


def measured(answer: Any, **changes: Any) -> Any:
    raw = {**REVENUE, **changes}
    prometheus = Measuring(answer)
    run = a_run(objectives=a_spec(objectives=[raw]).objectives)
    return verdict_at(evaluator_for(prometheus), 100, run), prometheus


def test_a_query_is_measured_from_the_first_traffic_on() -> None:
    """At its own interval. So a restarted operator takes the same measurements again."""
    verdict, prometheus = measured([series(15, 15)])
    assert verdict.result is Result.PASS
    assert prometheus.measured == [(CONFINED, 10, 100, "10s")]


def test_a_query_fails_a_run() -> None:
    """The message has its numbers."""
    verdict, _ = measured([series(15, 9, 9)])
    assert (verdict.result, verdict.reason, verdict.message) == (
        Result.FAIL,
        "QueryOutsideLimit",
        "revenue 9: 2 of 3 measurements outside the limit, 1 tolerated (a plain rule, without an error rate)"
        " (at least 10, at most 20)",
    )


def test_a_dry_run_of_a_query_is_shown_and_decides_nothing() -> None:
    """It never fails a run, and no step needs it."""
    verdict, _ = measured([series(15, 9, 9)], dryRun=True)
    assert (verdict.result, verdict.objectives[-1].result) == (Result.PASS, Result.FAIL)
    assert measured([], dryRun=True)[0].result is Result.PASS


def test_a_query_that_holds_pauses_the_run() -> None:
    """With the numbers of its measurements."""
    verdict, _ = measured([series(15, 9, 9)], onFail="Hold")
    assert (verdict.result, verdict.reason, verdict.holding) == (
        Result.UNDECIDED,
        "QueryOutsideLimit",
        ("revenue",),
    )


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ([series(15), series(16)], "the query gives 2 series: aggregate them into one, such as by sum(...)"),
        ("a string", "Prometheus answered with something else than series: "),
        ([], "needs a measurement inside the limit"),
    ],
)
def test_a_query_without_a_number_is_undecided_and_says_why(answer: Any, trouble: str) -> None:
    """The other objectives are judged as usual."""
    verdict, _ = measured(answer)
    assert (verdict.result, verdict.reason != METRICS_UNAVAILABLE) == (Result.UNDECIDED, True)
    assert verdict.message.startswith(f"revenue is undecided: nothing measured, at least 10, at most 20; {trouble}")


def test_each_measurement_is_taken_once() -> None:
    """A restarted operator takes all of them again."""
    prometheus = Measuring([series(15)])
    run, evaluator = a_run(objectives=a_spec(objectives=[REVENUE]).objectives), evaluator_for(prometheus)
    for now in (105, 108, 131):
        verdict_at(evaluator, now, run)
    verdict_at(evaluator_for(prometheus), 131, run)
    assert [measurement[1:] for measurement in prometheus.measured] == [
        (10, 100, "10s"),
        (110, 130, "10s"),
        (10, 130, "10s"),
    ]


def test_the_canary_is_measured() -> None:
    """Its revision is filled into the query."""
    raw = {**REVENUE, "query": {**REVENUE["query"], "expr": 'sum(revenue{revision="{{ revision }}"})'}}
    prometheus = Measuring([series(15)])
    verdict_at(evaluator_for(prometheus), 100, a_run(objectives=a_spec(objectives=[raw]).objectives))
    assert prometheus.measured[0][0] == f'sum({{__name__="revenue", revision="{CANARY}", namespace="models"}})'
