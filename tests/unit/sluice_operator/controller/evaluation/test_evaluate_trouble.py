"""If Prometheus has no samples or gives no answer: no verdict, a sentence that says why, and no count is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import requests
from msgspec.structs import replace
from prometheus_api_client.exceptions import PrometheusApiClientException

from sluice_operator.analysis.verdict import NO_CRASHES
from sluice_operator.api.status import METRICS_UNAVAILABLE, Result, Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.reader import Reader
from tests.unit.sluice_operator.fake_prometheus import (
    CANARY,
    STABLE,
    START,
    STATUS,
    Answering,
    FakePrometheus,
    a_run,
    evaluator_for,
    metrics_lost,
    moment,
    pod,
    serving,
    verdict_at,
)

NO_SERIES = f"Prometheus has no series of revision {CANARY}: are its pods scraped?"


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        (requests.ConnectionError("refused"), "refused"),
        (requests.Timeout("timed out"), "it took too long"),
        (requests.exceptions.ChunkedEncodingError("half a body"), "it broke off half-way"),
        (PrometheusApiClientException("HTTP Status Code 422"), "HTTP Status Code 422"),
        (PrometheusApiClientException("HTTP Status Code 500" * 20), ("HTTP Status Code 500" * 20)[:200] + "..."),
        (OSError("no such CA bundle"), "no such CA bundle"),
        (ValueError("not JSON"), "not JSON"),
        (KeyError("data"), "its JSON has no result"),
        (RecursionError("too deep"), "too deep"),
    ],
)
def test_without_an_answer_the_verdict_is_metrics_unavailable(trouble: Exception, cause: str) -> None:
    """The message has the cause, and when Prometheus answers again no count is missing."""
    prometheus = serving()
    evaluator = evaluator_for(prometheus)
    verdict_at(evaluator, 30)
    prometheus.trouble = trouble
    for now in (100, 200):
        assert verdict_at(evaluator, now) == metrics_lost(f"Prometheus gave no answer: {cause}")
    prometheus.trouble = None
    assert verdict_at(evaluator, 280) == verdict_at(evaluator_for(prometheus), 280)


def test_after_a_timeout_the_other_runs_do_not_ask() -> None:
    """One timeout is enough for all of them, until the next evaluation is due."""
    prometheus = serving()
    evaluator = evaluator_for(prometheus)
    verdict_at(evaluator, 30)
    verdict_at(evaluator, 30, name="other")
    prometheus.trouble, asked = requests.Timeout("timed out"), len(prometheus.queries)
    verdicts = [verdict_at(evaluator, 100), verdict_at(evaluator, 100.5, name="other")]
    assert verdicts == [metrics_lost("Prometheus gave no answer: it took too long")] * 2
    assert len(prometheus.queries) == asked + 1


def test_runs_that_ask_at_the_same_time_wait_for_one_timeout() -> None:
    """With a timeout for each, one after the other, no worker would be left for other objects."""
    prometheus = serving()
    evaluator, names = evaluator_for(prometheus), ("iris", "other", "third")
    for name in names:
        verdict_at(evaluator, 30, name=name)
    prometheus.trouble, asked = requests.Timeout("timed out"), len(prometheus.queries)

    async def together() -> list[Verdict]:
        subjects = [Subject("models", name, a_run(), ComparedRevisions(CANARY, STABLE)) for name in names]
        verdicts = (
            evaluator.verdict(subject, STATUS, NO_CRASHES, moment(100 + 4 * index))
            for index, subject in enumerate(subjects)
        )
        return list(await asyncio.gather(*verdicts))

    assert asyncio.run(together()) == [metrics_lost("Prometheus gave no answer: it took too long")] * 3
    assert len(prometheus.queries) == asked + 1


@pytest.mark.parametrize("answer", [[START, "a string"], "a string", None, [{"metric": {}}]])
def test_with_a_malformed_answer_the_verdict_is_metrics_unavailable(answer: Any) -> None:
    """Already at the first query."""
    verdict = verdict_at(evaluator_for(Answering(answer)), 30)
    assert (verdict.result, verdict.reason) == (Result.UNDECIDED, METRICS_UNAVAILABLE)
    assert verdict.message.startswith("Prometheus answered with something else than series: ")


def test_the_last_numbers_stay_in_the_verdict() -> None:
    """While there are no new ones. A canary that crashes fails all the same."""
    before = verdict_at(evaluator_for(serving()), 155)
    current = replace(STATUS, verdict=before)
    broken = FakePrometheus()
    broken.trouble = requests.ConnectionError("refused")
    assert verdict_at(evaluator_for(broken), 160, current=current).objectives == before.objectives
    assert verdict_at(evaluator_for(broken), 160, current=current, crashes=2).reason == "CanaryCrashing"


def test_prometheus_may_need_some_time_to_find_new_pods() -> None:
    """After that time, a canary without series is reported."""
    assert verdict_at(evaluator_for(FakePrometheus()), 29).reason == "Collecting"
    assert verdict_at(evaluator_for(FakePrometheus()), 30) == metrics_lost(NO_SERIES)
    assert verdict_at(evaluator_for(FakePrometheus(), interval=60), 179).reason == "Collecting"
    assert verdict_at(evaluator_for(FakePrometheus(), interval=60), 180) == metrics_lost(NO_SERIES)


def test_with_old_samples_the_verdict_is_metrics_unavailable() -> None:
    """A Prometheus that has stopped scraping still answers queries."""
    evaluator = evaluator_for(serving(scrapes=4))
    assert verdict_at(evaluator, 30).reason == "Collecting"
    assert verdict_at(evaluator, 36) == metrics_lost(f"the newest sample of revision {CANARY} is 36 s old")


def test_a_scrape_interval_that_is_not_the_setting_s_is_measured_and_told() -> None:
    """Instead of a sample that is too old twice a minute; and it does not come and go."""
    prometheus = FakePrometheus()
    for uid, revision in (("a", CANARY), ("s", STABLE)):
        pod(prometheus, [300 * scrape for scrape in range(12)], every=30.0, pod_uid=uid, revision=revision)
    evaluator = evaluator_for(prometheus, interval=2)
    verdicts = [verdict_at(evaluator, now) for now in range(1, 300, 4)][30:]
    words = "Prometheus scrapes the pods every 30 s, SLUICE_SCRAPE_INTERVAL says 2 s: set it to 30s, or have them"
    assert set(verdicts) == {metrics_lost(f"{words} scraped more often")}


def test_an_evaluation_in_the_middle_of_a_long_tick_loses_no_metrics() -> None:
    """Scrapes every 10 seconds and ticks of 60: a step that begins then asks for samples, which are there."""
    evaluator = Evaluator(Reader(serving(), lambda: START), Intervals(scrape=10, evaluation=60))
    for now, step in ((100, 0), (121.5, 0), (175, 1)):
        assert verdict_at(evaluator, now, a_run(step=step, since=90)).reason != METRICS_UNAVAILABLE


def test_a_gap_in_the_scrapes_does_not_count_as_silence() -> None:
    """Neither during the gap nor after it, at whatever time the run is evaluated."""
    prometheus, steady = FakePrometheus(), serving()
    prometheus.series = {
        labels: [
            (at, value) for at, value in samples if dict(labels)["revision"] == STABLE or not 40 < at - START < 130
        ]
        for labels, samples in steady.series.items()
    }
    often = evaluator_for(prometheus)
    reasons = {verdict_at(often, now).reason for now in range(1, 300)}
    assert reasons == {"Collecting", METRICS_UNAVAILABLE, "Passed"}


def test_if_only_the_canary_is_not_scraped_the_verdict_is_metrics_unavailable() -> None:
    """Although stable is scraped, and although its pods count labels for the canary."""
    prometheus = FakePrometheus()
    pod(prometheus, [20 * scrape for scrape in range(8)])
    pod(prometheus, [180 * scrape for scrape in range(40)], since=-29, pod_uid="s", revision=STABLE)
    for scrape in range(40):
        prometheus.scrape(10 * scrape - 29, scrape, "ml_feedback_total", pod_uid="s")
    evaluator = evaluator_for(prometheus)
    assert verdict_at(evaluator, 65).reason == "Collecting"
    assert verdict_at(evaluator, 155) == metrics_lost(f"the newest sample of revision {CANARY} is 115 s old")


def test_a_stable_pod_that_is_gone_does_not_matter() -> None:
    """The canary is judged by its own numbers."""
    prometheus = FakePrometheus()
    pod(prometheus, [20 * scrape for scrape in range(40)])
    pod(prometheus, [180 * scrape for scrape in range(8)], since=-29, pod_uid="s", revision=STABLE)
    often = evaluator_for(prometheus)
    assert METRICS_UNAVAILABLE not in {verdict_at(often, now).reason for now in range(1, 200)}
    assert verdict_at(often, 205).objectives[0].requests == 400


def test_with_series_without_a_pod_the_verdict_is_metrics_unavailable() -> None:
    """Without it a restart looks like another pod. If there are also series with the label, the others are left out."""
    without, mixed = FakePrometheus(), serving()
    for prometheus in (without, mixed):
        pod(prometheus, [500 * scrape for scrape in range(40)], pod_uid="")
    message = "the model servers' series have no label pod_uid: check the scrape job's relabelling"
    assert verdict_at(evaluator_for(without), 5) == metrics_lost(message)
    assert verdict_at(evaluator_for(mixed), 155) == verdict_at(evaluator_for(serving()), 155)


def test_nan_is_the_same_as_no_sample() -> None:
    """A canary whose samples are all NaN is reported as one without series."""
    prometheus = FakePrometheus()
    prometheus.scrape(0, "NaN")
    assert verdict_at(evaluator_for(prometheus), 31) == metrics_lost(NO_SERIES)


def since(moment: float, prometheus: FakePrometheus) -> FakePrometheus:
    """The same server after it has dropped all older samples."""
    prometheus.series = {
        labels: [(at, value) for at, value in samples if at >= START + moment]
        for labels, samples in prometheus.series.items()
    }
    return prometheus


def test_a_retention_shorter_than_the_run_loses_counts_and_invents_none() -> None:
    """A restarted operator does not find the first scrapes of the run, and what they counted is left out."""
    whole, rest = (
        verdict_at(evaluator_for(serving(bad=0.01)), 195),
        verdict_at(evaluator_for(since(100, serving(bad=0.01))), 195),
    )
    assert (whole.objectives[0].requests, rest.objectives[0].requests) == (380, 180)
    assert {rest.result, whole.result} <= {Result.UNDECIDED, Result.PASS}
    often = evaluator_for(since(100, serving()))
    assert {verdict_at(often, now).result for now in range(100, 300, 5)} == {Result.UNDECIDED, Result.PASS}


@pytest.mark.parametrize("odd", ["NaN", "+Inf", "-1", "1e300"])
def test_a_first_error_count_that_is_not_a_number_does_not_look_like_many_errors(odd: str) -> None:
    """All errors that a pod has ever counted did not happen in the moment of its second scrape."""
    prometheus, steady = FakePrometheus(), serving()
    first = min(at for labels, samples in steady.series.items() for at, _ in samples if dict(labels)["pod_uid"] == "a")
    prometheus.series = {
        labels: [
            (at, odd if (at, dict(labels).get("code")) == (first, "500") else str(int(value) + 5000))
            for at, value in samples
        ]
        for labels, samples in steady.series.items()
    }
    assert (
        verdict_at(evaluator_for(prometheus), 155).objectives[0] == verdict_at(evaluator_for(steady), 155).objectives[0]
    )


@pytest.mark.parametrize("bound", ["", "fast", "NaN"])
def test_a_bucket_without_a_proper_bound_is_left_out(bound: str) -> None:
    """It may be a series of another program. The verdict is the same as without it."""
    prometheus = serving()
    for scrape in range(40):
        prometheus.scrape(10 * scrape - 30, 7 * scrape, "ml_request_duration_seconds_bucket", le=bound)
    assert verdict_at(evaluator_for(prometheus), 155) == verdict_at(evaluator_for(serving()), 155)


def test_a_histogram_without_the_bound_of_the_limit_is_undecided() -> None:
    """Another image may have other bounds. The other objectives are judged all the same."""
    prometheus = serving()
    prometheus.series = {
        labels: samples for labels, samples in prometheus.series.items() if ("le", "0.2") not in labels
    }
    verdict = verdict_at(evaluator_for(prometheus), 155)
    assert verdict.result is Result.UNDECIDED
    assert verdict.message.startswith("p95 is undecided: nothing seen in 0 requests")


def test_a_target_that_two_jobs_scrape_changes_no_verdict() -> None:
    """There are the same counters with twice as many samples."""
    prometheus = serving(bad=0.5)
    for labels, samples in list(prometheus.series.items()):
        prometheus.series[*labels, ("job", "second")] = [(at + 3, value) for at, value in samples]
    once, twice = evaluator_for(serving(bad=0.5)), evaluator_for(prometheus)
    for now in (30, 60, 155):
        assert verdict_at(twice, now) == verdict_at(once, now)


@pytest.mark.parametrize(("clock", "words"), [(42.0, "42 s ahead of"), (-600.0, "600 s behind")])
def test_clocks_that_differ_are_reported(clock: float, words: str) -> None:
    """Samples would be counted for the wrong weight. Corrected clocks are noticed within a minute."""
    prometheus = serving()
    prometheus.clock = clock
    evaluator = evaluator_for(prometheus)
    reported = metrics_lost(f"Prometheus's clock is {words} the operator's: set the clocks of both by NTP")
    assert [verdict_at(evaluator, now) for now in (30, 60)] == [reported, reported]
    prometheus.clock = 0.0
    assert verdict_at(evaluator, 120) == verdict_at(evaluator_for(prometheus), 120) != reported


@pytest.mark.parametrize("clock", [-10.0, 0.0, 10.0])
def test_clocks_may_differ_by_a_scrape_interval(clock: float) -> None:
    """The time of a count is not known better than that."""
    prometheus = serving()
    prometheus.clock = clock
    assert verdict_at(evaluator_for(prometheus), 120).reason != METRICS_UNAVAILABLE
