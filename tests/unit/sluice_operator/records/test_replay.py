"""A replay gives what the operator had: the same numbers at each evaluation, and the same verdict at the end."""

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
from sluice_operator.api.revision import RevisionRef
from sluice_operator.api.run import LiveWeight, Outcome, Phase, Run
from sluice_operator.api.status import METRICS_UNAVAILABLE, ObjectiveVerdict, Result, Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.run_samples import Subject
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
    evaluator_for,
    moment,
    serving,
    verdict_at,
)
from tests.unit.sluice_operator.recorded import OBJECTIVES, recorded, ticks
from tests.unit.sluice_operator.recorded import a_run as a_recorded_run

POLICY: dict[str, Any] = {
    "objectives": a_spec(objectives=OBJECTIVES).objectives,
    "canary": RevisionRef(revision=CANARY, model="models:/iris/2"),
    "stable": RevisionRef(revision=STABLE, model="models:/iris/1"),
}
FIRST = a_run(**POLICY)
RAISED = (LiveWeight(10, moment(5), moment(150)), LiveWeight(50, moment(153)))
SECOND = a_run(step=1, since=153, live_weights=RAISED, **POLICY)


def run_at(now: float) -> Run:
    return FIRST if now < 150 else SECOND


def ended(run: Run, at: float, verdict: Verdict) -> Run:
    return replace(run, ended_at=moment(at), outcome=Outcome.REJECTED, reason=verdict.reason, message=verdict.message)


def record_of(evaluator: Evaluator, run: Run, last: Verdict) -> RunRecord:
    subject = Subject("models", "iris", run, ComparedRevisions(CANARY, STABLE))
    ended_run = asyncio.run(evaluator.ended(subject, replace(STATUS, verdict=last, phase=Phase.ROLLING_BACK)))
    assert ended_run is not None
    return run_record.decoded(run_record.encoded(run_record.of_run("models", "iris", run, ended_run)))


def numbers(findings: tuple[Finding, ...]) -> list[float]:
    """All counts and log e-values."""
    values = [
        (*finding.canary, *finding.stable, finding.worse, finding.over_limit, finding.worse_now, *finding.non_inferior)
        for finding in findings
    ]
    return [value for of_objective in values for value in of_objective if value is not None]


def evidence_in(evaluator: Evaluator) -> RunEvidence:
    return evaluator._samples["models", "iris"][1].evidence


@pytest.mark.parametrize("restarts", [(), (95,), (50, 155, 290)])
@pytest.mark.parametrize("bad", [0.0, 0.01, 0.4])
def test_a_replay_has_the_numbers_that_the_operator_had(bad: float, restarts: tuple[int, ...]) -> None:
    """At each of its evaluations, also after restarts; and the same last verdict."""
    prometheus = serving(bad=bad)
    evaluator, by_ticks = evaluator_for(prometheus), dict[int, tuple[list[float], float]]()
    for now in range(5, 301, 5):
        evaluator = evaluator_for(prometheus) if now in restarts else evaluator
        run = run_at(now)
        verdict = verdict_at(evaluator, now, run)
        evidence = evidence_in(evaluator)
        findings = evidence.findings(run, moment(now).timestamp(), 30.0)
        by_ticks[len(evidence.ticks)] = numbers(findings.objectives), findings.silent
        if verdict.result is Result.FAIL:
            break
    replay = replayed(record_of(evaluator, ended(run, now, verdict), verdict))
    assert replay.verdict == verdict
    assert list(replay.differences()) == []
    assert len(replay.ticks) == max(by_ticks)
    for count, (expected, silent) in by_ticks.items():
        if count:
            tick = replay.ticks[count - 1]
            assert numbers(tick.objectives) == pytest.approx(expected, abs=1e-9, rel=1e-9)
            if tick.step == run_at(tick.tick.end).step:
                assert silent == pytest.approx(tick.silent, abs=1e-9, rel=1e-9)
    assert [tick for tick in replay.ticks if tick.has_failed(replay.thresholds)] == (
        [replay.ticks[-1]] if verdict.result is Result.FAIL else []
    )


@pytest.mark.parametrize("bad", [0.0, 0.4])
def test_a_restarted_operator_writes_the_same_record(bad: float) -> None:
    """As long as Prometheus has the samples."""
    prometheus = serving(bad=bad)
    evaluator = evaluator_for(prometheus)
    for now in range(5, 301, 5):
        verdict = verdict_at(evaluator, now, run_at(now))
        if verdict.result is Result.FAIL:
            break
    run = ended(run_at(now), now, verdict)
    assert record_of(evaluator_for(prometheus), run, verdict) == record_of(evaluator, run, verdict)


def test_crashes_and_lost_metrics_are_in_the_record() -> None:
    """Crashes are replayed with their number; a verdict without metrics cannot be compared."""
    prometheus = serving()
    evaluator = evaluator_for(prometheus)
    crashed = verdict_at(evaluator, 100, FIRST, crashes=4)
    replay = replayed(record_of(evaluator, ended(FIRST, 100, crashed), crashed))
    assert (replay.verdict.reason, list(replay.differences())) == ("CanaryCrashing", [])
    later = record_of(evaluator_for(prometheus), ended(FIRST, 100, crashed), crashed)
    assert replayed(later).incomparable == (
        "how often containers ended was not known any more when the record was written"
    )
    prometheus.trouble = ValueError("refused")
    lost = verdict_at(evaluator, 200, FIRST)
    record = record_of(evaluator, ended(FIRST, 200, lost), lost)
    assert record.last_evaluation.verdict.reason == METRICS_UNAVAILABLE
    assert replayed(record).incomparable == "the last evaluation saw no metrics: Prometheus gave no answer: refused"


def test_a_run_without_requests_has_no_record() -> None:
    """Neither from memory nor from Prometheus."""
    subject = Subject(
        "models",
        "iris",
        ended(FIRST, 100, verdict_at(evaluator_for(FakePrometheus()), 100)),
        ComparedRevisions(CANARY, STABLE),
    )
    assert asyncio.run(evaluator_for(FakePrometheus()).ended(subject, STATUS)) is None


def a_replay(**changes: Any) -> Replay:
    run = a_recorded_run(step_seconds=100.0, **changes)
    return replayed(recorded(run, ticks(run)))


def weights(replay: Replay) -> list[int | None]:
    """In their order, without repetitions."""
    return [weight for weight, _ in groupby(tick.weight for tick in replay.ticks)]


def test_ticks_have_the_weight_that_was_live() -> None:
    """And the step of the weight that was seen live last."""
    replay = a_replay()
    assert weights(replay) == [10, 50]
    assert {tick.step for tick in replay.ticks if tick.weight == 50} == {1}
    assert replay.ticks[-1].passed(replay.thresholds) == (True, True, True)


def test_in_the_watch_the_weight_is_100() -> None:
    """All requests go to the canary."""
    record = a_replay().record
    live = (record.run.live_weights[0], replace(record.run.live_weights[1], until=moment(0)))
    short = replace(live[1], until=record.run.live_weights[1].since)
    run = replace(record.run, live_weights=(live[0], short), promoted_at=short.since)
    assert weights(replayed(replace(record, run=run))) == [10, 100]


def test_a_different_verdict_is_reported() -> None:
    """With the recorded text and the replayed text."""
    record = a_replay().record
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


def test_different_evidence_is_reported() -> None:
    """If it is more than another machine may round: the verdict may be the same by chance."""
    record = a_replay().record
    near, far = (
        replace(
            record, evidence={**record.evidence, "errors": tuple(log + change for log in record.evidence["errors"])}
        )
        for change in (1e-12, 1e-6)
    )
    assert list(replayed(near).differences()) == []
    (difference,) = replayed(far).differences()
    assert difference.startswith("errors, log e-values: recorded (")


def test_verdicts_by_other_rules_are_not_compared() -> None:
    """A record has the version of the rules that judged it."""
    run = a_recorded_run(step_seconds=100.0)
    replay = replayed(replace(recorded(run, ticks(run)), verdict_version=0))
    assert (
        replay.incomparable == f"it was reached by the rules of version 0, this program has version {VERDICT_VERSION}"
    )
    assert list(replay.differences()) == []


def test_the_result_of_a_query_is_that_of_the_last_evaluation() -> None:
    """Its measurements are not in the record. A dry run is not part of any family."""
    query = {"name": "mine", "query": {"expr": "vector(1)", "interval": "30s", "failureLimit": 1, "max": "2"}}
    errors = {**OBJECTIVES[0], "dryRun": True}
    run = a_recorded_run(step_seconds=100.0, objectives=a_spec(objectives=[errors, query]).objectives)
    record = recorded(run, ticks(run, bad=0.4))
    query_verdict = ObjectiveVerdict("mine", Result.FAIL, "QueryOutsideLimit", "3", limit="at most 2", requests=7)
    verdict = replace(
        record.last_evaluation.verdict, objectives=(*record.last_evaluation.verdict.objectives, query_verdict)
    )
    replay = replayed(replace(record, last_evaluation=replace(record.last_evaluation, verdict=verdict)))
    assert (replay.verdict.result, replay.verdict.reason) == (Result.FAIL, "QueryOutsideLimit")
    assert replay.verdict.objectives[-1] == query_verdict
    assert not any(tick.has_failed(replay.thresholds) for tick in replay.ticks)


def test_the_e_value_of_a_family_is_the_mean_over_its_objectives() -> None:
    """Only over the objectives that ask for it."""
    last = a_replay().ticks[-1]
    errors, p95, accuracy = last.objectives
    assert errors.worse is not None
    assert accuracy.worse is not None
    assert p95.worse is None
    assert math.exp(last.comparison) == pytest.approx((math.exp(errors.worse) + math.exp(accuracy.worse)) / 2)
