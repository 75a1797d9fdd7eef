"""A policy tried on a time that is past takes its steps as the evidence comes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sluice_operator.api.status import Result
from sluice_operator.records.backtest import Backtest, StableTraffic, backtested, hypothetical_run, with_share
from sluice_operator.records.replay import replayed
from sluice_operator.rollout import automatic_steps
from tests.unit.sluice_operator.build import ROLLOUT, a_spec
from tests.unit.sluice_operator.recorded import BEGAN, OBJECTIVES, recorded, ticks
from tests.unit.sluice_operator.recorded import a_run as a_recorded_run

UNTIL = BEGAN + timedelta(minutes=10)
POLICY = a_spec(objectives=OBJECTIVES)
LATELY = StableTraffic(100.0, {})


def tried(bad: float, rate: float = 100.0) -> Backtest:
    """The policy on ten minutes in which the canary had a tenth of the requests."""
    told = list(ticks(a_recorded_run(weights=(10,), step_seconds=600.0), rate=rate, bad=bad))
    run = with_share(hypothetical_run(POLICY, LATELY, "bbbbbbbbbb", "aaaaaaaaaa", BEGAN, UNTIL), told)
    return backtested(replayed(recorded(run, iter(told))))


def test_steps_are_passed_one_after_the_other() -> None:
    """Each with the requests and the time that it asks for; the last Pass ends it."""
    found = tried(bad=0.001)
    first, last = found.passed
    assert BEGAN + timedelta(seconds=5) <= first < last == found.at < UNTIL
    assert found.verdict.result is Result.PASS


def test_a_bad_canary_would_have_failed() -> None:
    """At the tick at which the evidence was there, with the sentence that status would have had."""
    found = tried(bad=0.3)
    assert found.passed == ()
    assert (found.verdict.result, found.at < UNTIL) == (Result.FAIL, True)
    assert "is worse than stable" in found.verdict.message


def test_what_is_not_proven_in_time_is_undecided() -> None:
    """With what is still needed."""
    found = tried(bad=0.001, rate=1.0)
    assert (found.passed, found.verdict.result) == ((), Result.UNDECIDED)
    assert "errors is undecided: " in found.verdict.message
    assert UNTIL - timedelta(seconds=10) < found.at <= UNTIL


def test_a_rehearsed_run_follows_the_policy_with_its_weight_proven_from_the_start() -> None:
    """Or the steps that would have been chosen for its rate."""
    run = hypothetical_run(POLICY, LATELY, "b", "a", BEGAN, UNTIL)
    assert (run.steps, run.objectives) == (POLICY.rollout.canary.steps, POLICY.objectives)
    assert run.traffic_started_at == run.first_live_at == run.step_started_at == BEGAN
    free = a_spec(rollout={**ROLLOUT, "canary": {}})
    assert hypothetical_run(free, LATELY, "b", "a", BEGAN, UNTIL).steps == automatic_steps.steps_for(100.0)


@pytest.mark.parametrize("weight", [10, 50])
def test_the_weight_is_the_share_that_the_canary_had(weight: int) -> None:
    """It says nothing of silence."""
    told = list(ticks(a_recorded_run(weights=(weight,), step_seconds=600.0), rate=100.0))
    run = with_share(hypothetical_run(POLICY, LATELY, "b", "a", BEGAN, UNTIL), told)
    assert [one.weight for one in run.live_weights] == [pytest.approx(weight, abs=1)]
    assert with_share(run, []).live_weights[0].weight == 0
