"""Runs judged on what Prometheus knows: the same numbers however often it is asked, and after every restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sluice_operator.api.status import LiveWeight, Phase, Result, Verdict
from sluice_operator.controller.run_samples import Subject
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.reader import MetricsLostError
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.fake_prometheus import (
    CANARY,
    STABLE,
    START,
    STATUS,
    Answering,
    FakePrometheus,
    a_run,
    look,
    moment,
    pod,
    serving,
    trials,
)


def test_a_good_canary_passes_its_step() -> None:
    """With the numbers of what was counted since its first traffic."""
    verdict = look(trials(serving()), 305)
    assert (verdict.result, verdict.reason) == (Result.PASS, "Passed")
    assert [(one.name, one.requests, one.canary, one.stable) for one in verdict.objectives] == [
        ("errors", 600, "0%", "0%"),
        ("p95", 600, "0%", "0%"),
        ("accuracy", 0, "", ""),
    ]


def test_a_bad_canary_fails() -> None:
    """In any step, with the objective that it breaks."""
    verdict = look(trials(serving(bad=0.5)), 155)
    assert (verdict.result, verdict.reason) == (Result.FAIL, "ErrorRateAboveLimit")
    assert verdict.objectives[0].canary == "50%"


def test_a_silent_canary_fails() -> None:
    """It is scraped, it is sent its share, and it finishes nothing."""
    prometheus = FakePrometheus()
    pod(prometheus, [7] * 40)
    pod(prometheus, [180 * k for k in range(40)], since=-29, pod_uid="s", revision=STABLE)
    verdict = look(trials(prometheus), 155)
    assert (verdict.result, verdict.reason) == (Result.FAIL, "RequestsMissing")


def test_the_first_seconds_of_a_step_are_no_silence() -> None:
    """Counts that reach back to before its weight was live are those of the weight before."""
    prometheus = FakePrometheus()
    pod(prometheus, [max(0, 20 * (k - 11)) * 9 for k in range(40)])
    pod(prometheus, [180 * k for k in range(40)], since=-21, pod_uid="s", revision=STABLE)
    raised = a_run(step=1, since=79.5)
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
    owner = 'namespace=~"models",model_deployment=~"iris"'
    both = f'{{__name__=~"{counters}",{owner},revision=~"{CANARY}|{STABLE}",entry="gateway",le=~"|[+]Inf|0[.]2"}}'
    assert prometheus.queries == [
        f'{{__name__=~"ml_request_duration_seconds_bucket",{owner},revision=~"{STABLE}",entry="gateway"}}',
        both.replace(f"{CANARY}|", ""),
        f"{both}[35000ms]",
        f"{both}[115000ms]",
        f"{both}[25000ms]",
    ]


def test_latencies_are_compared_where_stable_s_record_says() -> None:
    """At bounds that a fair share of its requests exceeded lately, beside the objective's own."""
    prometheus = FakePrometheus()
    for bound, within in (("0.05", 900), ("0.1", 990), ("0.2", 1000), ("+Inf", 1000)):
        for at, count in ((-65, 0), (-5, within)):
            prometheus.scrape(at, count, "ml_request_duration_seconds_bucket", pod_uid="r", revision=STABLE, le=bound)
    look(trials(prometheus), 5)
    assert prometheus.queries[-1].endswith(',le=~"|[+]Inf|0[.]05|0[.]1|0[.]2"}[35000ms]')


def test_what_is_slow_for_stable_is_asked_of_prometheus() -> None:
    """For objectives that have no limit; without an answer it is not known, without requests nothing is slow."""
    (wanted,) = a_spec(objectives=[{"name": "p95", "latency": {"quantile": "0.95", "maxRatio": "1.5"}}]).objectives
    prometheus = FakePrometheus()

    def slow() -> Any:
        return asyncio.run(trials(prometheus).latency_thresholds(("models", "iris"), STABLE, (wanted,), moment(0)))

    assert slow() == {}
    for bound, within in (("0.05", 900), ("0.1", 990), ("+Inf", 1000)):
        for at, count in ((-65, 0), (-5, within)):
            prometheus.scrape(at, count, "ml_request_duration_seconds_bucket", pod_uid="r", revision=STABLE, le=bound)
    assert slow() == {"p95": 0.1}
    prometheus.trouble = ValueError("not JSON")
    with pytest.raises(MetricsLostError):
        slow()


def test_a_record_of_bursts_makes_a_verdict_slower() -> None:
    """What stable does every few minutes is no reason to blame the canary."""
    calm, bursting = serving(bad=0.05), serving(bad=0.05)
    for k in range(200):
        for prometheus, errors in ((calm, 0), (bursting, 16 * sum(one % 50 < 2 for one in range(k)))):
            labels = {"pod_uid": "past", "revision": STABLE}
            prometheus.scrape(15 * k - 3_100, 200 * k, **labels)
            prometheus.scrape(15 * k - 3_100, errors, **labels, code="500")
    assert 1 < against(look(trials(bursting), 155)) < against(look(trials(calm), 155)) / 2


def against(verdict: Verdict) -> float:
    """The e-value against the error rate, of `against 79 of 89, ...`."""
    return float(verdict.objectives[0].evidence.split()[1])


def test_a_look_is_kept_until_the_next_one_is_due() -> None:
    """Unless the question is another one."""
    prometheus = serving()
    by = trials(prometheus)
    first = look(by, 100)
    asked = len(prometheus.queries)
    assert look(by, 104.9) is first
    assert len(prometheus.queries) == asked
    assert look(by, 104.9, a_run(step=1, since=104)) is not first
    assert look(by, 104.9, current=replace(STATUS, phase=Phase.WATCHING)) is not first
    assert len(prometheus.queries) == asked + 1, "the samples are of this moment"


def test_many_runs_are_asked_for_together() -> None:
    """Whoever looks first asks for all; each gets what is its own."""
    prometheus, names = FakePrometheus(), [f"iris{number}" for number in range(30)]
    for number, name in enumerate(names):
        pod(prometheus, [(10 + number) * k for k in range(40)], pod_uid=f"c{number}", model_deployment=name)
        pod(prometheus, [90 * k for k in range(40)], pod_uid=f"s{number}", revision=STABLE, model_deployment=name)
    together = trials(prometheus)
    for now in (100, 105):
        prometheus.queries.clear()
        verdicts = [look(together, now, name=name) for name in names]
    assert len(prometheus.queries) == 2
    assert verdicts == [look(trials(prometheus), 105, name=name) for name in names]
    assert len({verdict.objectives[0].requests for verdict in verdicts}) == 30


def test_looks_at_the_same_moment_do_not_disturb_each_other() -> None:
    """One asks for all while others are still at work on what they have."""
    prometheus, names = FakePrometheus(), [f"iris{number}" for number in range(12)]
    for number, name in enumerate(names):
        pod(prometheus, [(10 + number) * k for k in range(60)], pod_uid=f"c{number}", model_deployment=name)
        pod(prometheus, [90 * k for k in range(60)], pod_uid=f"s{number}", revision=STABLE, model_deployment=name)
    together = trials(prometheus)

    async def all_of_them(now: float) -> list[Verdict]:
        subjects = [Subject("models", name, a_run(), ComparedRevisions(CANARY, STABLE)) for name in names]
        moments = [moment(now + number / 100) for number in range(len(names))]
        looks = (together.verdict(one, STATUS, 0, at) for one, at in zip(subjects, moments, strict=True))
        return await asyncio.gather(*looks)

    async def for_a_while() -> list[Verdict]:
        for now in range(30, 200, 5):
            verdicts = await all_of_them(now)
        return verdicts

    assert asyncio.run(for_a_while()) == [look(trials(prometheus), 195, name=name) for name in names]


def test_runs_that_are_behind_do_not_hold_the_others_back() -> None:
    """A run that was not looked at for minutes is asked for alone."""
    prometheus = serving()
    pod(prometheus, [10 * k for k in range(40)], pod_uid="x", model_deployment="late")
    by = trials(prometheus)
    look(by, 50, name="late")
    look(by, 50)
    look(by, 100)
    look(by, 105)
    assert '"iris"' in prometheus.queries[-1]
    assert "late" not in prometheus.queries[-1]
    assert look(by, 110, name="late") == look(trials(prometheus), 110, name="late")


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
    again = replace(later, traffic_started_at=moment(160))
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
    first = (LiveWeight(10, moment(5), moment(150)),)
    for now in range(150, 155):
        look(by, now, a_run(step=1, step_started_at=None, live_weights=first))
    second = a_run(step=1, step_started_at=moment(155), live_weights=(*first, LiveWeight(50, moment(155))))
    for now in range(155, 300, 24):
        assert look(by, now, second) == look(trials(prometheus), now, second)


def test_memory_does_not_grow_with_the_run() -> None:
    """Of the samples of ticks that are told, the last one is kept."""
    prometheus = serving(scrapes=300)
    by = trials(prometheus)
    kept: set[int] = set()
    for now in range(5, 2900, 200):
        look(by, now)
        counters = by._samples["models", "iris"][1].polled.counters
        kept.add(max(len(one.times) for one in counters._known.values()))
        kept.add(max(len(one.scrapes) for one in counters.pods.values()))
    assert max(kept) <= 3


def test_while_watching_nothing_is_asked_for() -> None:
    """Only a Fail is looked for."""
    promoted = a_run(promoted_at=moment(30), step_started_at=None)
    assert look(trials(serving()), 155, promoted).reason == "Collecting"
    assert look(trials(serving(bad=0.5)), 155, promoted).result is Result.FAIL


@pytest.mark.parametrize(("errors", "result"), [(0, Result.UNDECIDED), (150, Result.FAIL)])
def test_a_canary_that_turns_bad_alone_is_found(errors: int, result: Result) -> None:
    """When stable gets no requests any more, what it did before is what the canary is held against."""
    prometheus = FakePrometheus()
    for k in range(60):
        both, alone = min(k, 30), max(0, k - 30)
        for revision, pod_uid, good, bad in (
            (CANARY, "a", 300 * both + (300 - errors) * alone, errors * alone),
            (STABLE, "b", 300 * both, 0),
        ):
            prometheus.scrape(10 * k, good, revision=revision, pod_uid=pod_uid)
            prometheus.scrape(10 * k, bad, revision=revision, pod_uid=pod_uid, code="500")
    objectives = a_spec(objectives=[{"name": "errors", "errorRate": {"maxRatio": "2"}}]).objectives
    run = a_run(objectives=objectives, promoted_at=moment(300), step_started_at=None)
    verdict = look(trials(prometheus), 595, run)
    assert verdict.result is result
    if errors:
        assert verdict.reason == "ErrorRateWorseThanBefore"
        assert against(verdict) > 1000
        assert verdict.message == (
            "errors 50% is worse than 0.5%, which is what stable's past allows (8700 counted since the promotion)"
        )


def test_without_a_stable_revision_the_canary_is_judged_alone() -> None:
    """There is no record to ask for, and nothing to compare."""
    prometheus = serving()
    subject = Subject("models", "iris", a_run(), ComparedRevisions(CANARY, None))
    verdict = asyncio.run(trials(prometheus).verdict(subject, STATUS, 0, moment(155)))
    assert verdict.objectives[0].requests == 300
    assert [query.rsplit("[")[-1] for query in prometheus.queries] == ["185000ms]"]


def test_the_time_at_a_step_counts_from_its_weight() -> None:
    """Seen live, not written."""
    waiting = a_run(step_started_at=None)
    assert look(trials(serving()), 155, waiting).message.startswith("weight 10 is not live yet")
    hour = a_run(step_started_at=moment(155) - timedelta(seconds=3))
    assert "needs 2s more at this weight" in look(trials(serving()), 155, hour).message


def test_the_rate_is_asked_for_apart() -> None:
    """What cannot be known is None, whatever the reason."""

    def rate(prometheus: Any) -> float | None:
        return asyncio.run(trials(prometheus).rate("models", "iris", STABLE, moment(0)))

    assert rate(Answering([{"metric": {}, "value": [START, "12.5"]}])) == 12.5
    assert rate(Answering([])) is None
    assert rate(Answering("a string")) is None
