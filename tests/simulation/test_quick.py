"""The main results of docs/simulation.md with few runs, for every change. A wrong formula breaks these bounds."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sluice_operator.analysis.default_objectives import default_objectives
from sluice_operator.api.spec import Objective
from sluice_operator.evalues.clumps import UNKNOWN_DIVISOR
from tests.simulation.evidence import LIMITS, WITH_REFUSALS
from tests.simulation.figures import medians_until_rollback
from tests.simulation.plan import full_study
from tests.simulation.report import page
from tests.simulation.runner import Outcomes, PolicyMaker, simulate
from tests.simulation.scenarios import SCENARIOS, USUAL
from tests.simulation.sluice import Automatic
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
from tests.simulation.world import Quality


def test_identical_canaries_are_not_rolled_back_in_a_calm_service() -> None:
    """Of 100 identical canaries, at most 5 are rolled back in 12 minutes with an evaluation at every tick."""
    outcomes = _outcomes(TIMED, "calm, errors 0.1 %", runs=100, minutes=12)
    assert outcomes.rolled_back.sum() <= 5


def test_identical_canaries_are_not_rolled_back_for_bursts_of_one_revision() -> None:
    """A burst of one revision is not a regression in a service whose baseline has such bursts."""
    outcomes = _outcomes(TIMED, "bursts of one revision at a time, one in ten minutes", runs=100, minutes=8)
    assert outcomes.rolled_back.sum() <= 5


@pytest.mark.parametrize("clumps", ["slow requests in clumps of 5", "errors and labels in clumps of 20"])
def test_identical_canaries_are_not_rolled_back_for_clumps(clumps: str) -> None:
    """Bad requests come together, as in the baseline. Counted one by one, most canaries of the first row fail."""
    outcomes = _outcomes(TIMED, clumps, runs=100, minutes=12)
    assert outcomes.rolled_back.sum() <= 5


def test_an_incident_in_both_revisions_causes_no_rollback() -> None:
    """The incident begins with the run and takes both revisions over all limits."""
    outcomes = _outcomes(HEAVY, "both revisions over all limits from the first tick", runs=100, minutes=4)
    assert not outcomes.rolled_back.any()


def test_a_good_canary_is_not_rolled_back_in_the_watch() -> None:
    """None of 25 good canaries is rolled back after its promotion."""
    outcomes = _outcomes(WATCHED, "calm, errors 0.1 %", runs=25, minutes=25)
    assert not outcomes.rolled_back.any()


@pytest.mark.parametrize(
    ("regression", "max_requests"), [("errors 0.1 → 5 %", 150), ("p95 +50 %", 150), ("accuracy 0.95 → 0.80", 150)]
)
def test_clear_regressions_cost_few_requests(regression: str, max_requests: float) -> None:
    """Half of the bad canaries are rolled back after the requests of two or three scrapes, and none is promoted."""
    outcomes = _outcomes(AUTOMATIC, regression, runs=100, minutes=5)
    assert outcomes.rolled_back.all()
    assert medians_until_rollback(outcomes)[1] <= max_requests


def test_refusals_cost_limits_that_are_broken_little() -> None:
    """A spec with limits only compares nothing but refusals, which every run has. The canary has 5 % errors."""
    world = replace(USUAL, rate=20, canary=Quality(errors=0.05))

    def requests_until_rollback(objectives: Sequence[Objective]) -> float:
        make = partial(Automatic, objectives=objectives)
        outcomes = simulate(world, make, runs=60, minutes=10, random=np.random.default_rng(1))
        assert outcomes.rolled_back.all()
        return medians_until_rollback(outcomes)[1]

    with_refusals = requests_until_rollback((*LIMITS, *default_objectives(LIMITS)))
    assert with_refusals <= 1.3 * requests_until_rollback(LIMITS)


def test_refusals_cost_a_healthy_canary_no_time_and_a_refusing_one_its_run() -> None:
    """Each run has this objective. Both revisions refuse 1 %; then the canary refuses 5 % more, or everybody."""
    make = partial(Automatic, objectives=WITH_REFUSALS)
    callers = Quality(refused=0.01)

    def outcomes(refused: float, make: PolicyMaker = make) -> Outcomes:
        world = replace(USUAL, rate=1000, stable=callers, canary=Quality(refused=refused))
        return simulate(world, make, runs=30, minutes=10, random=np.random.default_rng(1))

    with_refusals, without = outcomes(0.01), outcomes(0.01, Automatic)
    assert with_refusals.rolled_back.sum() <= 2
    assert with_refusals.median_seconds(with_refusals.promoted) <= 1.1 * without.median_seconds(without.promoted)
    assert medians_until_rollback(outcomes(1.0))[0] <= 10
    assert medians_until_rollback(outcomes(0.06))[0] <= 60


def test_without_errors_the_margin_is_ruled_out_by_the_tolerance() -> None:
    """It takes about ln(40 / 0.3) / 0.001 requests, and not fewer than ln(20) / 0.001, times 1.5.

    A baseline without errors does not show whether they come in clumps.
    """
    outcomes = _outcomes(CLEARS_ERRORS, "calm, no errors", runs=20, minutes=15)
    assert outcomes.promoted.all()
    counted = outcomes.median_exposed(outcomes.promoted) / UNKNOWN_DIVISOR
    assert np.log(20) / 0.001 < counted < 1.2 * np.log(40 / 0.3) / 0.001


def test_the_margin_of_a_canary_at_the_margin_is_not_ruled_out() -> None:
    """Twice stable's errors is ruled out for at most 10 of 100 canaries that have them (on average, 5 are allowed)."""
    outcomes = _outcomes(CLEARS_ERRORS, "errors exactly twice stable's, calm", runs=100, minutes=20)
    assert outcomes.promoted.sum() <= 10


def test_clumps_do_not_rule_out_the_margin() -> None:
    """As above. Counted one by one, a quarter would be cleared."""
    outcomes = _outcomes(CLEARS_ERRORS, "errors exactly twice stable's, in clumps of 5", runs=100, minutes=60)
    assert outcomes.promoted.sum() <= 10


def test_healthy_canaries_are_promoted_in_minutes() -> None:
    """At 1,000 requests per second, half of the healthy canaries are promoted within two minutes."""
    outcomes = _outcomes(AUTOMATIC, "calm, errors 0.1 %", runs=50, minutes=10, rate=1000)
    assert outcomes.median_seconds(outcomes.promoted) <= 120


@pytest.mark.parametrize(
    ("rival", "canary", "ends"),
    [
        (FLAGGER, "errors 0.1 → 5 %", 6 * 60),  # five failed checks, acted upon at the sixth
        (FLAGGER, "calm, errors 0.1 %", 5 * 60),  # five good checks
        (ARGO_GUIDES, "errors 0.1 → 5 %", 4 * 300),  # the fourth failure, one more than the limit
        (ARGO, "calm, errors 0.1 %", 40 * 60),  # four steps of ten minutes
    ],
)
def test_rivals_end_when_their_documentation_says(rival: str, canary: str, ends: float) -> None:
    """A clear case ends exactly with the check that follows from the rival's documentation."""
    assert set(_outcomes(rival, canary, runs=5, minutes=60, rate=1000).seconds) == {ends}


def test_the_page_has_a_row_for_every_scenario() -> None:
    """Even if no run of the full study was decided."""
    no_run = np.zeros(1, bool)
    undecided = Outcomes(no_run, no_run, np.full(1, np.inf), np.ones(1), np.ones(1))
    text = page({planned.cell: undecided for planned in full_study(1)}, runs=1)
    assert all(f"| {name} |" in text for name in SCENARIOS)


def _outcomes(policy: str, scenario: str, runs: int, minutes: float, rate: float = 100) -> Outcomes:
    (batch,) = batches(Planned(Cell(policy, scenario, rate), runs, minutes))
    return run(batch)
