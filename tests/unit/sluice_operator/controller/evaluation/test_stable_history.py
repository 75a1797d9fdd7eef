"""What stable did before a run is read in bounded answers, however many pods it has."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from sluice_operator.analysis.baseline import Baseline
from sluice_operator.controller.evaluation import stable_history
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.reader import Reader
from tests.unit.sluice_operator.fake_prometheus import CANARY, STABLE, a_run

HOURS_6, SCRAPE_SECONDS = 6 * 3600.0, 1800.0
INTERVALS = Intervals(scrape=15.0, evaluation=5.0)


@dataclass
class ManyPods:
    """A Prometheus with so many pods of stable, each of which was scraped every half hour, with 100 more requests."""

    names: list[str]
    asked: list[tuple[str, list[str]]] = field(default_factory=list)  # counters of each query, and the pods it gave

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        raise AssertionError(query)

    def custom_query_range(self, query: str, start_time: datetime, end_time: datetime, step: str) -> Any:
        matchers = dict(re.findall(r'(\w+)=~?"([^"]*)"', query))
        pods = [name for name in self.names if re.fullmatch(matchers.get("pod_uid", ".*"), name)]
        self.asked.append((matchers["__name__"], pods))
        span = int(end_time.timestamp() - start_time.timestamp())
        scrapes = range(0, span + 1, int(SCRAPE_SECONDS))
        values = [(start_time.timestamp() + after, str(100 * number)) for number, after in enumerate(scrapes)]
        return [
            {"metric": {"__name__": name, "pod_uid": pod, "revision": STABLE, "code": "200"}, "values": values}
            for name in ("ml_requests_started_total", "ml_requests_total")
            if re.fullmatch(matchers["__name__"], name)
            for pod in pods
        ]


def learned(prometheus: ManyPods) -> Baseline:
    subject = Subject("models", "iris", a_run(), ComparedRevisions(CANARY, STABLE))
    return asyncio.run(stable_history.baseline_of(Reader(prometheus), subject, INTERVALS))


@pytest.mark.parametrize("pods", [1, 8, 9, 40, 400])
def test_no_answer_has_the_past_of_more_than_a_few_pods(pods: int) -> None:
    """A pod of six hours is about a megabyte, and an answer of 32 MB would be refused: so 8 in each query."""
    prometheus = ManyPods([f"{number:04d}" for number in range(pods)])
    past = learned(prometheus)
    wide = [given for counters, given in prometheus.asked if "ml_requests_total" in counters]
    assert max(map(len, wide)) <= stable_history.PODS_PER_QUERY
    assert past.pod_seconds == min(pods, stable_history.MOST_PODS) * HOURS_6
    assert past.requests == 1200 * min(pods, stable_history.MOST_PODS)


def test_the_same_pods_are_read_after_a_restart() -> None:
    """Otherwise the evidence of a run would change with the operator's process."""
    names = [f"{number * 7919 % 997:03d}" for number in range(100)]
    first, second = ManyPods(names), ManyPods(names[::-1])
    learned(first)
    learned(second)
    assert [(counters, set(pods)) for counters, pods in first.asked] == [
        (counters, set(pods)) for counters, pods in second.asked
    ]


def test_few_pods_are_read_in_one_query_and_by_no_name() -> None:
    """As long as one answer can have all of them, nothing is left out, whatever their names."""
    prometheus = ManyPods(['a"b', "c d"])
    assert learned(prometheus).pod_seconds == 2 * HOURS_6
    assert len([counters for counters, _ in prometheus.asked if "ml_requests_total" in counters]) == 1


def test_a_name_that_is_no_uid_never_becomes_part_of_a_query() -> None:
    """Prometheus would read it as a part of the selector, perhaps of another namespace."""
    prometheus = ManyPods([f"{number:03d}" for number in range(20)] + ['0"} or {namespace="other'])
    learned(prometheus)
    assert all("other" not in pod for counters, given in prometheus.asked[3:] for pod in given)


def test_latencies_of_the_last_hour_are_those_of_some_pods() -> None:
    """A pod's whole histogram of an hour is a fifth of a megabyte."""
    prometheus = ManyPods([f"{number:04d}" for number in range(400)])
    learned(prometheus)
    [histogram] = [given for counters, given in prometheus.asked if counters == "ml_request_duration_seconds_bucket"]
    assert len(histogram) == stable_history.MOST_PODS
