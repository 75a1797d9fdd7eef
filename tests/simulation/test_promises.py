"""The results of docs/simulation.md, with fewer runs. The bounds allow for chance: with a new seed, a promise that just
holds fails with a probability of about 0.001."""

import pytest
from scipy.stats import binom

from tests.simulation.figures import in_watch, medians_until_rollback
from tests.simulation.runner import Outcomes
from tests.simulation.study import (
    AUTOMATIC,
    CLEARS_ACCURACY,
    CLEARS_ERRORS,
    FLAGGER,
    HEAVY,
    TIMED,
    WATCHED,
    Cell,
    Planned,
    study,
)

PROCESSES = 2
QUANTILE = 0.999  # of the number of runs that may fail by chance

HEALTHY = [
    Cell(TIMED, name, rate)
    for name, rate in (
        ("calm, no errors", 100),
        ("calm, errors 0.001 %", 1000),
        ("calm, errors 0.01 %", 100),
        ("calm, errors 0.1 %", 1),
        ("calm, errors 0.1 %", 1000),
        ("stable over its limits (errors 0.3 %, p95 216 ms, accuracy 0.68)", 100),
        ("bursts that both revisions share", 100),
        ("bursts of one revision at a time, one an hour", 10),
        ("bursts of one revision at a time, one an hour", 1000),
        ("bursts of one revision at a time, one in ten minutes", 100),
        ("labels two minutes late", 100),
        ("a better canary", 100),
        ("errors and labels in clumps of 20", 1000),
        ("slow requests in clumps of 20", 1000),
        ("all bad requests, each time exactly, in clumps of 5", 100),
        ("all in clumps of 5, and one burst in ten minutes", 100),
    )
]
INCIDENTS = [
    Cell(HEAVY, "both revisions over all limits from the first tick", 100),
    Cell(TIMED, "both revisions over all limits from minute 10 on", 100),
]
WATCHES = [
    Cell(WATCHED, "calm, errors 0.1 %", 100),
    Cell(WATCHED, "bursts of one revision at a time, one an hour", 100),
]
FOUND = {  # regression, requests per second: in how many seconds half of the canaries are rolled back
    ("errors 0.1 → 0.5 %", 100): 300,
    ("errors 0.1 → 1 %", 100): 90,
    ("errors 0.1 → 5 %", 100): 15,
    ("errors 0.1 → 5 %", 10): 120,
    ("p95 +10 %", 100): 180,
    ("p95 +50 %", 1000): 10,
    ("p95 +100 %", 1): 400,
    ("accuracy 0.95 → 0.93", 100): 300,
    ("accuracy 0.95 → 0.90", 10): 600,
    ("accuracy 0.95 → 0.80", 100): 15,
    ("finishes no request", 100): 10,
}
AT_THE_MARGIN = "accuracy 0.95 → 0.93"  # the margin is a drop of 0.02
TURNS = Cell(TIMED, "errors 5 % from minute 10 on", 100)
MARGINS = [
    Cell(CLEARS_ERRORS, "errors exactly twice stable's, calm", 100),
    Cell(CLEARS_ERRORS, "errors exactly twice stable's, one burst an hour", 100),
    Cell(CLEARS_ERRORS, "errors exactly twice stable's, one burst in ten minutes", 100),
    Cell(CLEARS_ACCURACY, "accuracy exactly 0.02 lower, calm", 100),
    Cell(CLEARS_ACCURACY, "accuracy exactly 0.02 lower, one burst an hour", 100),
    Cell(CLEARS_ERRORS, "errors exactly twice stable's, in clumps of 5", 100),
    Cell(CLEARS_ACCURACY, "accuracy exactly 0.02 lower, in clumps of 5", 100),
]
PROMOTED = {1000: 120, 100: 720}  # requests per second: seconds
RIVAL = Cell(FLAGGER, "errors 0.1 → 5 %", 100)


@pytest.fixture(scope="module")
def results() -> dict[Cell, Outcomes]:
    plans = [
        *(Planned(cell, 200, minutes=30) for cell in HEALTHY),
        *(Planned(cell, 100, minutes=15) for cell in INCIDENTS),
        *(Planned(cell, 100, minutes=25) for cell in WATCHES),
        *(Planned(Cell(AUTOMATIC, name, rate), 100, minutes=30) for name, rate in FOUND),
        *(Planned(cell, 200) for cell in MARGINS),
        *(Planned(Cell(AUTOMATIC, "calm, errors 0.1 %", rate), 100) for rate in PROMOTED),
        Planned(TURNS, 100, minutes=30),
        Planned(RIVAL, 200),
    ]
    return study(plans, PROCESSES)


@pytest.mark.parametrize("cell", HEALTHY, ids=str)
def test_false_rollbacks_are_as_rare_as_the_theorem_says(cell: Cell, results: dict[Cell, Outcomes]) -> None:
    """A canary that is as good as stable is rolled back in at most 5 % of runs, with an evaluation at every tick."""
    outcomes = results[cell]
    assert outcomes.rolled_back.sum() <= binom.ppf(QUANTILE, outcomes.runs, 0.05)


def test_false_rollbacks_are_rare_on_average(results: dict[Cell, Outcomes]) -> None:
    """Over all healthy canaries, at most 2 % are rolled back."""
    rolled_back = sum(int(results[cell].rolled_back.sum()) for cell in HEALTHY)
    assert rolled_back <= binom.ppf(QUANTILE, sum(results[cell].runs for cell in HEALTHY), 0.02)


@pytest.mark.parametrize("cell", INCIDENTS, ids=str)
def test_an_incident_in_both_revisions_causes_no_rollback(cell: Cell, results: dict[Cell, Outcomes]) -> None:
    """The incident takes both revisions over all limits. It does not matter when it begins."""
    outcomes = results[cell]
    assert outcomes.rolled_back.sum() <= binom.ppf(QUANTILE, outcomes.runs, 0.01)


@pytest.mark.parametrize("cell", WATCHES, ids=str)
def test_a_good_canary_is_not_rolled_back_in_the_watch(cell: Cell, results: dict[Cell, Outcomes]) -> None:
    """At most 1 % of good canaries are rolled back in a watch of 15 minutes."""
    outcomes = in_watch(results[cell])
    assert outcomes.rolled_back.sum() <= binom.ppf(QUANTILE, outcomes.runs, 0.01)


@pytest.mark.parametrize(("regression", "rate"), FOUND)
def test_regressions_are_found_in_time(regression: str, rate: int, results: dict[Cell, Outcomes]) -> None:
    """Half of the bad canaries are rolled back within the promised seconds. None that is worse than its margin is
    promoted; exactly at the margin, 5 % may be promoted."""
    outcomes = results[Cell(AUTOMATIC, regression, rate)]
    allowed = 0.05 if regression == AT_THE_MARGIN else 0.0
    assert outcomes.promoted.sum() <= binom.ppf(QUANTILE, outcomes.runs, allowed)
    assert medians_until_rollback(outcomes)[0] <= FOUND[regression, rate]


def test_a_canary_that_turns_bad_is_found(results: dict[Cell, Outcomes]) -> None:
    """It is good for ten minutes. When it is bad, it is rolled back as soon as no burst explains it."""
    outcomes = results[TURNS]
    assert outcomes.rolled_back.all()
    assert 600 < medians_until_rollback(outcomes)[0] <= 600 + 300


@pytest.mark.parametrize("cell", MARGINS, ids=str)
def test_the_margin_of_a_canary_at_the_margin_is_not_ruled_out(cell: Cell, results: dict[Cell, Outcomes]) -> None:
    """A canary exactly at the margin passes in at most 5 % of runs, with and without bursts."""
    outcomes = results[cell]
    assert outcomes.promoted.sum() <= binom.ppf(QUANTILE, outcomes.runs, 0.05)


@pytest.mark.parametrize("rate", PROMOTED)
def test_healthy_canaries_are_promoted_in_time(rate: int, results: dict[Cell, Outcomes]) -> None:
    """At these rates, half of the healthy canaries are promoted within minutes."""
    outcomes = results[Cell(AUTOMATIC, "calm, errors 0.1 %", rate)]
    assert outcomes.median_seconds(outcomes.promoted) <= PROMOTED[rate]


def test_a_bad_canary_meets_far_fewer_users_than_elsewhere(results: dict[Cell, Outcomes]) -> None:
    """With 5 % errors it gets less than a twentieth of the requests that it gets by Flagger's documented policy."""
    exposed = results[Cell(AUTOMATIC, "errors 0.1 → 5 %", 100)].exposed_in_hour.mean()
    assert 20 * exposed <= results[RIVAL].exposed_in_hour.mean()
