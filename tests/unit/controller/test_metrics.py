"""The reader of Prometheus: however often it asks, it counts the same; and it says why there is nothing to judge on."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_api_client.exceptions import PrometheusApiClientException

from sluice_operator.evidence import Evidence, Tally
from sluice_operator.metrics import Lost, Reader
from sluice_operator.status import Run
from tests.unit.controller.build import revision, stepping

INTERVAL = 10.0
CANARY, STABLE = revision(2), revision(1)
START = 1_800_000_000.0


class FakePrometheus:
    """Holds raw samples, and answers a range selector with those in its range, as Prometheus does."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self.series: dict[tuple[tuple[str, str], ...], list[tuple[float, str]]] = {}
        self.queries: list[str] = []
        self.trouble: Exception | None = None

    def scrape(self, at: float, value: object, name: str = "ml_requests_total", **labels: str) -> None:
        defaults = {"__name__": name, "pod_uid": "a", "revision": CANARY.revision}
        if name == "ml_requests_total":
            defaults["code"] = "200"
        self.series.setdefault(tuple({**defaults, **labels}.items()), []).append((at, str(value)))

    def custom_query(self, query: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        if self.trouble:
            raise self.trouble
        self.queries.append(query)
        found = re.search(r"\[(\d+)ms\]$", query)
        assert found
        low, high = params["time"] - int(found[1]) / 1000, params["time"]
        inside = {labels: [one for one in all_ if low < one[0] <= high] for labels, all_ in self.series.items()}
        return [{"metric": dict(labels), "values": values} for labels, values in inside.items() if values]


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


def a_run(traffic: float = 0, proven: float | None = 5, step: float | None = 5) -> Run:
    run = stepping().status.run
    assert run is not None
    return replace(
        run,
        traffic_started_at=moment(traffic),
        proven_at=None if proven is None else moment(proven),
        step_started_at=None if step is None else moment(step),
    )


def look(reader: Reader, now: float, run: Run | None = None) -> Evidence | Lost:
    return asyncio.run(reader.look("models", "iris", run or a_run(), CANARY, STABLE, moment(now)))


def scraped(values: list[int], prometheus: FakePrometheus | None = None) -> FakePrometheus:
    """A canary pod scraped every interval, from one interval before the run on."""
    prometheus = prometheus or FakePrometheus()
    for i, value in enumerate(values):
        prometheus.scrape(START + (i - 1) * INTERVAL, value)
    return prometheus


def test_evidence_against_counts_from_earlier_than_evidence_in_favour() -> None:
    """The first write that could let traffic in, and the moment that its weight was seen live."""
    reader = Reader(scraped([0, 1, 4, 9, 16]), INTERVAL)
    run = a_run(traffic=0, proven=10, step=20)
    assert look(reader, 35, run) == Evidence(
        against=Tally(finished=15), favour=Tally(finished=12), step=Tally(finished=7), canary_widest=12
    )


def test_nothing_is_in_favour_before_the_weight_was_seen_live() -> None:
    """And nothing of a step before its own weight was."""
    reader = Reader(scraped([0, 1, 4, 9, 16]), INTERVAL)
    assert look(reader, 35, a_run(proven=None, step=None)) == Evidence(Tally(finished=15), Tally(), Tally())
    assert look(reader, 35, a_run(proven=10, step=None)) == Evidence(Tally(finished=15), Tally(finished=12), Tally())


def test_stable_is_counted_in_a_narrower_window_than_the_canary() -> None:
    """A scrape that came late makes no arm look silent."""
    prometheus = scraped([0, 10, 20, 30, 40])
    for i, value in enumerate([0, 100, 200, 300, 400]):
        prometheus.scrape(START + (i - 1) * INTERVAL + 1, value, revision=STABLE.revision, pod_uid="s")
    seen = look(Reader(prometheus, INTERVAL), 35, a_run(step=5))
    assert isinstance(seen, Evidence)
    assert (seen.canary_widest, seen.stable_step) == (40, 100)


def test_requests_are_overdue_when_they_began_long_ago() -> None:
    """What began within the last half minute may still be answered."""
    prometheus = scraped([0] * 8)
    for i, value in enumerate([0, 0, 30, 30, 30, 80, 80, 80]):
        prometheus.scrape(START + (i - 1) * INTERVAL, value, name="ml_requests_started_total")
    seen = look(Reader(prometheus, INTERVAL), 65)
    assert isinstance(seen, Evidence)
    assert (seen.against.started, seen.overdue) == (80, 30)


def test_stable_counts_against_the_canary_only_when_both_are_scraped() -> None:
    """A first scrape that was missed is missing data, not a silent arm."""
    prometheus = FakePrometheus()
    for i in range(1, 8):
        prometheus.scrape(START + (i - 1) * INTERVAL, 100 * i, revision=STABLE.revision, pod_uid="s")
    prometheus.scrape(START + 50, 9)
    seen = look(Reader(prometheus, INTERVAL), 65, a_run(step=5))
    assert isinstance(seen, Evidence)
    assert (seen.canary_widest, seen.stable_step) == (0, 0)


def test_another_label_makes_no_other_counter() -> None:
    """Relabelling in mid-run, or a second job, does not count a pod's life twice."""
    prometheus = scraped([5, 6, 7])
    for i, value in enumerate([5, 6, 7, 8, 9]):
        prometheus.scrape(START + (i - 1) * INTERVAL, value, node="node1")
    seen = look(Reader(prometheus, INTERVAL), 35, a_run(step=None))
    assert isinstance(seen, Evidence)
    assert seen.against.finished == 3


@settings(max_examples=50, deadline=None)
@given(
    growth=st.lists(st.integers(0, 9), min_size=30, max_size=30),
    missed=st.sets(st.integers(3, 28), max_size=6),
    looks=st.lists(st.integers(1, 289), max_size=12),
)
def test_many_small_looks_count_what_one_big_one_does(growth: list[int], missed: set[int], looks: list[int]) -> None:
    """A reader that asked often, one that asks once, and one that was started in between agree."""
    prometheus, total = FakePrometheus(), 0
    for i, grown in enumerate(growth):
        total += grown
        if i not in missed:
            prometheus.scrape(START + (i - 1) * INTERVAL, total)
            prometheus.scrape(START + (i - 1) * INTERVAL, total // 3, code="500")
    often = Reader(prometheus, INTERVAL)
    for now in sorted(looks):
        look(often, now)
    assert look(often, 290) == look(Reader(prometheus, INTERVAL), 290)


def test_a_look_asks_only_for_what_is_new() -> None:
    """In its fourth hour as in its first minute, with an overlap for samples that came late."""
    prometheus = scraped(list(range(200)))
    reader = Reader(prometheus, INTERVAL)
    for now in (5, 1000, 1005):
        look(reader, now)
    assert [query.rsplit("[", 1)[1] for query in prometheus.queries] == ["55000ms]", "1015000ms]", "25000ms]"]


def test_a_sample_that_came_late_is_not_lost() -> None:
    """It is in the overlap of the next look."""
    prometheus = scraped([0, 1])
    reader = Reader(prometheus, INTERVAL)
    look(reader, 12)
    prometheus.scrape(START + 10, 7)
    assert look(reader, 22) == look(Reader(prometheus, INTERVAL), 22)


def test_a_look_that_failed_is_made_up_for() -> None:
    """What was not answered is asked for again."""
    prometheus = scraped(list(range(0, 60, 2)))
    reader = Reader(prometheus, INTERVAL)
    look(reader, 30)
    prometheus.trouble = requests.ConnectionError("refused")
    for now in (100, 200):
        assert look(reader, now) == Lost("Prometheus gave no answer: refused")
    prometheus.trouble = None
    assert look(reader, 280) == look(Reader(prometheus, INTERVAL), 280)


@pytest.mark.parametrize(
    "trouble",
    [
        requests.ConnectionError("refused"),
        requests.Timeout("timed out"),
        PrometheusApiClientException("HTTP Status Code 503"),
        ValueError("not JSON"),
        KeyError("data"),
    ],
)
def test_no_answer_is_nothing_to_judge_on(trouble: Exception) -> None:
    """Whatever went wrong: it is told, and it is no crash."""
    prometheus = FakePrometheus()
    prometheus.trouble = trouble
    assert look(Reader(prometheus, INTERVAL), 30) == Lost(f"Prometheus gave no answer: {trouble}")


def test_a_canary_that_is_not_scraped_is_nothing_to_judge_on() -> None:
    """No series at all: the answer says where to look."""
    assert look(Reader(FakePrometheus(), INTERVAL), 30) == Lost(
        f"Prometheus has no series of revision {CANARY.revision}: are its pods scraped?"
    )


def test_old_samples_are_nothing_to_judge_on() -> None:
    """A Prometheus that stopped scraping answers as if nothing had happened."""
    reader = Reader(scraped([0, 1, 2]), INTERVAL)
    assert isinstance(look(reader, 40), Evidence)
    assert look(reader, 41) == Lost(f"the newest sample of revision {CANARY.revision} is 31 s old")


def test_series_without_pod_are_nothing_to_judge_on() -> None:
    """Without that label a restart cannot be told from a loss."""
    prometheus = FakePrometheus()
    prometheus.series[("__name__", "ml_requests_total"), ("revision", CANARY.revision)] = [(START, "1")]
    seen = look(Reader(prometheus, INTERVAL), 5)
    assert seen == Lost("the model servers' series have no label pod_uid: check the relabelling of the scrape job")


def test_what_is_no_number_is_a_missed_scrape() -> None:
    """NaN counts nothing, and breaks nothing."""
    prometheus = scraped([0, 1, 4])
    prometheus.scrape(START + 20, "NaN")
    prometheus.scrape(START + 30, 9)
    assert look(Reader(prometheus, INTERVAL), 35) == Evidence(
        Tally(finished=8), Tally(finished=8), Tally(finished=8), canary_widest=9
    )


def test_only_nan_is_nothing_to_judge_on() -> None:
    """It is the same as no sample."""
    prometheus = FakePrometheus()
    prometheus.scrape(START, "NaN")
    assert isinstance(look(Reader(prometheus, INTERVAL), 31), Lost)


def test_a_pod_that_was_replaced_does_not_end_the_run() -> None:
    """What it counted stays counted, its successor goes on."""
    prometheus = scraped([0, 5, 9])
    for i, value in enumerate([0, 3, 6, 9, 12, 15]):
        prometheus.scrape(START + (2 + i) * INTERVAL, value, pod_uid="b")
    seen = look(Reader(prometheus, INTERVAL), 72)
    assert isinstance(seen, Evidence)
    assert seen.favour == Tally(finished=4 + 15)


def test_the_query_names_the_object_and_both_revisions_and_needs_no_other_bounds() -> None:
    """Gateway requests only; of a histogram, the bound that is judged and the total."""
    prometheus = scraped([0, 1])
    look(Reader(prometheus, INTERVAL), 5)
    assert prometheus.queries == [
        '{__name__=~"ml_requests_started_total|ml_requests_total|ml_request_duration_seconds_bucket'
        '|ml_feedback_total|ml_feedback_correct_total",namespace="models",model_deployment="iris",'
        f'revision=~"{CANARY.revision}|{STABLE.revision}",entry="gateway",le=~"|[+]Inf|0[.]2"}}[55000ms]'
    ]


def test_a_new_run_knows_nothing_of_the_old_one() -> None:
    """Nor does an object that was deleted and made again."""
    prometheus = scraped(list(range(30)))
    reader = Reader(prometheus, INTERVAL)
    look(reader, 100)
    later = a_run(traffic=150, proven=150, step=150)
    assert look(reader, 200, later) == look(Reader(prometheus, INTERVAL), 200, later)
    reader.forget("models", "iris")
    assert look(reader, 200, later) == look(Reader(prometheus, INTERVAL), 200, later)


def test_pods_that_prometheus_has_not_found_yet_are_not_lost() -> None:
    """Discovery takes seconds; after that, no series is a hold that a person is told of."""
    reader = Reader(FakePrometheus(), INTERVAL)
    assert look(reader, 29) == Evidence(Tally(), Tally(), Tally())
    assert isinstance(look(reader, 31), Lost)
