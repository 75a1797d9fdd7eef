"""Runs judged on what Prometheus knows: the same however often it is asked, and a sentence where it knows nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_api_client.exceptions import PrometheusApiClientException

from sluice_operator.metrics import Reader
from sluice_operator.status import METRICS_UNAVAILABLE, Phase, Result, Run, Status, Verdict
from sluice_operator.ticks import Arms
from sluice_operator.trials import Subject, Timing, Trials
from tests.unit.controller.build import revision, stepping

INTERVAL = 10.0
CANARY, STABLE = revision(2).revision, revision(1).revision
START = 1_800_000_000.0
STATUS = stepping().status
LOOKBACK = 300.0  # seconds after which Prometheus does not take a sample for the newest any more
FOUND_NOTHING = f"Prometheus has no series of revision {CANARY}: are its pods scraped?"


class FakePrometheus:
    """Holds raw samples, and answers the three kinds of queries that are asked, as Prometheus does."""

    def __init__(self) -> None:
        self.series: dict[tuple[tuple[str, str], ...], list[tuple[float, str]]] = {}
        self.queries: list[str] = []
        self.trouble: Any = None

    def scrape(self, at: float, value: object, name: str = "ml_requests_total", **labels: str) -> None:
        defaults = {"__name__": name, "namespace": "models", "model_deployment": "iris", "entry": "gateway"}
        if name == "ml_requests_total":
            defaults["code"] = "200"
        owned = {**defaults, "pod_uid": "a", "revision": CANARY, **labels}
        self.series.setdefault(tuple(owned.items()), []).append((START + at, str(value)))

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        span = re.search(r"\[(\d+)ms\]$", query)
        low, high = params["time"] - (int(span[1]) / 1000 if span else LOOKBACK), params["time"]
        found = [
            (labels, [one for one in samples if low < one[0] <= high]) for labels, samples in self._selected(query)
        ]
        if span:
            return [{"metric": labels, "values": samples} for labels, samples in found if samples]
        return [{"metric": labels, "value": samples[-1]} for labels, samples in found if samples]

    def custom_query_range(self, query: str, start_time: datetime, end_time: datetime, step: str) -> Any:
        first, last, every = start_time.timestamp(), end_time.timestamp(), float(step.removesuffix("s"))
        moments = [first + every * k for k in range(int((last - first) / every) + 1)]
        return [
            {"metric": labels, "values": on_grid}
            for labels, samples in self._selected(query)
            if (on_grid := [(at, value) for at in moments if (value := _newest(samples, at)) is not None])
        ]

    def _selected(self, query: str) -> Any:
        self.queries.append(query)
        if isinstance(self.trouble, Exception):
            raise self.trouble
        matchers = re.findall(r'(\w+)=~?"([^"]*)"', query)
        for labels, samples in self.series.items():
            if all(re.fullmatch(pattern, dict(labels).get(label, "")) for label, pattern in matchers):
                yield dict(labels), samples


def _newest(samples: Sequence[tuple[float, str]], at: float) -> str | None:
    return next((value for when, value in reversed(samples) if at - LOOKBACK < when <= at), None)


@dataclass
class Answering:
    """A Prometheus that answers everything alike."""

    answer: Any

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        return self.answer

    def custom_query_range(self, query: str, start_time: datetime, end_time: datetime, step: str) -> Any:
        return self.answer


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


def a_run(began: float = 0, **changes: Any) -> Run:
    """Whose first weight was seen live 5 s after its first traffic."""
    assert STATUS.run is not None
    live = moment(began + 5)
    dates = {"started_at": moment(began), "traffic_started_at": moment(began), "proven_at": live}
    return replace(STATUS.run, **{**dates, "step_started_at": live, **changes})


def trials(prometheus: Any, interval: float = INTERVAL) -> Trials:
    return Trials(Reader(prometheus), Timing(scrape=interval, look=5))


def look(by: Trials, now: float, run: Run | None = None, current: Status = STATUS, crashes: int = 0) -> Verdict:
    subject = Subject("models", "iris", run or a_run(), Arms(CANARY, STABLE), replicas=2)
    return asyncio.run(by.verdict(subject, current, crashes, moment(now)))


def lost(message: str) -> Verdict:
    return Verdict(Result.UNDECIDED, METRICS_UNAVAILABLE, message)


def pod(prometheus: FakePrometheus, values: Iterable[int], since: float = -30, bad: float = 0, **labels: str) -> None:
    """A pod that has finished these requests at each scrape, a part of them with errors, and the rest in time."""
    for k, value in enumerate(values):
        at, errors = since + k * INTERVAL, int(bad * value)
        prometheus.scrape(at, value - errors, **labels)
        prometheus.scrape(at, errors, **labels, code="500")
        prometheus.scrape(at, value, "ml_requests_started_total", **labels)
        prometheus.scrape(at, value, "ml_request_duration_seconds_bucket", **labels, le="0.2")
        prometheus.scrape(at, value, "ml_request_duration_seconds_bucket", **labels, le="+Inf")


def serving(bad: float = 0, scrapes: int = 40) -> FakePrometheus:
    """One pod of each arm, with a tenth of the requests and with the others, scraped from before the run on."""
    prometheus = FakePrometheus()
    pod(prometheus, [20 * k for k in range(scrapes)], bad=bad)
    pod(prometheus, [180 * k for k in range(scrapes)], since=-29, pod_uid="s", revision=STABLE)
    return prometheus


def test_a_good_canary_passes_its_step() -> None:
    """With the numbers of what was counted since its first traffic."""
    verdict = look(trials(serving()), 305)
    assert (verdict.result, verdict.reason) == (Result.PASS, "Passed")
    assert [(one.name, one.requests, one.canary, one.stable) for one in verdict.objectives] == [
        ("errors", 600, "0.00%", "0.00%"),
        ("p95", 600, "0.00%", "0.00%"),
        ("accuracy", 0, "", ""),
    ]


def test_a_bad_canary_fails() -> None:
    """In any step, with the objective that it breaks."""
    verdict = look(trials(serving(bad=0.5)), 155)
    assert (verdict.result, verdict.reason) == (Result.FAIL, "ErrorRateAboveLimit")
    assert verdict.objectives[0].canary == "50.00%"


def test_a_silent_canary_fails() -> None:
    """It is scraped, it is sent its share, and it finishes nothing."""
    prometheus = FakePrometheus()
    pod(prometheus, [7] * 40)
    pod(prometheus, [180 * k for k in range(40)], since=-29, pod_uid="s", revision=STABLE)
    verdict = look(trials(prometheus), 155)
    assert (verdict.result, verdict.reason) == (Result.FAIL, "RequestsMissing")


def test_a_canary_that_was_not_scraped_for_a_while_is_not_silent() -> None:
    """Not while it is away, and not when it is back, whatever the moment of the look."""
    prometheus, steady = FakePrometheus(), serving()
    prometheus.series = {
        labels: [one for one in samples if dict(labels)["revision"] == STABLE or not 40 < one[0] - START < 130]
        for labels, samples in steady.series.items()
    }
    often = trials(prometheus)
    reasons = {look(often, now).reason for now in range(1, 300)}
    assert reasons == {"Collecting", METRICS_UNAVAILABLE, "Passed"}


def test_the_first_seconds_of_a_step_are_no_silence() -> None:
    """Counts that reach back to before its weight was live are those of the weight before."""
    prometheus = FakePrometheus()
    pod(prometheus, [max(0, 20 * (k - 11)) * 9 for k in range(40)])
    pod(prometheus, [180 * k for k in range(40)], since=-21, pod_uid="s", revision=STABLE)
    raised = a_run(step=1, step_started_at=moment(79.5))
    often = trials(prometheus)
    assert {look(often, now, raised).result for now in range(80, 200)} <= {Result.UNDECIDED, Result.PASS}


@settings(max_examples=10, deadline=None)
@given(
    growth=st.lists(st.integers(0, 40), min_size=34, max_size=34),
    missed=st.sets(st.integers(0, 33), max_size=6),
    restarts=st.sets(st.integers(5, 30), max_size=2),
    looks=st.lists(st.integers(1, 289), max_size=12, unique=True),
    data=st.data(),
)
def test_many_looks_know_what_one_does(
    growth: list[int], missed: set[int], restarts: set[int], looks: list[int], data: st.DataObject
) -> None:
    """An operator that looked often, one that looks once, and one that was restarted in between: the same numbers."""
    prometheus, value = FakePrometheus(), 0
    for k, grown in enumerate(growth):
        value = grown if k in restarts else value + grown
        if k not in missed:
            pod(prometheus, [value], since=10 * k - 30, bad=0.3)
        pod(prometheus, [200 * k], since=10 * k - 27, pod_uid="s", revision=STABLE)
    restarted = data.draw(st.sets(st.sampled_from(looks))) if looks else set()
    often = trials(prometheus)
    for now in sorted(looks):
        often = trials(prometheus) if now in restarted else often
        look(often, now)
    assert look(often, 300) == look(trials(prometheus), 300)


@pytest.mark.parametrize("interval", [2, 15, 60])
def test_a_run_is_judged_at_any_scrape_interval(interval: int) -> None:
    """Ticks are as long as a scrape, or as a look where that is longer."""
    prometheus = FakePrometheus()
    for at in range(-3 * interval, 600, interval):
        prometheus.scrape(at, at + 1000)
        prometheus.scrape(at + interval / 2, 9 * at + 9000, pod_uid="s", revision=STABLE)
    often, once = trials(prometheus, interval), trials(prometheus, interval)
    for now in range(0, 600, 17):
        look(often, now)
    verdict = look(often, 600)
    assert verdict == look(once, 600)
    assert verdict.objectives[0].requests in range(480, 600)


def test_what_is_asked_is_what_is_new() -> None:
    """Once the record before the run; then raw samples of the run, with an overlap for those that came late."""
    prometheus = serving()
    by = trials(prometheus)
    for now in (5, 100, 105):
        look(by, now)
    counters = (
        "ml_requests_started_total|ml_requests_total|ml_feedback_total|ml_feedback_correct_total"
        "|ml_request_duration_seconds_bucket"
    )
    owner = 'namespace="models",model_deployment="iris"'
    both = f'{{__name__=~"{counters}",{owner},revision=~"{CANARY}|{STABLE}",entry="gateway",le=~"|[+]Inf|0[.]2"}}'
    assert prometheus.queries == [
        f'{{__name__=~"ml_request_duration_seconds_bucket",{owner},revision=~"{STABLE}",entry="gateway"}}',
        both.replace(f"{CANARY}|", ""),
        f"{both}[35000ms]",
        f"{both}[115000ms]",
        f"{both}[25000ms]",
    ]


def test_latencies_are_compared_where_stable_s_record_says() -> None:
    """At bounds that a fair share of its requests exceeds, beside the objective's own."""
    prometheus = FakePrometheus()
    for bound, within in (("0.05", 900), ("0.1", 990), ("0.2", 1000), ("+Inf", 1000)):
        prometheus.scrape(-5, within, "ml_request_duration_seconds_bucket", pod_uid="r", revision=STABLE, le=bound)
    look(trials(prometheus), 5)
    assert prometheus.queries[-1].endswith(',le=~"|[+]Inf|0[.]05|0[.]1|0[.]2"}[35000ms]')


def test_a_record_of_bursts_makes_a_verdict_slower() -> None:
    """What stable does every few minutes is no reason to blame the canary."""
    calm, bursting = serving(), serving()
    for k in range(700):
        for prometheus, errors in ((calm, k), (bursting, k + 100 * sum(one % 20 < 3 for one in range(k)))):
            labels = {"pod_uid": "past", "revision": STABLE}
            prometheus.scrape(15 * k - 10_600, 200 * k, **labels)
            prometheus.scrape(15 * k - 10_600, errors, **labels, code="500")
    assert against(look(trials(bursting), 155)) != against(look(trials(calm), 155))


def against(verdict: Verdict) -> str:
    return verdict.objectives[0].evidence


@pytest.mark.parametrize(
    "trouble",
    [
        requests.ConnectionError("refused"),
        requests.Timeout("timed out"),
        requests.exceptions.ChunkedEncodingError("half a body"),
        PrometheusApiClientException("HTTP Status Code 422"),
        PrometheusApiClientException("HTTP Status Code 500"),
        ValueError("not JSON"),
        KeyError("data"),
    ],
)
def test_no_answer_is_nothing_to_judge_on(trouble: Exception) -> None:
    """Whatever went wrong: it is told, and afterwards nothing is missing."""
    prometheus = serving()
    by = trials(prometheus)
    look(by, 30)
    prometheus.trouble = trouble
    for now in (100, 200):
        assert look(by, now) == lost(f"Prometheus gave no answer: {trouble}")
    prometheus.trouble = None
    assert look(by, 280) == look(trials(prometheus), 280)


@pytest.mark.parametrize("answer", [[START, "a string"], "a string", None, [{"metric": {}}]])
def test_an_answer_of_another_shape_is_nothing_to_judge_on(answer: Any) -> None:
    """From the first query on."""
    verdict = look(trials(Answering(answer)), 30)
    assert (verdict.result, verdict.reason) == (Result.UNDECIDED, METRICS_UNAVAILABLE)
    assert verdict.message.startswith("Prometheus answered with something else than series: ")


def test_the_last_numbers_stay_in_view() -> None:
    """While there are no new ones; and a canary that crashes fails all the same."""
    before = look(trials(serving()), 155)
    current = replace(STATUS, verdict=before)
    broken = FakePrometheus()
    broken.trouble = requests.ConnectionError("refused")
    assert look(trials(broken), 160, current=current).objectives == before.objectives
    assert look(trials(broken), 160, current=current, crashes=2).reason == "CanaryCrashing"


def test_pods_that_prometheus_has_not_found_yet_are_not_lost() -> None:
    """Discovery takes seconds; after that, no series is a hold that a person is told of."""
    assert look(trials(FakePrometheus()), 29).reason == "Collecting"
    assert look(trials(FakePrometheus()), 30) == lost(FOUND_NOTHING)
    assert look(trials(FakePrometheus(), interval=60), 179).reason == "Collecting"
    assert look(trials(FakePrometheus(), interval=60), 180) == lost(FOUND_NOTHING)


def test_old_samples_are_nothing_to_judge_on() -> None:
    """A Prometheus that stopped scraping answers as if nothing had happened."""
    by = trials(serving(scrapes=4))
    assert look(by, 30).reason == "Collecting"
    assert look(by, 36) == lost(f"the newest sample of revision {CANARY} is 36 s old")


def test_a_canary_that_alone_is_not_scraped_is_nothing_to_judge_on() -> None:
    """However well stable is, and though its pods count labels for the canary."""
    prometheus = FakePrometheus()
    pod(prometheus, [20 * k for k in range(8)])
    pod(prometheus, [180 * k for k in range(40)], since=-29, pod_uid="s", revision=STABLE)
    for k in range(40):
        prometheus.scrape(10 * k - 29, k, "ml_feedback_total", pod_uid="s")
    by = trials(prometheus)
    assert look(by, 65).reason == "Collecting"
    assert look(by, 155) == lost(f"the newest sample of revision {CANARY} is 115 s old")


def test_a_stable_pod_that_is_gone_is_no_trouble() -> None:
    """The canary's numbers go on."""
    prometheus = FakePrometheus()
    pod(prometheus, [20 * k for k in range(40)])
    pod(prometheus, [180 * k for k in range(8)], since=-29, pod_uid="s", revision=STABLE)
    often = trials(prometheus)
    assert METRICS_UNAVAILABLE not in {look(often, now).reason for now in range(1, 200)}
    assert look(often, 205).objectives[0].requests == 400


def test_series_without_pod_are_nothing_to_judge_on() -> None:
    """Without that label a restart cannot be told from another pod; beside others, they do not count."""
    prometheus, beside = FakePrometheus(), serving()
    for each in (prometheus, beside):
        pod(each, [500 * k for k in range(40)], pod_uid="")
    told = "the model servers' series have no label pod_uid: check the scrape job's relabelling"
    assert look(trials(prometheus), 5) == lost(told)
    assert look(trials(beside), 155) == look(trials(serving()), 155)


def test_only_nan_is_nothing_to_judge_on() -> None:
    """It is the same as no sample."""
    prometheus = FakePrometheus()
    prometheus.scrape(0, "NaN")
    assert look(trials(prometheus), 31) == lost(FOUND_NOTHING)


def test_a_look_is_kept_until_the_next_one_is_due() -> None:
    """Unless the question is another one."""
    prometheus = serving()
    by = trials(prometheus)
    first = look(by, 100)
    asked = len(prometheus.queries)
    assert look(by, 104.9) is first
    assert len(prometheus.queries) == asked
    assert look(by, 104.9, a_run(step=1, step_started_at=moment(104))) is not first
    assert look(by, 104.9, current=replace(STATUS, phase=Phase.WATCHING)) is not first
    assert len(prometheus.queries) == asked + 2


def test_a_look_is_taken_when_it_is_due() -> None:
    """Every evaluation interval, even one that found nothing."""
    prometheus = FakePrometheus()
    by = trials(prometheus)
    for now in (40, 44.9, 45, 49.9, 50):
        look(by, now)
    assert len([query for query in prometheus.queries if query.endswith("ms]")]) == 3


def test_a_new_run_knows_nothing_of_the_old_one() -> None:
    """Nor does a run that begins again, nor an object that was deleted and made again."""
    prometheus = serving()
    by = trials(prometheus)
    look(by, 100)
    later = a_run(began=150, id="another")
    assert look(by, 200, later) == look(trials(prometheus), 200, later)
    again = replace(later, id="", traffic_started_at=moment(160))
    assert look(by, 210, again) == look(trials(prometheus), 210, again)
    by.forget("models", "iris")
    asked = len(prometheus.queries)
    assert look(by, 211, again) == look(trials(prometheus), 211, again)
    assert len(prometheus.queries) == asked + 2 * 3


def test_a_restart_in_mid_run_goes_on_with_the_same_numbers() -> None:
    """Also in a later step than the one whose ticks it reads again."""
    prometheus = serving(bad=0.01)
    by = trials(prometheus)
    for now in range(5, 150, 5):
        look(by, now)
    for now in range(150, 155):
        look(by, now, a_run(step=1, step_started_at=None))
    second = a_run(step=1, step_started_at=moment(155))
    for now in range(155, 300, 24):
        assert look(by, now, second) == look(trials(prometheus), now, second)


def test_while_watching_nothing_is_asked_for() -> None:
    """Only a Fail is looked for."""
    watching = replace(STATUS, phase=Phase.WATCHING)
    assert look(trials(serving()), 155, current=watching).reason == "Collecting"
    assert look(trials(serving(bad=0.5)), 155, current=watching).result is Result.FAIL


def test_without_a_stable_revision_the_canary_is_judged_alone() -> None:
    """There is no record to ask for, and nothing to compare."""
    prometheus = serving()
    subject = Subject("models", "iris", a_run(), Arms(CANARY, None), replicas=2)
    verdict = asyncio.run(trials(prometheus).verdict(subject, STATUS, 0, moment(155)))
    assert verdict.objectives[0].requests == 300
    assert [query.rsplit("[")[-1] for query in prometheus.queries] == ["185000ms]"]


def test_the_time_at_a_step_counts_from_its_weight() -> None:
    """Seen live, not written."""
    waiting = a_run(step_started_at=None)
    assert look(trials(serving()), 155, waiting).message.startswith("weight 10 is not live yet")
    hour = a_run(step_started_at=moment(155) - timedelta(seconds=3))
    assert "needs 5s at this weight" in look(trials(serving()), 155, hour).message


def test_the_rate_is_asked_for_apart() -> None:
    """What cannot be known is None, whatever the reason."""

    def rate(prometheus: Any) -> float | None:
        return asyncio.run(trials(prometheus).rate("models", "iris", STABLE, moment(0)))

    assert rate(Answering([{"metric": {}, "value": [START, "12.5"]}])) == 12.5
    assert rate(Answering([])) is None
    assert rate(Answering("a string")) is None
