"""Objectives that are queries of the user's own: measured since the first traffic, judged by a plain rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from sluice_operator.analysis.queries import judged, rendered
from sluice_operator.api.status import METRICS_UNAVAILABLE, Result
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.fake_prometheus import CANARY, START, FakePrometheus, a_run, look, serving, trials

REVENUE: dict[str, Any] = {
    "name": "revenue",
    "query": {"expr": "sum(revenue)", "min": "10", "max": "20", "interval": "10s", "failureLimit": 1},
}
OBJECTIVE = a_spec(objectives=[REVENUE]).objectives[0]


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
def test_more_measurements_beyond_the_limit_than_tolerated_are_a_fail(
    values: Sequence[float], result: Result, needs: str
) -> None:
    """What is no number is no measurement, and the last one decides a Pass."""
    found = judged(OBJECTIVE, [(100.0 + k, value) for k, value in enumerate(values)], since=50)
    assert (found.result, found.needs) == (result, needs)


def test_a_pass_needs_a_measurement_of_this_step() -> None:
    """What was measured before its weight was live says nothing of it."""
    assert judged(OBJECTIVE, [(100.0, 15.0)], since=100).result is Result.UNDECIDED
    assert judged(OBJECTIVE, [(100.0, 15.0)], since=99).result is Result.PASS


def test_the_numbers_are_told() -> None:
    """The last one, the limit, and how many were beyond it."""
    found = judged(OBJECTIVE, [(1.0, 9.0), (2.0, 21.0), (3.0, 8.25)], since=0)
    assert (found.canary, found.limit, found.requests, found.evidence) == (
        "8.25",
        "at least 10, at most 20",
        3,
        "3 of 3 measurements outside the limit, 1 tolerated (a plain rule, without an error rate)",
    )


def test_a_query_is_about_one_revision() -> None:
    """With or without blanks in the braces; other braces are PromQL's own."""
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
    """A Prometheus that serves a healthy canary, and answers the user's query as it is told."""

    def __init__(self, answer: Any) -> None:
        self.known: FakePrometheus = serving()
        self.answer = answer
        self.asked: list[tuple[str, float, float, str]] = []

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        return self.known.custom_query(query, params)

    def custom_query_range(self, query: str, start_time: Any, end_time: Any, step: str) -> Any:
        if not query.startswith("sum(revenue"):
            return self.known.custom_query_range(query, start_time, end_time, step)
        self.asked.append((query, start_time.timestamp() - START, end_time.timestamp() - START, step))
        return self.answer


def series(*values: float) -> dict[str, Any]:
    return {"metric": {}, "values": [[START + 20 + 10 * k, str(value)] for k, value in enumerate(values)]}


def measured(answer: Any, **changes: Any) -> Any:
    raw = {**REVENUE, **changes}
    prometheus = Measuring(answer)
    run = a_run(objectives=a_spec(objectives=[raw]).objectives)
    return look(trials(prometheus), 100, run), prometheus


def test_it_is_measured_from_the_first_traffic_on() -> None:
    """At its own interval, so that a restart knows what was measured before."""
    verdict, prometheus = measured([series(15, 15)])
    assert verdict.result is Result.PASS
    assert prometheus.asked == [("sum(revenue)", 10, 100, "10s")]


def test_a_query_fails_a_run() -> None:
    """With its numbers."""
    verdict, _ = measured([series(15, 9, 9)])
    assert (verdict.result, verdict.reason, verdict.message) == (
        Result.FAIL,
        "QueryOutsideLimit",
        "revenue 9: 2 of 3 measurements outside the limit, 1 tolerated (a plain rule, without an error rate)"
        " (at least 10, at most 20)",
    )


def test_a_dry_run_is_only_shown() -> None:
    """It neither fails nor is it needed."""
    verdict, _ = measured([series(15, 9, 9)], dryRun=True)
    assert (verdict.result, verdict.objectives[0].result) == (Result.PASS, Result.FAIL)
    assert measured([], dryRun=True)[0].result is Result.PASS


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ([series(15), series(16)], "the query gives 2 series: aggregate them into one, such as by sum(...)"),
        ("a string", "Prometheus answered with something else than series: "),
        ([], "needs a measurement inside the limit"),
    ],
)
def test_a_query_that_gives_no_number_is_undecided_and_told(answer: Any, trouble: str) -> None:
    """The other objectives are judged all the same."""
    verdict, _ = measured(answer)
    assert (verdict.result, verdict.reason != METRICS_UNAVAILABLE) == (Result.UNDECIDED, True)
    assert verdict.message.startswith(f"revenue is undecided: nothing measured, at least 10, at most 20; {trouble}")


def test_each_measurement_is_taken_once() -> None:
    """And again by an operator that does not know it."""
    prometheus = Measuring([series(15)])
    run, by = a_run(objectives=a_spec(objectives=[REVENUE]).objectives), trials(prometheus)
    for now in (105, 108, 131):
        look(by, now, run)
    look(trials(prometheus), 131, run)
    assert [asked[1:] for asked in prometheus.asked] == [(10, 100, "10s"), (110, 130, "10s"), (10, 130, "10s")]


def test_the_revision_on_trial_is_measured() -> None:
    """Also where the query is about both."""
    raw = {**REVENUE, "query": {**REVENUE["query"], "expr": 'sum(revenue{revision="{{ revision }}"})'}}
    prometheus = Measuring([series(15)])
    look(trials(prometheus), 100, a_run(objectives=a_spec(objectives=[raw]).objectives))
    assert prometheus.asked[0][0] == f'sum(revenue{{revision="{CANARY}"}})'
