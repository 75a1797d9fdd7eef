"""Where Prometheus knows nothing, or says nothing: no verdict, a sentence, and nothing lost afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import requests
from msgspec.structs import replace
from prometheus_api_client.exceptions import PrometheusApiClientException

from sluice_operator.api.status import METRICS_UNAVAILABLE, Result, Verdict
from sluice_operator.controller.run_samples import Subject
from sluice_operator.counting.ticks import ComparedRevisions
from tests.unit.sluice_operator.fake_prometheus import (
    CANARY,
    STABLE,
    START,
    STATUS,
    Answering,
    FakePrometheus,
    a_run,
    look,
    lost,
    moment,
    pod,
    serving,
    trials,
)

FOUND_NOTHING = f"Prometheus has no series of revision {CANARY}: are its pods scraped?"


@pytest.mark.parametrize(
    ("trouble", "told"),
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
def test_no_answer_is_nothing_to_judge_on(trouble: Exception, told: str) -> None:
    """Whatever went wrong: it is told, and afterwards nothing is missing."""
    prometheus = serving()
    by = trials(prometheus)
    look(by, 30)
    prometheus.trouble = trouble
    for now in (100, 200):
        assert look(by, now) == lost(f"Prometheus gave no answer: {told}")
    prometheus.trouble = None
    assert look(by, 280) == look(trials(prometheus), 280)


def test_a_prometheus_in_trouble_is_not_asked_by_every_run() -> None:
    """One timeout is enough for all of them until the next look is due."""
    prometheus = serving()
    by = trials(prometheus)
    look(by, 30)
    look(by, 30, name="other")
    prometheus.trouble, asked = requests.Timeout("timed out"), len(prometheus.queries)
    told = [look(by, 100), look(by, 100.5, name="other")]
    assert told == [lost("Prometheus gave no answer: it took too long")] * 2
    assert len(prometheus.queries) == asked + 1


def test_runs_that_wait_for_a_silent_prometheus_wait_for_one_timeout() -> None:
    """Not in turns, each for its own: meanwhile no worker would be left for anything else."""
    prometheus = serving()
    by, names = trials(prometheus), ("iris", "other", "third")
    for name in names:
        look(by, 30, name=name)
    prometheus.trouble, asked = requests.Timeout("timed out"), len(prometheus.queries)

    async def together() -> list[Verdict]:
        subjects = [Subject("models", name, a_run(), ComparedRevisions(CANARY, STABLE)) for name in names]
        looks = (by.verdict(one, STATUS, 0, moment(100 + 4 * k)) for k, one in enumerate(subjects))
        return list(await asyncio.gather(*looks))

    assert asyncio.run(together()) == [lost("Prometheus gave no answer: it took too long")] * 3
    assert len(prometheus.queries) == asked + 1


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


def since(moment: float, prometheus: FakePrometheus) -> FakePrometheus:
    """What is left of it where older samples were dropped."""
    prometheus.series = {
        labels: [one for one in samples if one[0] >= START + moment] for labels, samples in prometheus.series.items()
    }
    return prometheus


def test_a_retention_shorter_than_the_run_loses_counts_and_makes_none_up() -> None:
    """A restarted operator no longer finds the run's first scrapes: what they counted is neither good nor bad."""
    whole, rest = look(trials(serving(bad=0.01)), 195), look(trials(since(100, serving(bad=0.01))), 195)
    assert (whole.objectives[0].requests, rest.objectives[0].requests) == (380, 180)
    assert {rest.result, whole.result} <= {Result.UNDECIDED, Result.PASS}
    often = trials(since(100, serving()))
    assert {look(often, now).result for now in range(100, 300, 5)} == {Result.UNDECIDED, Result.PASS}


@pytest.mark.parametrize("odd", ["NaN", "+Inf", "-1", "1e300"])
def test_a_count_of_errors_that_was_no_number_is_no_burst_of_errors(odd: str) -> None:
    """The errors of a pod's whole life are not those of the moment in which they are first told."""
    prometheus, steady = FakePrometheus(), serving()
    first = min(at for labels, samples in steady.series.items() for at, _ in samples if dict(labels)["pod_uid"] == "a")
    prometheus.series = {
        labels: [
            (at, odd if (at, dict(labels).get("code")) == (first, "500") else str(int(value) + 5000))
            for at, value in samples
        ]
        for labels, samples in steady.series.items()
    }
    assert look(trials(prometheus), 155).objectives[0] == look(trials(steady), 155).objectives[0]


@pytest.mark.parametrize("bound", ["", "fast", "NaN"])
def test_a_bucket_without_a_bound_is_left_out(bound: str) -> None:
    """Somebody else's series with the same name; the others are judged as if it were not there."""
    prometheus = serving()
    for k in range(40):
        prometheus.scrape(10 * k - 30, 7 * k, "ml_request_duration_seconds_bucket", le=bound)
    assert look(trials(prometheus), 155) == look(trials(serving()), 155)


def test_a_histogram_without_the_limit_s_bound_is_undecided() -> None:
    """Another image's, say: nothing is known of latency, and the other objectives are judged all the same."""
    prometheus = serving()
    prometheus.series = {
        labels: samples for labels, samples in prometheus.series.items() if ("le", "0.2") not in labels
    }
    verdict = look(trials(prometheus), 155)
    assert verdict.result is Result.UNDECIDED
    assert verdict.message.startswith("p95 is undecided: nothing seen in 0 requests")


def test_a_target_that_two_jobs_scrape_changes_no_verdict() -> None:
    """Its counters are the same ones, seen twice as often."""
    prometheus = serving(bad=0.5)
    for labels, samples in list(prometheus.series.items()):
        prometheus.series[*labels, ("job", "second")] = [(at + 3, value) for at, value in samples]
    by, twice = trials(serving(bad=0.5)), trials(prometheus)
    for now in (30, 60, 155):
        assert look(twice, now) == look(by, now)


@pytest.mark.parametrize(("clock", "words"), [(42.0, "42 s ahead of"), (-600.0, "600 s behind")])
def test_clocks_that_differ_are_told(clock: float, words: str) -> None:
    """Samples would be counted for weights that were not live at their time. Mended clocks are seen within a minute."""
    prometheus = serving()
    prometheus.clock = clock
    by = trials(prometheus)
    told = lost(f"Prometheus's clock is {words} the operator's: set the clocks of both by NTP")
    assert [look(by, now) for now in (30, 60)] == [told, told]
    prometheus.clock = 0.0
    assert look(by, 120) == look(trials(prometheus), 120) != told


@pytest.mark.parametrize("clock", [-10.0, 0.0, 10.0])
def test_clocks_may_differ_by_a_scrape(clock: float) -> None:
    """Counts are not told more exactly than that."""
    prometheus = serving()
    prometheus.clock = clock
    assert look(trials(prometheus), 120).reason != METRICS_UNAVAILABLE
