"""A replay gives what the operator had: the same numbers at each look, and the same verdict at the end."""

from __future__ import annotations

import asyncio
import math
from itertools import groupby
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.analysis.verdict import VERDICT_VERSION
from sluice_operator.api.status import (
    METRICS_UNAVAILABLE,
    LiveWeight,
    ObjectiveVerdict,
    Outcome,
    Phase,
    Result,
    RevisionRef,
    Run,
    Verdict,
)
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.controller.run_samples import Subject
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.records import run_record
from sluice_operator.records.replay import Replay, replayed
from sluice_operator.records.run_record import RunRecord
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.fake_prometheus import (
    CANARY,
    STABLE,
    STATUS,
    FakePrometheus,
    a_run,
    look,
    moment,
    serving,
    trials,
)
from tests.unit.sluice_operator.recorded import OBJECTIVES, recorded, ticks
from tests.unit.sluice_operator.recorded import a_run as a_recorded_run

TERMS: dict[str, Any] = {
    "objectives": a_spec(objectives=OBJECTIVES).objectives,
    "canary": RevisionRef(revision=CANARY, model="models:/iris/2"),
    "stable": RevisionRef(revision=STABLE, model="models:/iris/1"),
}
FIRST = a_run(**TERMS)
RAISED = (LiveWeight(10, moment(5), moment(150)), LiveWeight(50, moment(153)))
SECOND = a_run(step=1, since=153, live_weights=RAISED, **TERMS)


def run_at(now: float) -> Run:
    return FIRST if now < 150 else SECOND


def ended(run: Run, at: float, verdict: Verdict) -> Run:
    return replace(run, ended_at=moment(at), outcome=Outcome.REJECTED, reason=verdict.reason, message=verdict.message)


def record_of(by: Evaluator, run: Run, last: Verdict) -> RunRecord:
    subject = Subject("models", "iris", run, ComparedRevisions(CANARY, STABLE))
    known = asyncio.run(by.ended(subject, replace(STATUS, verdict=last, phase=Phase.ROLLING_BACK)))
    assert known is not None
    return run_record.decoded(run_record.encoded(run_record.of_run("models", "iris", run, known)))


def numbers(findings: tuple[Finding, ...]) -> list[float]:
    """All log e-values and counts in a row."""
    return [
        value
        for one in findings
        for value in (*one.canary, *one.stable, one.worse, one.over_limit, one.worse_now, *one.non_inferior)
        if value is not None
    ]


def kept_trial(by: Evaluator) -> RunEvidence:
    return by._samples["models", "iris"][1].evidence


@pytest.mark.parametrize("restarts", [(), (95,), (50, 155, 290)])
@pytest.mark.parametrize("bad", [0.0, 0.01, 0.4])
def test_a_replay_has_the_numbers_that_the_operator_had(bad: float, restarts: tuple[int, ...]) -> None:
    """At each of its looks, also when it was restarted in between; and the same last verdict."""
    prometheus = serving(bad=bad)
    by, seen = trials(prometheus), dict[int, tuple[list[float], float]]()
    for now in range(5, 301, 5):
        by = trials(prometheus) if now in restarts else by
        run = run_at(now)
        verdict = look(by, now, run)
        trial = kept_trial(by)
        found = trial.findings(run, moment(now).timestamp(), 30.0)
        seen[len(trial.ticks)] = numbers(found.objectives), found.silent
        if verdict.result is Result.FAIL:
            break
    again = replayed(record_of(by, ended(run, now, verdict), verdict))
    assert again.verdict == verdict
    assert list(again.differences()) == []
    assert len(again.ticks) == max(seen)
    for index, (expected, silent) in seen.items():
        if index:
            told = again.ticks[index - 1]
            assert numbers(told.objectives) == pytest.approx(expected, abs=1e-9, rel=1e-9)
            if told.step == run_at(told.tick.end).step:
                assert silent == pytest.approx(told.silent, abs=1e-9, rel=1e-9)
    assert [one for one in again.ticks if one.failing(again.thresholds)] == (
        [again.ticks[-1]] if verdict.result is Result.FAIL else []
    )


@pytest.mark.parametrize("bad", [0.0, 0.4])
def test_a_record_that_is_written_after_a_crash_is_the_same(bad: float) -> None:
    """As long as Prometheus knows the samples."""
    prometheus = serving(bad=bad)
    by = trials(prometheus)
    for now in range(5, 301, 5):
        verdict = look(by, now, run_at(now))
        if verdict.result is Result.FAIL:
            break
    run = ended(run_at(now), now, verdict)
    assert record_of(trials(prometheus), run, verdict) == record_of(by, run, verdict)


def test_crashes_and_lost_metrics_are_recorded_as_they_were_told() -> None:
    """The one is replayed with its number, the other cannot be compared."""
    prometheus = serving()
    by = trials(prometheus)
    crashed = look(by, 100, FIRST, crashes=4)
    again = replayed(record_of(by, ended(FIRST, 100, crashed), crashed))
    assert (again.verdict.reason, list(again.differences())) == ("CanaryCrashing", [])
    later = record_of(trials(prometheus), ended(FIRST, 100, crashed), crashed)
    assert replayed(later).incomparable == (
        "how often containers ended was not known any more when the record was written"
    )
    prometheus.trouble = ValueError("refused")
    lost = look(by, 200, FIRST)
    record = record_of(by, ended(FIRST, 200, lost), lost)
    assert record.last_evaluation.verdict.reason == METRICS_UNAVAILABLE
    assert replayed(record).incomparable == "the last evaluation saw no metrics: Prometheus gave no answer: refused"


def test_a_run_that_nobody_called_has_no_record() -> None:
    """Neither from memory nor from Prometheus."""
    subject = Subject(
        "models", "iris", ended(FIRST, 100, look(trials(FakePrometheus()), 100)), ComparedRevisions(CANARY, STABLE)
    )
    assert asyncio.run(trials(FakePrometheus()).ended(subject, STATUS)) is None


def told(**changes: Any) -> Replay:
    run = a_recorded_run(step_seconds=100.0, **changes)
    return replayed(recorded(run, ticks(run)))


def weights(again: Replay) -> list[int | None]:
    """One after the other."""
    return [weight for weight, _ in groupby(one.weight for one in again.ticks)]


def test_moments_say_which_weight_was_live() -> None:
    """And none while it changed; the step is the one whose weight was seen last."""
    again = told()
    assert weights(again) == [10, 50]
    assert {one.step for one in again.ticks if one.weight == 50} == {1}
    assert again.ticks[-1].passed(again.thresholds) == (True, True, True)


def test_after_the_swap_all_requests_are_the_canary_s() -> None:
    """While it was watched."""
    record = told().record
    live = (record.run.live_weights[0], replace(record.run.live_weights[1], until=moment(0)))
    short = replace(live[1], until=record.run.live_weights[1].since)
    run = replace(record.run, live_weights=(live[0], short), promoted_at=short.since)
    assert weights(replayed(replace(record, run=run))) == [10, 100]


def test_a_verdict_that_is_another_one_is_told() -> None:
    """With what was recorded and what is replayed."""
    record = told().record
    other = replace(
        record,
        last_evaluation=replace(
            record.last_evaluation, verdict=replace(record.last_evaluation.verdict, message="something else")
        ),
    )
    assert list(replayed(other).differences()) == [
        f'message: recorded "something else", replayed "{record.last_evaluation.verdict.message}"'
    ]
    assert list(replayed(replace(other, dropped_ticks=3)).differences()) == []
    assert replayed(replace(other, dropped_ticks=3)).incomparable == "the record lacks the first 3 ticks of the run"


def test_other_evidence_is_told() -> None:
    """Beyond what another machine may round: a verdict may be the same by luck."""
    record = told().record
    near, far = (
        replace(record, evidence={**record.evidence, "errors": tuple(log + by for log in record.evidence["errors"])})
        for by in (1e-12, 1e-6)
    )
    assert list(replayed(near).differences()) == []
    (difference,) = replayed(far).differences()
    assert difference.startswith("errors, log e-values: recorded (")


def test_other_rules_may_say_something_else() -> None:
    """A record tells by which version of the rules it was judged."""
    run = a_recorded_run(step_seconds=100.0)
    again = replayed(replace(recorded(run, ticks(run)), verdict_version=0))
    assert again.incomparable == f"it was reached by the rules of version 0, this program has version {VERDICT_VERSION}"
    assert list(again.differences()) == []


def test_what_was_said_of_a_query_is_kept() -> None:
    """Its measurements are not in the record; a dry run moves no family."""
    query = {"name": "mine", "query": {"expr": "vector(1)", "interval": "30s", "failureLimit": 1, "max": "2"}}
    errors = {**OBJECTIVES[0], "dryRun": True}
    run = a_recorded_run(step_seconds=100.0, objectives=a_spec(objectives=[errors, query]).objectives)
    record = recorded(run, ticks(run, bad=0.4))
    said = ObjectiveVerdict("mine", Result.FAIL, "QueryOutsideLimit", "3", limit="at most 2", requests=7)
    verdict = replace(record.last_evaluation.verdict, objectives=(*record.last_evaluation.verdict.objectives, said))
    again = replayed(replace(record, last_evaluation=replace(record.last_evaluation, verdict=verdict)))
    assert (again.verdict.result, again.verdict.reason) == (Result.FAIL, "QueryOutsideLimit")
    assert again.verdict.objectives[-1] == said
    assert not any(one.failing(again.thresholds) for one in again.ticks)


def test_families_are_averages() -> None:
    """Of e-values, over the objectives that ask for them."""
    last = told().ticks[-1]
    errors, p95, accuracy = last.objectives
    assert errors.worse is not None
    assert accuracy.worse is not None
    assert p95.worse is None
    assert math.exp(last.comparison) == pytest.approx((math.exp(errors.worse) + math.exp(accuracy.worse)) / 2)
