"""What a forecast says is what the evidence then does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sluice_operator.analysis.forecast import Stream, of_run, provable, requests_needed
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import log_below_limit
from sluice_operator.evalues.margins import DropMarginTest, RatioMarginTest
from sluice_operator.evalues.objective import Margin
from sluice_operator.rollout.automatic_steps import steps_for

CALM = BurstLaw.unknown(1e9)


def stream(share: float, margin: Margin, per_request: float = 1.0, steps: int = 1) -> Stream:
    return Stream("one", (margin,) * steps, share, per_request)


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.0005, 0.001])
def test_a_tolerance_is_ruled_out_after_as_many_requests_as_forecast(share: float) -> None:
    """With exactly as many bad ones as expected; other alternatives of the mixture only make it a little quicker."""
    needed = requests_needed(stream(share, Margin(tolerance=0.002)), 0, 0.1, 0.05)
    requests = np.array([needed])
    reached = float(log_below_limit(np.array([0.002]), requests, requests * share)[0])
    assert math.log(20) <= reached <= math.log(20) * 1.5


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_a_ratio_is_ruled_out_after_as_many_requests_as_forecast(weight: float) -> None:
    """In a world without bursts, tick by tick."""
    share = 0.01
    needed = requests_needed(stream(share, Margin(ratio=2.0)), 0, weight, 0.05)
    process = RatioMarginTest(CALM, Pods(1, 1), 5.0, 2.0)
    for _ in range(20):
        canary, stable = (np.array([needed / 20 * part]) for part in (1, (1 - weight) / weight))
        process.update(Counts(canary, canary * share), Counts(stable, stable * share))
    assert float(process.log_evalue[0]) == pytest.approx(math.log(20), rel=0.02)


def test_a_drop_is_ruled_out_after_about_as_many_labels_as_forecast() -> None:
    """The e-process has to learn the share first."""
    share, weight = 0.05, 0.25
    needed = requests_needed(stream(share, Margin(drop=0.02)), 0, weight, 0.05)
    process = DropMarginTest(0.02)
    for _ in range(50):
        canary, stable = (np.array([needed / 50 * part]) for part in (1, (1 - weight) / weight))
        process.update(Counts(canary, canary * share), Counts(stable, stable * share))
    assert float(process.log_evalue[0]) == pytest.approx(math.log(20), rel=0.1)


def test_labels_that_few_requests_get_take_as_many_times_more_requests() -> None:
    """And none at all never comes to an end."""
    all_labelled, some, none = (
        requests_needed(stream(0.05, Margin(drop=0.02), per_request), 0, 0.1, 0.05) for per_request in (1.0, 0.1, 0.0)
    )
    assert some == pytest.approx(10 * all_labelled)
    assert none == math.inf


def test_a_share_on_its_margin_is_never_proven_to_be_inside() -> None:
    """Whatever the traffic."""
    assert requests_needed(stream(0.01, Margin(tolerance=0.01)), 0, 0.1, 0.05) == math.inf


def test_a_run_takes_as_long_as_its_slowest_objective_step_by_step() -> None:
    """Requests at a larger weight come faster; a step has its own least requests and time."""
    steps = steps_for(100)
    quick, slow = stream(0.0, Margin(tolerance=0.1), steps=3), stream(0.001, Margin(ratio=2.0), steps=3)
    both, alone = of_run([quick, slow], steps, 100, 0.05), of_run([quick], steps, 100, 0.05)
    assert both.seconds[0] > alone.seconds[0]
    assert alone.requests == (100, 100, 100)
    assert alone.seconds == (10, 10, 10)
    assert of_run([], steps, 0.0, 0.05).total == math.inf


def test_more_traffic_is_never_slower() -> None:
    """As long as the steps are the same."""
    steps, one = steps_for(100), stream(0.001, Margin(ratio=2.0, tolerance=0.001), steps=3)
    totals = [of_run([one], steps, rate, 0.05).total for rate in (10, 100, 1000)]
    assert totals == sorted(totals, reverse=True)


def test_what_can_be_proven_in_time_is_the_smallest_widening_that_fits() -> None:
    """1 for the margins as they are; infinite when none fits."""
    steps, one = steps_for(1), stream(0.001, Margin(ratio=2.0, tolerance=0.001), steps=2)
    own = of_run([one], steps, 1, 0.05).total
    assert provable([one], steps, 1, 0.05, own) == 1
    factor = provable([one], steps, 1, 0.05, own / 2)
    assert 1 < factor < math.inf
    wider = stream(0.001, one.margins[0].widened(factor), steps=2)
    assert of_run([wider], steps, 1, 0.05).total <= own / 2
    assert provable([one], steps, 0.0001, 0.05, 60) == math.inf
