"""Runs share queries: one for all that are due, only for new samples, and each run gets its own samples."""

from __future__ import annotations

import asyncio
from typing import Any

from sluice_operator.analysis.verdict import NO_CRASHES
from sluice_operator.api.status import METRICS_UNAVAILABLE, Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.session import TooLongError
from tests.unit.sluice_operator.fake_prometheus import (
    CANARY,
    STABLE,
    STATUS,
    FakePrometheus,
    a_run,
    evaluator_for,
    moment,
    pod,
    serving,
    verdict_at,
)


def test_only_new_samples_are_asked_for() -> None:
    """First the baseline, once, and which pods it has; then raw samples of the run, with an overlap for late ones."""
    prometheus = serving()
    evaluator = evaluator_for(prometheus)
    for now in (5, 100, 105):
        verdict_at(evaluator, now)
    counters = (
        "ml_requests_started_total|ml_requests_total|ml_other_requests_total|ml_feedback_total|ml_feedback_correct_total"
        "|ml_request_duration_seconds_bucket"
    )
    owner = 'namespace=~"models",model_deployment=~"iris"'
    both = f'{{__name__=~"{counters}",{owner},revision=~"{CANARY}|{STABLE}",entry="gateway",le=~"|[+]Inf|0[.]2"}}'
    of_stable = f'{owner},revision=~"{STABLE}",entry="gateway"'
    assert prometheus.queries == [
        f'{{__name__=~"ml_requests_started_total",{of_stable}}}',
        f'{{__name__=~"ml_request_duration_seconds_bucket",{of_stable}}}',
        f'{{__name__=~"ml_requests_started_total",{of_stable},le=~"|[+]Inf|0[.]2"}}',
        both.replace(f"{CANARY}|", ""),
        f"{both}[35000ms]",
        f"{both}[115000ms]",
        f"{both}[25000ms]",
    ]


def test_many_runs_share_one_query() -> None:
    """The first run that is evaluated asks for all; each run gets its own samples."""
    prometheus, names = FakePrometheus(), [f"iris{number}" for number in range(30)]
    for number, name in enumerate(names):
        pod(prometheus, [(10 + number) * scrape for scrape in range(40)], pod_uid=f"c{number}", model_deployment=name)
        pod(
            prometheus,
            [90 * scrape for scrape in range(40)],
            pod_uid=f"s{number}",
            revision=STABLE,
            model_deployment=name,
        )
    together = evaluator_for(prometheus)
    for now in (100, 111):
        prometheus.queries.clear()
        verdicts = [verdict_at(together, now, name=name) for name in names]
    assert len(prometheus.queries) == 2
    assert verdicts == [verdict_at(evaluator_for(prometheus), 111, name=name) for name in names]
    assert len({verdict.objectives[0].requests for verdict in verdicts}) == 30


def test_evaluations_at_the_same_time_do_not_disturb_each_other() -> None:
    """One run asks for all while others still read the counters that they have."""
    prometheus, names = FakePrometheus(), [f"iris{number}" for number in range(12)]
    for number, name in enumerate(names):
        pod(prometheus, [(10 + number) * scrape for scrape in range(60)], pod_uid=f"c{number}", model_deployment=name)
        pod(
            prometheus,
            [90 * scrape for scrape in range(60)],
            pod_uid=f"s{number}",
            revision=STABLE,
            model_deployment=name,
        )
    together = evaluator_for(prometheus)

    async def all_of_them(now: float) -> list[Verdict]:
        subjects = [Subject("models", name, a_run(), ComparedRevisions(CANARY, STABLE)) for name in names]
        moments = [moment(now + number / 100) for number in range(len(names))]
        pairs = zip(subjects, moments, strict=True)
        return await asyncio.gather(*(together.verdict(subject, STATUS, NO_CRASHES, at) for subject, at in pairs))

    async def for_a_while() -> list[Verdict]:
        for now in range(30, 200, 5):
            verdicts = await all_of_them(now)
        return verdicts

    assert asyncio.run(for_a_while()) == [verdict_at(evaluator_for(prometheus), 195, name=name) for name in names]


def test_a_run_that_is_far_behind_has_its_own_query() -> None:
    """A run that was not evaluated for minutes does not make the query of the others longer."""
    prometheus = serving()
    pod(prometheus, [10 * scrape for scrape in range(40)], pod_uid="x", model_deployment="late")
    evaluator = evaluator_for(prometheus)
    verdict_at(evaluator, 50, name="late")
    verdict_at(evaluator, 50)
    verdict_at(evaluator, 100)
    verdict_at(evaluator, 105)
    assert '"iris"' in prometheus.queries[-1]
    assert "late" not in prometheus.queries[-1]
    assert verdict_at(evaluator, 110, name="late") == verdict_at(evaluator_for(prometheus), 110, name="late")


def test_memory_does_not_grow_with_the_run() -> None:
    """Of the samples that are already in the evidence, only the last ones are kept."""
    prometheus = serving(scrapes=300)
    evaluator = evaluator_for(prometheus)
    samples: set[int] = set()
    scrapes: set[int] = set()
    for now in range(5, 2900, 200):
        verdict_at(evaluator, now)
        counters = evaluator._samples["models", "iris"][1].polled.counters
        samples.add(max(len(series.times) for of_pod in counters._known.values() for series in of_pod.values()))
        scrapes.add(max(len(pod.scrapes) for pod in counters.pods.values()))
    assert max(samples) <= 3
    assert max(scrapes) == 4, "as many as the time between scrapes is measured from"


class Crowded(FakePrometheus):
    """The pods of one object have more series than an answer can hold."""

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        if "crowd" in query and self.crowded:
            self.queries.append(query)
            raise TooLongError("it is longer than 32 MB, and is not read")
        return "an error page" if self.wrong else super().custom_query(query, params)

    crowded, wrong = True, False


def crowd() -> tuple[Crowded, Evaluator, list[str]]:
    """Five runs and one that spoils every answer it is in; all have begun."""
    prometheus, names = Crowded(), [*(f"iris{number}" for number in range(5)), "crowd"]
    for name in names:
        pod(prometheus, [10 * scrape for scrape in range(60)], pod_uid=f"c-{name}", model_deployment=name)
        pod(
            prometheus,
            [90 * scrape for scrape in range(60)],
            pod_uid=f"s-{name}",
            model_deployment=name,
            revision=STABLE,
        )
    prometheus.crowded = False
    evaluator = evaluator_for(prometheus)
    for now in (95, 100):
        for name in names:
            verdict_at(evaluator, now, name=name)
    prometheus.crowded = True
    return prometheus, evaluator, names


def test_a_run_with_too_many_series_takes_no_metrics_from_the_others() -> None:
    """It alone is told that its answer is too long, and from then on it is asked for alone and seldom."""
    prometheus, evaluator, names = crowd()
    found = {name: verdict_at(evaluator, 105, name=name) for name in names}
    assert [name for name, verdict in found.items() if verdict.reason == METRICS_UNAVAILABLE] == ["crowd"]
    assert "longer than 32 MB" in found["crowd"].message
    prometheus.queries.clear()
    found = {name: verdict_at(evaluator, 111, name=name) for name in names}
    assert [name for name, verdict in found.items() if verdict.reason == METRICS_UNAVAILABLE] == ["crowd"]
    assert len(prometheus.queries) == 1, "one for the others, and none for the one that would be as long again"


def test_a_run_whose_answer_is_short_again_is_judged_again() -> None:
    """With all the samples that it has missed."""
    prometheus, evaluator, names = crowd()
    for name in names:
        verdict_at(evaluator, 105, name=name)
    prometheus.crowded = False
    assert verdict_at(evaluator, 110, name="crowd").reason == METRICS_UNAVAILABLE
    assert verdict_at(evaluator, 170, name="crowd") == verdict_at(evaluator_for(prometheus), 170, name="crowd")
    assert all(verdict_at(evaluator, 175, name=name).reason != METRICS_UNAVAILABLE for name in names)


def test_an_answer_in_a_wrong_form_is_asked_for_again_at_once() -> None:
    """A proxy that gives an error page to all is back for all with the next evaluation."""
    prometheus, evaluator, names = crowd()
    prometheus.crowded, prometheus.wrong = False, True
    for name in names:
        assert verdict_at(evaluator, 105, name=name).reason == METRICS_UNAVAILABLE
    prometheus.wrong = False
    assert all(verdict_at(evaluator, 110, name=name).reason != METRICS_UNAVAILABLE for name in names)
