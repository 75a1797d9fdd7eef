"""A look waits two seconds for Prometheus or the gateway, and hears the answer later. Time is simulated."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from sluice_operator.api.observation import Crashes
from sluice_operator.api.run import Phase
from sluice_operator.api.status import METRICS_UNAVAILABLE, Result, Status, Verdict
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.controller.patience import Patience, PatientEvaluator
from sluice_operator.controller.run_samples import Subject
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


KEY = ("models", "iris")


class Asked:
    """Asks questions that take so many seconds, in looks that wait two seconds each. Answers are counted up."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.begun, self.woken = seconds, 0, list[float]()
        self.patience = Patience[int](lambda _: self.woken.append(asyncio.get_running_loop().time()))

    async def look(self, question: str = "?", patience: float = 2.0) -> int | None:
        return await self.patience.answer(KEY, question, self._work, asyncio.get_running_loop().time() + patience)

    async def _work(self) -> int:
        self.begun += 1
        number = self.begun
        await asyncio.sleep(self.seconds)
        return number


def test_an_answer_that_nobody_waits_for_any_more_wakes_the_object() -> None:
    """The next look has it at once. One that was waited for wakes nobody."""

    async def scenario() -> None:
        asked = Asked(5)
        assert await asked.look() is None
        await asyncio.sleep(4)
        assert asked.woken == [5]
        assert (await asked.look(patience=0), asked.begun) == (1, 1)
        asked.seconds = 1
        assert (await asked.look(), asked.woken) == (2, [5])

    simulated(scenario)


def test_until_a_new_answer_is_there_the_one_before_stands() -> None:
    """So that a slow gateway does not change what is told with every look; but not for ever."""

    async def scenario() -> None:
        asked = Asked(1)
        assert await asked.look() == 1
        asked.seconds = 1000
        assert await asked.look() == 1
        asked.patience.forget(KEY)
        assert await asked.look() is None

        asked = Asked(1)
        assert await asked.look() == 1
        await asyncio.sleep(31)
        asked.seconds = 1000
        assert await asked.look() is None

    simulated(scenario)


def test_an_answer_to_another_question_is_never_given() -> None:
    """A weight that was written meanwhile is another question, and its proof does not wait for the old one's."""

    async def scenario() -> None:
        asked = Asked(5)
        assert await asked.look("weight 10") is None
        asked.seconds = 1
        assert (await asked.look("weight 0"), asked.woken) == (2, [])

    simulated(scenario)


def test_an_object_that_is_forgotten_during_a_look_ends_it() -> None:
    """Without an answer, and without harm to the worker."""

    async def scenario() -> None:
        asked = Asked(5)
        look = asyncio.create_task(asked.look())
        await asyncio.sleep(1)
        asked.patience.forget(KEY)
        assert await look is None

    simulated(scenario)
