"""Objectives as numbers: what is bad, what is compared, and what each step must rule out."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_operator.analysis import criteria
from sluice_operator.api.quantities import Number
from sluice_operator.api.spec import Objective
from sluice_operator.counting.ticks import Tally
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.objective import Margin
from tests.unit.sluice_operator.build import a_spec

COUNTED = Tally(
    started=110, finished=100, errors=3, within={0.1: 60, 0.2: 95, math.inf: 100}, labels=40, correct=30, refused=7
)


def objective(**kind: Any) -> Objective:
    (parsed,) = a_spec(objectives=[{"name": "mine", **kind}]).objectives
    return parsed


def errors(**terms: str) -> Objective:
    return objective(errorRate=terms)


def refusals(ratio: str = "2") -> Objective:
    return objective(refusals={"maxRatio": ratio})


def latency(limit: str = "200ms", quantile: str = "0.95", **terms: str) -> Objective:
    return objective(latency={"quantile": quantile, "max": limit, **terms})


def accuracy(**terms: str) -> Objective:
    return objective(accuracy={"source": "Feedback", **terms})


def pairs(counts: Counts) -> list[tuple[float, float]]:
    """(requests, bad) of each column."""
    return list(zip(counts.requests.ravel().tolist(), counts.bad.ravel().tolist(), strict=True))


@pytest.mark.parametrize(
    ("measured", "judged", "compared"),
    [
        (errors(max="1%"), (100, 3), [(100, 3)]),
        (refusals(), (100, 7), [(100, 7)]),
        (latency(), (100, 5), [(100, 40), (100, 5)]),
        (accuracy(min="0.70"), (40, 10), [(40, 10)]),
    ],
)
def test_each_kind_counts_its_own_bad_requests(
    measured: Objective, judged: tuple[int, int], compared: list[tuple[int, int]]
) -> None:
    """Errors and refusals of finished requests, slow requests of those in the histogram, wrong labels of all labels."""
    counts = criteria.counts(measured, (0.1, 0.2), COUNTED)
    assert (pairs(counts.judged), pairs(counts.compared)) == ([judged], compared)


@pytest.mark.parametrize("measured", [errors(max="1%"), refusals(), latency(), accuracy(min="0.70")])
def test_an_empty_tally_has_no_bad_requests(measured: Objective) -> None:
    """For each kind of objective."""
    counts = criteria.counts(measured, (0.2,), Tally())
    assert pairs(counts.judged) == pairs(counts.compared) == [(0, 0)]


@pytest.mark.parametrize(
    ("measured", "compared", "limit"),
    [
        (errors(max="1%"), False, 0.01),
        (errors(maxRatio="2"), True, None),
        (errors(max="0.1%", maxRatio="2"), True, 0.001),
        (refusals(), True, None),
        (latency(), False, 0.05),
        (latency(maxRatio="1.5", quantile="0.99"), True, 0.01),
        (accuracy(min="0.70"), False, 0.30),
        (accuracy(maxDrop="2%"), True, None),
        (accuracy(min="0.70", maxDrop="0.02"), True, 0.30),
    ],
)
def test_an_objective_has_the_limit_and_the_comparison_that_it_names(
    measured: Objective, compared: bool, limit: float | None
) -> None:
    """Limits are shares of bad requests."""
    criterion = criteria.criterion(measured, 1)
    assert criterion.compared is compared
    assert criterion.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("measured", "margins"),
    [
        (errors(max="1%"), [Margin(tolerance=0.04), Margin(tolerance=0.02), Margin(tolerance=0.01)]),
        (errors(maxRatio="2"), [Margin(8, tolerance=0.02), Margin(4, tolerance=0.01), Margin(2, tolerance=0.005)]),
        (refusals(), [Margin(8, tolerance=0.2), Margin(4, tolerance=0.1), Margin(2, tolerance=0.05)]),
        (
            errors(max="0.1%", maxRatio="1.5"),
            [Margin(6, tolerance=0.004), Margin(3, tolerance=0.002), Margin(1.5, tolerance=0.001)],
        ),
        (accuracy(maxDrop="2%"), [Margin(drop=0.08), Margin(drop=0.04), Margin(drop=0.02)]),
        (accuracy(maxDrop="2%", min="0.70"), [Margin(drop=0.08), Margin(drop=0.04), Margin(drop=0.02)]),
    ],
)
def test_each_step_has_twice_the_margin_of_the_next_step(measured: Objective, margins: list[Margin]) -> None:
    """The last step has the objective's own; without a limit, half a percent of bad requests is never "worse"."""
    assert list(criteria.criterion(measured, 3).margins) == margins


@pytest.mark.parametrize(
    ("measured", "margins"),
    [
        (accuracy(maxDrop="20%"), [Margin(drop=0.5), Margin(drop=0.4), Margin(drop=0.2)]),
        (accuracy(min="0.80"), [Margin(tolerance=0.5), Margin(tolerance=0.4), Margin(tolerance=0.2)]),
        (accuracy(min="0.40"), [Margin(tolerance=0.6), Margin(tolerance=0.6), Margin(tolerance=0.6)]),
    ],
)
def test_margins_of_early_steps_are_at_most_half_of_all_requests(measured: Objective, margins: list[Margin]) -> None:
    """Unless the objective's own margin is wider."""
    by_step = criteria.criterion(measured, 3).margins
    assert [(margin.ratio, margin.drop) for margin in by_step] == [(margin.ratio, margin.drop) for margin in margins]
    assert [margin.tolerance for margin in by_step] == pytest.approx([margin.tolerance for margin in margins])


@settings(deadline=None)
@given(share=st.integers(1, 999), steps=st.integers(1, 10))
def test_margins_never_widen_from_step_to_step(share: int, steps: int) -> None:
    """Tolerances and drops stay between 0 and 1."""
    limit = share / 1000
    for measured in (errors(max=str(limit)), errors(max=str(limit), maxRatio="1.5"), accuracy(maxDrop=str(limit))):
        margins = criteria.criterion(measured, steps).margins
        assert len(margins) == steps
        for kind in ("tolerance", "ratio", "drop"):
            widths = [getattr(margin, kind) for margin in margins if getattr(margin, kind) is not None]
            assert widths == sorted(widths, reverse=True)
            assert kind == "ratio" or all(0 < width < 1 for width in widths)


@pytest.mark.parametrize(
    ("limit", "bound"), [("200ms", 0.2), ("210ms", 0.2), ("249ms", 0.2), ("250ms", 0.25), ("3m", 60), ("0ms", 0.00025)]
)
def test_a_limit_between_two_bounds_is_judged_at_the_lower_one(limit: str, bound: float) -> None:
    """A request that is slower than the limit is slower than that bound too, so none of them is missed."""
    assert criteria.bound_of(latency(limit)) == bound


def test_bounds_are_those_of_comparisons_and_of_objectives() -> None:
    """Each once, in order."""
    objectives = (latency("500ms"), latency("210ms"), errors(max="1%"))
    assert criteria.bounds(objectives, (0.1, 0.5)) == (0.1, 0.2, 0.5)
    assert criteria.bounds((errors(max="1%"),), ()) == ()


def relative(quantile: str = "0.95", slow: str = "") -> Objective:
    without_threshold = objective(latency={"quantile": quantile, "maxRatio": "1.5"})
    return without_threshold.with_threshold(Number.parse(slow)) if slow else without_threshold


def test_a_latency_without_a_limit_is_only_compared() -> None:
    """At the run's threshold; the share of slow requests that its quantile leaves is tolerated."""
    criterion = criteria.criterion(relative(slow="0.1"), steps=1)
    assert (criterion.compared, criterion.limit) == (True, None)
    (margin,) = criterion.margins
    assert margin.ratio == 1.5
    assert criterion.watch_margin.ratio == 3.0
    assert criterion.watch_margin.tolerance == pytest.approx(0.2)
    assert margin.tolerance == pytest.approx(0.05)
    counts = criteria.counts(relative(slow="0.1"), (0.2,), COUNTED)
    assert pairs(counts.judged) == [(100, 40)]
    assert criteria.bounds((relative(slow="0.1"),), (0.5,)) == (0.1, 0.5)


def test_the_margin_of_refusals_is_wider_in_the_watch() -> None:
    """Callers change by the hour, and nothing is compared at the same time."""
    margin = criteria.criterion(refusals(), steps=2).watch_margin
    assert margin.ratio == 5.0
    assert margin.tolerance == pytest.approx(0.2)


def test_a_run_without_steps_is_watched_as_one_with_steps() -> None:
    """No step has a margin, and the watch has the objective's own."""
    without, with_steps = (criteria.criterion(refusals(), steps=steps) for steps in (0, 3))
    assert without.margins == ()
    assert without.watch_margin == with_steps.watch_margin


def test_without_a_threshold_no_request_is_judged() -> None:
    """Requests are still compared at the other bounds."""
    counts = criteria.counts(relative(), (0.2,), COUNTED)
    assert (pairs(counts.judged), pairs(counts.compared)) == ([(0, 0)], [(100, 5)])
    assert criteria.bounds((relative(),), (0.5,)) == (0.5,)


@pytest.mark.parametrize(
    ("quantile", "within", "slow"),
    [
        ("0.95", {0.1: 949, 0.2: 950, 0.25: 990, math.inf: 1000}, {"mine": 0.2}),
        ("0.99", {0.1: 949, 0.2: 950, 0.25: 990, math.inf: 1000}, {"mine": 0.25}),
        (
            "0.999",
            {0.1: 949, 0.2: 950, 0.25: 990, math.inf: 1000},
            {},
        ),  # over the last bound: no request can be counted as slower
        ("0.95", {0.1: 0, math.inf: 0}, {}),
        ("0.95", {0.1: 39, math.inf: 39}, {}),  # too few requests
        ("0.95", {0.1: 40, math.inf: 40}, {"mine": 0.1}),
        ("0.95", {}, {}),
        ("0.95", {0.001: 980, 0.006: 990, math.inf: 1000}, {"mine": 0.006}),  # nobody notices a millisecond
    ],
)
def test_the_threshold_is_stable_s_own_quantile(
    quantile: str, within: dict[float, float], slow: dict[str, float]
) -> None:
    """It is the lowest bound of the histogram that has the quantile within it."""
    assert criteria.latency_thresholds((relative(quantile), latency("200ms"), errors(max="1%")), within) == slow
