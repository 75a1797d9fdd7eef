"""The promises in small, for every change: at 100 requests per second, with bounds that a wrong formula breaks."""

import numpy as np
import pytest

from tests.simulation.figures import back
from tests.simulation.runner import Outcomes
from tests.simulation.study import AUTOMATIC, CLEARS_ERRORS, TIMED, Cell, Planned, batches, run


def test_identical_canaries_stay_in_a_calm_service() -> None:
    """Of 100 identical canaries at most 5 are taken back within 15 minutes of looks."""
    outcomes = _one(TIMED, "calm, errors 0.1 %", runs=100, minutes=15)
    assert outcomes.taken_back.sum() <= 5


def test_identical_canaries_stay_where_one_arm_bursts() -> None:
    """A burst of one arm is no regression in a service whose record has such bursts."""
    outcomes = _one(TIMED, "one-arm bursts, one in ten minutes", runs=100, minutes=10)
    assert outcomes.taken_back.sum() <= 5


@pytest.mark.parametrize(
    ("regression", "most"), [("errors 0.1 → 5 %", 150), ("p95 +50 %", 150), ("accuracy 0.95 → 0.80", 150)]
)
def test_clear_regressions_cost_few_requests(regression: str, most: float) -> None:
    """Half of the bad canaries are gone after as many requests as two or three scrapes see, and none is promoted."""
    outcomes = _one(AUTOMATIC, regression, runs=100, minutes=5)
    assert outcomes.taken_back.all()
    assert back(outcomes)[1] <= most


def test_no_errors_at_all_clear_a_canary() -> None:
    """Without any error, the margin is ruled out by about ln(40) over the tolerance of requests, and no sooner."""
    outcomes = _one(CLEARS_ERRORS, "calm, no errors", runs=20, minutes=10)
    assert outcomes.promoted.all()
    assert np.log(20) / 0.001 < outcomes.median_exposed(outcomes.promoted) < 1.2 * np.log(40) / 0.001


def _one(policy: str, scenario: str, runs: int, minutes: float) -> Outcomes:
    (batch,) = batches(Planned(Cell(policy, scenario, 100), runs, minutes))
    return run(batch)
