"""A policy tried on the past passes its steps as the evidence comes."""

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
TRAFFIC = StableTraffic(100.0, {})


def backtest(bad: float, rate: float = 100.0) -> Backtest:
    """The policy on ten minutes in which the canary had a tenth of the requests."""
    past = list(ticks(a_recorded_run(weights=(10,), step_seconds=600.0), rate=rate, bad=bad))
    run = with_share(hypothetical_run(POLICY, TRAFFIC, "bbbbbbbbbb", "aaaaaaaaaa", BEGAN, UNTIL), past)
    return backtested(replayed(recorded(run, iter(past))))


def test_steps_are_passed_one_after_the_other() -> None:
    """Each has its requests and its time; the last Pass is the end."""
    result = backtest(bad=0.001)
    first, last = result.passed
    assert BEGAN + timedelta(seconds=5) <= first < last == result.at < UNTIL
    assert result.verdict.result is Result.PASS


def test_a_bad_canary_would_have_failed() -> None:
    """At the tick that completed the evidence, with the message that status would have had."""
    result = backtest(bad=0.3)
    assert result.passed == ()
    assert (result.verdict.result, result.at < UNTIL) == (Result.FAIL, True)
    assert "is worse than stable" in result.verdict.message


def test_a_step_without_enough_evidence_is_undecided() -> None:
    """The message says what is missing."""
    result = backtest(bad=0.001, rate=1.0)
    assert (result.passed, result.verdict.result) == ((), Result.UNDECIDED)
    assert "errors is undecided: " in result.verdict.message
    assert UNTIL - timedelta(seconds=10) < result.at <= UNTIL


def test_a_hypothetical_run_has_the_policy_and_a_weight_proven_from_the_start() -> None:
    """Without steps in the policy, it has the automatic steps for its rate."""
    run = hypothetical_run(POLICY, TRAFFIC, "b", "a", BEGAN, UNTIL)
    assert (run.steps, run.objectives) == (POLICY.rollout.canary.steps, POLICY.objectives)
    assert run.traffic_started_at == run.first_live_at == run.step_started_at == BEGAN
    without_steps = a_spec(rollout={**ROLLOUT, "canary": {}})
    assert hypothetical_run(without_steps, TRAFFIC, "b", "a", BEGAN, UNTIL).steps == automatic_steps.steps_for(100.0)


@pytest.mark.parametrize("weight", [10, 50])
def test_the_weight_is_the_share_that_the_canary_had(weight: int) -> None:
    """Without any requests it is 0."""
    past = list(ticks(a_recorded_run(weights=(weight,), step_seconds=600.0), rate=100.0))
    run = with_share(hypothetical_run(POLICY, TRAFFIC, "b", "a", BEGAN, UNTIL), past)
    assert [live.weight for live in run.live_weights] == [pytest.approx(weight, abs=1)]
    assert with_share(run, []).live_weights[0].weight == 0
