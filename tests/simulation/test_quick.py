"""The promises in small, for every change: at 100 requests per second, with bounds that a wrong formula breaks."""

import numpy as np
import pytest

from tests.simulation.figures import back
from tests.simulation.plan import full
from tests.simulation.report import page
from tests.simulation.runner import Outcomes
from tests.simulation.scenarios import EVERY
from tests.simulation.study import (
    ARGO,
    ARGO_GUIDES,
    AUTOMATIC,
    CLEARS_ERRORS,
    FLAGGER,
    HEAVY,
    TIMED,
    WATCHED,
    Cell,
    Planned,
    batches,
    run,
)


def test_identical_canaries_stay_in_a_calm_service() -> None:
    """Of 100 identical canaries at most 5 are rolled back within 12 minutes of looks."""
    outcomes = _one(TIMED, "calm, errors 0.1 %", runs=100, minutes=12)
    assert outcomes.taken_back.sum() <= 5


def test_identical_canaries_stay_where_one_arm_bursts() -> None:
    """A burst of one arm is no regression in a service whose record has such bursts."""
    outcomes = _one(TIMED, "bursts of one revision at a time, one in ten minutes", runs=100, minutes=8)
    assert outcomes.taken_back.sum() <= 5


def test_nobody_is_blamed_for_what_hits_both_arms() -> None:
    """An incident that begins with the run and takes both arms beyond all limits takes no canary back."""
    outcomes = _one(HEAVY, "both revisions over all limits from the first tick", runs=100, minutes=4)
    assert not outcomes.taken_back.any()


def test_a_good_canary_that_serves_alone_stays() -> None:
    """None of 25 good canaries is returned in the watch."""
    outcomes = _one(WATCHED, "calm, errors 0.1 %", runs=25, minutes=25)
    assert not outcomes.taken_back.any()


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
    assert np.log(20) / 0.001 < outcomes.median_exposed(outcomes.promoted) < 1.2 * np.log(40 / 0.3) / 0.001


def test_a_canary_at_the_margin_is_not_cleared() -> None:
    """Of 100 canaries with twice stable's errors at most 10 are cleared of just that (5 are allowed on average)."""
    outcomes = _one(CLEARS_ERRORS, "errors exactly twice stable's, calm", runs=100, minutes=20)
    assert outcomes.promoted.sum() <= 10


def test_healthy_canaries_are_promoted_in_minutes() -> None:
    """At 1,000 requests per second, evidence promotes half of the healthy canaries within two minutes."""
    outcomes = _one(AUTOMATIC, "calm, errors 0.1 %", runs=50, minutes=10, rate=1000)
    assert outcomes.median_seconds(outcomes.promoted) <= 120


@pytest.mark.parametrize(
    ("rival", "canary", "ends"),
    [
        (FLAGGER, "errors 0.1 → 5 %", 6 * 60),  # five failed checks, acted upon at the sixth
        (FLAGGER, "calm, errors 0.1 %", 5 * 60),  # five good ones
        (ARGO_GUIDES, "errors 0.1 → 5 %", 4 * 300),  # the fourth failure is one more than the limit
        (ARGO, "calm, errors 0.1 %", 40 * 60),  # four steps of ten minutes
    ],
)
def test_rivals_end_when_their_documentation_says(rival: str, canary: str, ends: float) -> None:
    """A clear case ends exactly with the check that the rival's documentation names."""
    assert set(_one(rival, canary, runs=5, minutes=60, rate=1000).seconds) == {ends}


def test_the_page_shows_every_row() -> None:
    """Whatever the full study found, the page has its targets and a row for every canary."""
    nobody = np.zeros(1, bool)
    undecided = Outcomes(nobody, nobody, np.full(1, np.inf), np.ones(1), np.ones(1))
    text = page({planned.cell: undecided for planned in full(1)}, runs=1)
    assert all(f"| {name} |" in text for name in EVERY)


def _one(policy: str, scenario: str, runs: int, minutes: float, rate: float = 100) -> Outcomes:
    (batch,) = batches(Planned(Cell(policy, scenario, rate), runs, minutes))
    return run(batch)
