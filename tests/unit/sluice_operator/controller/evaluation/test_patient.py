"""A look waits two seconds for a verdict, and hears it later. Time is simulated."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from sluice_operator.api.observation import Crashes
from sluice_operator.api.run import Phase
from sluice_operator.api.status import METRICS_UNAVAILABLE, Result, Status, Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.patient import PatientEvaluator
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.reader import Reader
from tests.unit.sluice_operator.build import NOW, PASS, revision, stepping, watching
from tests.unit.sluice_operator.fake_prometheus import FakePrometheus
from tests.unit.sluice_operator.simulated_time import simulated

NONE = Crashes(0)


class Slow(Evaluator):
    """Needs so many seconds for a verdict."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Reader(FakePrometheus()), Intervals(5, 5))
        self.seconds, self.asked = seconds, 0

    async def verdict(self, *_: Any) -> Verdict:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        return PASS


async def look(patient: PatientEvaluator, current: Status, crashes: Crashes = NONE) -> Verdict | None:
    assert current.run is not None
    compared = ComparedRevisions(revision(2).revision, revision(1).revision)
    subject = Subject("models", "iris", current.run, compared)
    return await asyncio.wait_for(patient.verdict(subject, current, crashes, NOW), 2.1)


STEPPING, WATCHING = stepping().status, watching().status


def test_a_quick_verdict_is_there_at_once() -> None:
    """As if nobody had waited."""

    async def scenario() -> None:
        assert await look(PatientEvaluator(Slow(1)), STEPPING) == PASS

    simulated(scenario)


def test_a_slow_verdict_comes_with_a_later_look() -> None:
    """It was asked for once, and until it is there nothing is known."""

    async def scenario() -> None:
        slow = Slow(5)
        patient = PatientEvaluator(slow)
        assert [await look(patient, STEPPING) for _ in range(3)] == [None, None, PASS]
        assert slow.asked == 1

    simulated(scenario)


def test_a_verdict_on_another_step_is_dropped() -> None:
    """The step has changed meanwhile, and its Pass must not pass the next one."""

    async def scenario() -> None:
        patient = PatientEvaluator(Slow(3))
        assert await look(patient, STEPPING) is None
        assert STEPPING.run is not None
        assert await look(patient, replace(STEPPING, run=replace(STEPPING.run, step=1))) is None

    simulated(scenario)


def test_a_prometheus_that_never_answers_is_told_after_ten_seconds() -> None:
    """The verdict is that there are no metrics, which holds the run."""

    async def scenario() -> None:
        patient = PatientEvaluator(Slow(3600))
        verdicts = [await look(patient, STEPPING) for _ in range(6)]
        assert verdicts[:4] == [None] * 4
        assert verdicts[-1] is not None
        assert (verdicts[-1].reason, verdicts[-1].message) == (
            METRICS_UNAVAILABLE,
            "Prometheus has not answered for 12 s",
        )

    simulated(scenario)


def test_a_watch_does_not_end_because_nothing_is_known() -> None:
    """Its rule asks whether metrics are missing, so that is told at once."""

    async def scenario() -> None:
        assert WATCHING.phase is Phase.WATCHING
        verdict = await look(PatientEvaluator(Slow(5)), WATCHING)
        assert verdict is not None
        assert verdict.reason == METRICS_UNAVAILABLE

    simulated(scenario)


def test_a_canary_that_crashes_fails_though_prometheus_hangs() -> None:
    """Crashes are known from the pods."""

    async def scenario() -> None:
        patient = PatientEvaluator(Slow(3600))
        verdicts = [await look(patient, STEPPING, Crashes(5)) for _ in range(6)]
        assert verdicts[-1] is not None
        assert verdicts[-1].result is Result.FAIL

    simulated(scenario)
