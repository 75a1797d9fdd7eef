"""Runs are judged by their samples in Prometheus: with the same numbers however often, and after every restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sluice_operator.analysis.verdict import NO_CRASHES
from sluice_operator.api.run import LiveWeight, Phase
from sluice_operator.api.status import Result, Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.fake_prometheus import (
    CANARY,
    INTERVAL,
    STABLE,
    START,
    STATUS,
    Answering,
    FakePrometheus,
    a_run,
    evaluator_for,
    moment,
    pod,
    refusing,
    serving,
    verdict_at,
)


def test_a_good_canary_passes_its_step() -> None:
    """The numbers are those since its first traffic."""
    verdict = verdict_at(evaluator_for(serving()), 305)
    assert (verdict.result, verdict.reason) == (Result.PASS, "Passed")
    assert [(judged.name, judged.requests, judged.canary, judged.stable) for judged in verdict.objectives] == [
        ("errors", 600, "0%", "0%"),
        ("p95", 600, "0%", "0%"),
        ("accuracy", 0, "", ""),
        ("refusals", 600, "0%", "0%"),
    ]


@pytest.mark.parametrize("code", ["422", "400", "413", "415", "499"])
def test_a_canary_that_refuses_all_callers_fails_within_seconds(code: str) -> None:
    """It has no errors and is fast, so nothing else shows it. Two ticks of 20 requests are enough."""
    verdict = verdict_at(evaluator_for(refusing(1, 0, code)), 25)
    assert (verdict.result, verdict.reason) == (Result.FAIL, "RefusalsWorseThanStable")
    assert verdict.message.startswith("refusals 100% with status 4xx is worse than stable's 0% (")


def test_a_client_with_bad_requests_for_both_revisions_changes_nothing() -> None:
    """Callers are split at random: only a difference is the model's."""
    verdict = verdict_at(evaluator_for(refusing(0.3, 0.3)), 305)
    assert (verdict.result, verdict.reason) == (Result.PASS, "Passed")
    assert [(judged.canary, judged.stable) for judged in verdict.objectives if judged.name == "refusals"] == [
        ("30%", "30%")
    ]


def test_a_promoted_revision_that_refuses_callers_fails_in_the_watch() -> None:
    """No other revision serves then, so it is compared with what stable did, by a wide margin."""
    prometheus = FakePrometheus()
    pod(prometheus, [0, 0, 0, 0, *(200 * scrape for scrape in range(1, 30))], bad=1, bad_code="422")
    pod(prometheus, [200 * scrape for scrape in range(60)], since=-599, pod_uid="s", revision=STABLE)
    watched = replace(STATUS, phase=Phase.WATCHING)
    run = a_run(step=1, promoted_at=moment(6), live_weights=())
    verdict = verdict_at(evaluator_for(prometheus), 185, run, watched)
    assert (verdict.result, verdict.reason) == (Result.FAIL, "RefusalsWorseThanBefore")
    assert verdict.message.startswith(
        "refusals 100% with status 4xx is worse than 20%, which is what stable's past allows"
    )


def test_a_run_that_an_older_operator_began_is_judged_without_refusals() -> None:
    """What it is judged by was frozen at its start."""
    verdict = verdict_at(evaluator_for(refusing(1, 0)), 25, a_run(default_objectives=()))
    assert verdict.result is not Result.FAIL
    assert [judged.name for judged in verdict.objectives] == ["errors", "p95", "accuracy"]


def test_a_bad_canary_fails() -> None:
    """In the first step, with the objective that it breaks."""
    verdict = verdict_at(evaluator_for(serving(bad=0.5)), 155)
    assert (verdict.result, verdict.reason) == (Result.FAIL, "ErrorRateAboveLimit")
    assert verdict.objectives[0].canary == "50%"


def test_a_canary_that_finishes_no_request_fails() -> None:
    """It is scraped, and it gets its share of the requests."""
    prometheus = FakePrometheus()
    pod(prometheus, [7] * 40)
    pod(prometheus, [180 * scrape for scrape in range(40)], since=-29, pod_uid="s", revision=STABLE)
    verdict = verdict_at(evaluator_for(prometheus), 155)
    assert (verdict.result, verdict.reason) == (Result.FAIL, "RequestsMissing")


def test_the_first_seconds_of_a_step_do_not_count_as_silence() -> None:
    """Counts from before its weight was live belong to the weight before."""
    prometheus = FakePrometheus()
    pod(prometheus, [max(0, 20 * (scrape - 11)) * 9 for scrape in range(40)])
    pod(prometheus, [180 * scrape for scrape in range(40)], since=-21, pod_uid="s", revision=STABLE)
    raised = a_run(step=1, since=79.5)
    often = evaluator_for(prometheus)
    assert {verdict_at(often, now, raised).result for now in range(80, 200)} <= {Result.UNDECIDED, Result.PASS}


@settings(max_examples=10, deadline=None)
@given(
    growth=st.lists(st.integers(0, 40), min_size=34, max_size=34),
    missed=st.sets(st.integers(0, 33), max_size=6),
    restarts=st.sets(st.integers(5, 30), max_size=2),
    evaluations=st.lists(st.integers(1, 289), max_size=12, unique=True),
    data=st.data(),
)
def test_many_evaluations_give_the_same_verdict_as_one(
    growth: list[int], missed: set[int], restarts: set[int], evaluations: list[int], data: st.DataObject
) -> None:
    """The same numbers for an operator that evaluates often, for one that evaluates once, and with restarts."""
    prometheus, value = FakePrometheus(), 0
    for scrape, grown in enumerate(growth):
        value = grown if scrape in restarts else value + grown
        if scrape not in missed:
            pod(prometheus, [value], since=10 * scrape - 30, bad=0.3)
        pod(prometheus, [200 * scrape], since=10 * scrape - 27, pod_uid="s", revision=STABLE)
    restarted = data.draw(st.sets(st.sampled_from(evaluations))) if evaluations else set()
    often = evaluator_for(prometheus)
    for now in sorted(evaluations):
        often = evaluator_for(prometheus) if now in restarted else often
        verdict_at(often, now)
    assert verdict_at(often, 300) == verdict_at(evaluator_for(prometheus), 300)


@pytest.mark.parametrize("interval", [2, 15, 60])
def test_a_run_is_judged_at_any_scrape_interval(interval: int) -> None:
    """Ticks are as long as the scrape interval, or as the evaluation interval if that is longer."""
    prometheus = FakePrometheus()
    for at in range(-3 * interval, 600, interval):
        prometheus.scrape(at, at + 1000)
        prometheus.scrape(at + interval / 2, 9 * at + 9000, pod_uid="s", revision=STABLE)
    often, once = evaluator_for(prometheus, interval), evaluator_for(prometheus, interval)
    for now in range(0, 600, 17):
        verdict_at(often, now)
    verdict = verdict_at(often, 600)
    assert verdict == verdict_at(once, 600)
    assert verdict.objectives[0].requests in range(480, 600)


def test_latencies_are_compared_at_bounds_of_stable_s_baseline() -> None:
    """At bounds that enough of its recent requests exceeded, in addition to the limit of the objective."""
    prometheus = FakePrometheus()
    for bound, within in (("0.05", 900), ("0.1", 990), ("0.2", 1000), ("+Inf", 1000)):
        for at, count in ((-65, 0), (-5, within)):
            prometheus.scrape(at, count, "ml_request_duration_seconds_bucket", pod_uid="r", revision=STABLE, le=bound)
    verdict_at(evaluator_for(prometheus), 5)
    assert prometheus.queries[-1].endswith(',le=~"|[+]Inf|0[.]05|0[.]1|0[.]2"}[35000ms]')


def test_the_latency_threshold_is_read_from_stable_s_requests() -> None:
    """For objectives without a limit. Without requests there is no threshold; without an answer an error is raised."""
    (objective,) = a_spec(objectives=[{"name": "p95", "latency": {"quantile": "0.95", "maxRatio": "1.5"}}]).objectives
    prometheus = FakePrometheus()

    def thresholds() -> Any:
        return asyncio.run(
            evaluator_for(prometheus).latency_thresholds(("models", "iris"), STABLE, (objective,), moment(0))
        )

    assert thresholds() == {}
    for bound, within in (("0.05", 900), ("0.1", 990), ("+Inf", 1000)):
        for at, count in ((-65, 0), (-5, within)):
            prometheus.scrape(at, count, "ml_request_duration_seconds_bucket", pod_uid="r", revision=STABLE, le=bound)
    assert thresholds() == {"p95": 0.1}
    prometheus.trouble = ValueError("not JSON")
    with pytest.raises(MetricsLostError):
        thresholds()


def test_bursts_in_the_baseline_make_a_verdict_slower() -> None:
    """Errors that stable also has every few minutes are weaker evidence against the canary."""
    calm, bursting = serving(bad=0.05), serving(bad=0.05)
    for scrape in range(200):
        for prometheus, errors in ((calm, 0), (bursting, 16 * sum(earlier % 50 < 2 for earlier in range(scrape)))):
            labels = {"pod_uid": "past", "revision": STABLE}
            prometheus.scrape(15 * scrape - 3_100, 200 * scrape, **labels)
            prometheus.scrape(15 * scrape - 3_100, errors, **labels, code="500")
    assert 1 < against(verdict_at(evaluator_for(bursting), 155)) < against(verdict_at(evaluator_for(calm), 155)) / 2


def against(verdict: Verdict) -> float:
    """The e-value against the error rate, of `against 79 of 89, ...`."""
    return float(verdict.objectives[0].evidence.split()[1])


def test_a_verdict_is_used_until_the_next_evaluation_is_due() -> None:
    """Or until the part of the run changes."""
    prometheus = serving()
    evaluator = evaluator_for(prometheus)
    first = verdict_at(evaluator, 100)
    asked = len(prometheus.queries)
    assert verdict_at(evaluator, 101.4) is first
    assert len(prometheus.queries) == asked
    assert verdict_at(evaluator, 101.4, a_run(step=1, since=101)) is not first
    assert verdict_at(evaluator, 101.4, current=replace(STATUS, phase=Phase.WATCHING)) is not first
    assert len(prometheus.queries) == asked, "there is no new tick yet"


def test_a_tick_is_judged_as_soon_as_it_should_be_there() -> None:
    """Stable's pod is scraped at 91, 101 and so on: that ends the tick until 100, and takes half a second."""
    evaluator = evaluator_for(serving())
    requests = [verdict_at(evaluator, now).objectives[0].requests for now in (100, 101.4, 101.5)]
    assert requests == [180, 180, 200]


def test_an_object_is_woken_for_a_new_tick() -> None:
    """It need not wait for the next look."""

    async def until_woken() -> tuple[str, str]:
        woken = asyncio.Queue[tuple[str, str]]()
        intervals = Intervals(scrape=INTERVAL, evaluation=5)
        evaluator = Evaluator(Reader(serving(), lambda: START), intervals, wake=woken.put_nowait)
        subject = Subject("models", "iris", a_run(), ComparedRevisions(CANARY, STABLE))
        await evaluator.verdict(subject, STATUS, NO_CRASHES, moment(100.9))
        return await asyncio.wait_for(woken.get(), 10)

    assert asyncio.run(until_woken()) == ("models", "iris")


def test_a_scrape_that_is_late_is_asked_for_again() -> None:
    """And the others are not asked for in vain."""
    prometheus = serving(scrapes=13)  # the last one of stable is at 91
    evaluator = evaluator_for(prometheus)
    asked = list[int]()
    for now in (100, 101, 101.5, 103, 104, 106.5, 107):
        verdict_at(evaluator, now)
        asked.append(sum(query.endswith("ms]") for query in prometheus.queries))
    assert asked == [1, 1, 2, 2, 2, 3, 3]


def test_an_evaluation_is_made_when_it_is_due() -> None:
    """After each evaluation interval, also if the one before found no samples."""
    prometheus = FakePrometheus()
    evaluator = evaluator_for(prometheus)
    for now in (40, 44.9, 45, 49.9, 50):
        verdict_at(evaluator, now)
    assert len([query for query in prometheus.queries if query.endswith("ms]")]) == 3


def test_a_new_run_does_not_use_samples_of_the_old_one() -> None:
    """Nor does a run that begins again, nor an object that was deleted and created again."""
    prometheus = serving()
    evaluator = evaluator_for(prometheus)
    verdict_at(evaluator, 100)
    later = a_run(began=150, id="another")
    assert verdict_at(evaluator, 200, later) == verdict_at(evaluator_for(prometheus), 200, later)
    again = replace(later, traffic_started_at=moment(160))
    assert verdict_at(evaluator, 210, again) == verdict_at(evaluator_for(prometheus), 210, again)
    evaluator.forget("models", "iris")
    asked = len(prometheus.queries)
    assert verdict_at(evaluator, 211, again) == verdict_at(evaluator_for(prometheus), 211, again)
    assert len(prometheus.queries) == asked + 2 * 5, "twice: which pods there are, and their past; new samples"


def test_a_restart_during_a_run_gives_the_same_numbers() -> None:
    """Also if the ticks that are read again are of an earlier step."""
    prometheus = serving(bad=0.01)
    evaluator = evaluator_for(prometheus)
    for now in range(5, 150, 5):
        verdict_at(evaluator, now)
    first = (LiveWeight(10, moment(5), moment(150)),)
    for now in range(150, 155):
        verdict_at(evaluator, now, a_run(step=1, step_started_at=None, live_weights=first))
    second = a_run(step=1, step_started_at=moment(155), live_weights=(*first, LiveWeight(50, moment(155))))
    for now in range(155, 300, 24):
        assert verdict_at(evaluator, now, second) == verdict_at(evaluator_for(prometheus), now, second)


def test_the_watch_ends_early_only_with_a_fail() -> None:
    """Without one there is no verdict that decides."""
    promoted = a_run(promoted_at=moment(30), step_started_at=None)
    assert verdict_at(evaluator_for(serving()), 155, promoted).reason == "Collecting"
    assert verdict_at(evaluator_for(serving(bad=0.5)), 155, promoted).result is Result.FAIL


@pytest.mark.parametrize("moment_of", ["promoted_at", "swapped_at"])
@pytest.mark.parametrize(("errors", "result"), [(0, Result.UNDECIDED), (150, Result.FAIL)])
def test_a_canary_that_becomes_bad_during_the_watch_fails(errors: int, result: Result, moment_of: str) -> None:
    """When stable gets no requests any more, the canary is compared with stable's past: also before that is proven."""
    prometheus = FakePrometheus()
    for scrape in range(60):
        both, unpaired = min(scrape, 30), max(0, scrape - 30)
        for revision, pod_uid, good, bad in (
            (CANARY, "a", 300 * both + (300 - errors) * unpaired, errors * unpaired),
            (STABLE, "b", 300 * both, 0),
        ):
            prometheus.scrape(10 * scrape, good, revision=revision, pod_uid=pod_uid)
            prometheus.scrape(10 * scrape, bad, revision=revision, pod_uid=pod_uid, code="500")
    objectives = a_spec(objectives=[{"name": "errors", "errorRate": {"maxRatio": "2"}}]).objectives
    since: dict[str, Any] = {moment_of: moment(300)}
    run = a_run(objectives=objectives, step_started_at=None, **since)
    verdict = verdict_at(evaluator_for(prometheus), 595, run)
    assert verdict.result is result
    if errors:
        assert verdict.reason == "ErrorRateWorseThanBefore"
        assert against(verdict) > 1000
        assert verdict.message == (
            "errors 50% is worse than 0.5%, which is what stable's past allows (8700 counted since the promotion)"
        )


def test_without_a_stable_revision_the_canary_is_judged_by_its_limits() -> None:
    """There is no baseline to ask for, and nothing to compare with."""
    prometheus = serving()
    subject = Subject("models", "iris", a_run(), ComparedRevisions(CANARY, None))
    verdict = asyncio.run(evaluator_for(prometheus).verdict(subject, STATUS, NO_CRASHES, moment(155)))
    assert verdict.objectives[0].requests == 300
    assert [query.rsplit("[")[-1] for query in prometheus.queries] == ["185000ms]"]


def test_the_time_of_a_step_begins_when_its_weight_is_live() -> None:
    """Proven to be live, not only written."""
    waiting = a_run(step_started_at=None)
    assert verdict_at(evaluator_for(serving()), 155, waiting).message.startswith("weight 10 is not live yet")
    just_live = a_run(step_started_at=moment(155) - timedelta(seconds=3))
    assert "needs 2s more at this weight" in verdict_at(evaluator_for(serving()), 155, just_live).message


def test_the_rate_is_one_query() -> None:
    """An unusable answer is None, whatever the reason."""

    def rate(prometheus: Any) -> float | None:
        return asyncio.run(evaluator_for(prometheus).rate("models", "iris", STABLE, moment(0)))

    assert rate(Answering([{"metric": {}, "value": [START, "12.5"]}])) == 12.5
    assert rate(Answering([])) is None
    assert rate(Answering("a string")) is None
