"""Evidence reaches its threshold after about as many requests as forecast."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sluice_operator.analysis.forecast import ObjectiveTraffic, of_run, provable, requests_needed
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import log_below_limit
from sluice_operator.evalues.margins import DropMarginTest, RatioMarginTest
from sluice_operator.evalues.objective import Margin
from sluice_operator.rollout.automatic_steps import steps_for

CALM = BurstLaw.unknown(1e9)


def traffic(share: float, margin: Margin, per_request: float = 1.0, steps: int = 1) -> ObjectiveTraffic:
    return ObjectiveTraffic("mine", (margin,) * steps, share, per_request)


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.0005, 0.001])
def test_a_tolerance_is_ruled_out_after_as_many_requests_as_forecast(share: float) -> None:
    """With exactly the expected number of bad requests; other alternatives only make it a little faster."""
    needed = requests_needed(traffic(share, Margin(tolerance=0.002)), 0, 0.1, 0.05)
    requests = np.array([needed])
    reached = float(log_below_limit(np.array([0.002]), requests, requests * share)[0])
    assert math.log(20) <= reached <= math.log(20) * 1.5


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_a_ratio_is_ruled_out_after_as_many_requests_as_forecast(weight: float) -> None:
    """Without bursts, tick by tick."""
    share = 0.01
    needed = requests_needed(traffic(share, Margin(ratio=2.0)), 0, weight, 0.05)
    process = RatioMarginTest(CALM, Pods(1, 1), 5.0, 2.0)
    for _ in range(20):
        canary, stable = (np.array([needed / 20 * part]) for part in (1, (1 - weight) / weight))
        process.update(Counts(canary, canary * share), Counts(stable, stable * share))
    assert float(process.log_evalue[0]) == pytest.approx(math.log(20), rel=0.02)


def test_a_drop_is_ruled_out_after_about_as_many_labels_as_forecast() -> None:
    """The e-process has to learn the share first."""
    share, weight = 0.05, 0.25
    needed = requests_needed(traffic(share, Margin(drop=0.02)), 0, weight, 0.05)
    process = DropMarginTest(0.02)
    for _ in range(50):
        canary, stable = (np.array([needed / 50 * part]) for part in (1, (1 - weight) / weight))
        process.update(Counts(canary, canary * share), Counts(stable, stable * share))
    assert float(process.log_evalue[0]) == pytest.approx(math.log(20), rel=0.1)


def test_the_fewer_requests_get_labels_the_more_requests_are_needed() -> None:
    """In proportion; without any label no number is enough."""
    all_labelled, some, none = (
        requests_needed(traffic(0.05, Margin(drop=0.02), per_request), 0, 0.1, 0.05) for per_request in (1.0, 0.1, 0.0)
    )
    assert some == pytest.approx(10 * all_labelled)
    assert none == math.inf


def test_a_share_that_equals_its_tolerance_is_never_ruled_out() -> None:
    """With any number of requests."""
    assert requests_needed(traffic(0.01, Margin(tolerance=0.01)), 0, 0.1, 0.05) == math.inf


def test_a_run_takes_as_long_as_its_slowest_objective_step_by_step() -> None:
    """Each step takes at least its own requests and time."""
    steps = steps_for(100)
    fast, slow = traffic(0.0, Margin(tolerance=0.1), steps=3), traffic(0.001, Margin(ratio=2.0), steps=3)
    both, only_fast = of_run([fast, slow], steps, 100, 0.05), of_run([fast], steps, 100, 0.05)
    assert both.seconds[0] > only_fast.seconds[0]
    assert only_fast.requests == (100, 100, 100)
    assert only_fast.seconds == (10, 10, 10)
    assert of_run([], steps, 0.0, 0.05).total == math.inf


def test_more_traffic_is_never_slower() -> None:
    """With the same steps."""
    steps, errors = steps_for(100), traffic(0.001, Margin(ratio=2.0, tolerance=0.001), steps=3)
    totals = [of_run([errors], steps, rate, 0.05).total for rate in (10, 100, 1000)]
    assert totals == sorted(totals, reverse=True)


def test_margins_are_widened_until_they_can_be_ruled_out_in_time() -> None:
    """By 1 if they are wide enough; infinitely if no factor is enough."""
    steps, errors = steps_for(1), traffic(0.001, Margin(ratio=2.0, tolerance=0.001), steps=2)
    own = of_run([errors], steps, 1, 0.05).total
    assert provable([errors], steps, 1, 0.05, own) == 1
    factor = provable([errors], steps, 1, 0.05, own / 2)
    assert 1 < factor < math.inf
    wider = traffic(0.001, errors.margins[0].widened(factor), steps=2)
    assert of_run([wider], steps, 1, 0.05).total <= own / 2
    assert provable([errors], steps, 0.0001, 0.05, 60) == math.inf
