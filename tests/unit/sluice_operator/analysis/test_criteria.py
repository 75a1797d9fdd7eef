"""Objectives in numbers: what is bad, what is compared, and what each step must rule out."""

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

COUNTED = Tally(started=110, finished=100, errors=3, within={0.1: 60, 0.2: 95, math.inf: 100}, labels=40, correct=30)


def objective(**kind: Any) -> Objective:
    (one,) = a_spec(objectives=[{"name": "one", **kind}]).objectives
    return one


def errors(**terms: str) -> Objective:
    return objective(errorRate=terms)


def latency(limit: str = "200ms", quantile: str = "0.95", **terms: str) -> Objective:
    return objective(latency={"quantile": quantile, "max": limit, **terms})


def accuracy(**terms: str) -> Objective:
    return objective(accuracy={"source": "Feedback", **terms})


def told(arm: Counts) -> list[tuple[float, float]]:
    """(requests, bad) of each column."""
    return list(zip(arm.requests.ravel().tolist(), arm.bad.ravel().tolist(), strict=True))


@pytest.mark.parametrize(
    ("one", "judged", "compared"),
    [
        (errors(max="1%"), (100, 3), [(100, 3)]),
        (latency(), (100, 5), [(100, 40), (100, 5)]),
        (accuracy(min="0.70"), (40, 10), [(40, 10)]),
    ],
)
def test_each_kind_counts_its_own_bad_requests(
    one: Objective, judged: tuple[int, int], compared: list[tuple[int, int]]
) -> None:
    """Errors of what was finished, requests over a bound of what the histogram has, wrong labels of all labels."""
    counts = criteria.counts(one, (0.1, 0.2), COUNTED)
    assert (told(counts.judged), told(counts.compared)) == ([judged], compared)


@pytest.mark.parametrize("one", [errors(max="1%"), latency(), accuracy(min="0.70")])
def test_nothing_counted_is_no_bad_request(one: Objective) -> None:
    """Of no kind."""
    counts = criteria.counts(one, (0.2,), Tally())
    assert told(counts.judged) == told(counts.compared) == [(0, 0)]


@pytest.mark.parametrize(
    ("one", "compared", "limit"),
    [
        (errors(max="1%"), False, 0.01),
        (errors(maxRatio="2"), True, None),
        (errors(max="0.1%", maxRatio="2"), True, 0.001),
        (latency(), False, 0.05),
        (latency(maxRatio="1.5", quantile="0.99"), True, 0.01),
        (accuracy(min="0.70"), False, 0.30),
        (accuracy(maxDrop="2%"), True, None),
        (accuracy(min="0.70", maxDrop="0.02"), True, 0.30),
    ],
)
def test_limits_and_comparisons_are_those_that_the_objective_names(
    one: Objective, compared: bool, limit: float | None
) -> None:
    """As shares of bad requests."""
    found = criteria.criterion(one, 1)
    assert found.compared is compared
    assert found.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("one", "margins"),
    [
        (errors(max="1%"), [Margin(tolerance=0.04), Margin(tolerance=0.02), Margin(tolerance=0.01)]),
        (errors(maxRatio="2"), [Margin(8, tolerance=0.02), Margin(4, tolerance=0.01), Margin(2, tolerance=0.005)]),
        (
            errors(max="0.1%", maxRatio="1.5"),
            [Margin(6, tolerance=0.004), Margin(3, tolerance=0.002), Margin(1.5, tolerance=0.001)],
        ),
        (accuracy(maxDrop="2%"), [Margin(drop=0.08), Margin(drop=0.04), Margin(drop=0.02)]),
        (accuracy(maxDrop="2%", min="0.70"), [Margin(drop=0.08), Margin(drop=0.04), Margin(drop=0.02)]),
    ],
)
def test_each_step_rules_out_twice_what_the_next_one_must(one: Objective, margins: list[Margin]) -> None:
    """The last one the objective's own; without a limit, half a percent more bad requests is never "worse"."""
    assert list(criteria.criterion(one, 3).margins) == margins


@pytest.mark.parametrize(
    ("one", "margins"),
    [
        (accuracy(maxDrop="20%"), [Margin(drop=0.5), Margin(drop=0.4), Margin(drop=0.2)]),
        (accuracy(min="0.80"), [Margin(tolerance=0.5), Margin(tolerance=0.4), Margin(tolerance=0.2)]),
        (accuracy(min="0.40"), [Margin(tolerance=0.6), Margin(tolerance=0.6), Margin(tolerance=0.6)]),
    ],
)
def test_early_margins_are_at_most_half_of_all_requests(one: Objective, margins: list[Margin]) -> None:
    """Unless the objective's own is wider."""
    found = criteria.criterion(one, 3).margins
    assert [(each.ratio, each.drop) for each in found] == [(each.ratio, each.drop) for each in margins]
    assert [each.tolerance for each in found] == pytest.approx([each.tolerance for each in margins])


@settings(deadline=None)
@given(share=st.integers(1, 999), steps=st.integers(1, 10))
def test_margins_only_tighten(share: int, steps: int) -> None:
    """Down to the objective's own, and they never leave what is a share."""
    limit = share / 1000
    for one in (errors(max=str(limit)), errors(max=str(limit), maxRatio="1.5"), accuracy(maxDrop=str(limit))):
        found = criteria.criterion(one, steps).margins
        assert len(found) == steps
        for kind in ("tolerance", "ratio", "drop"):
            widths = [getattr(each, kind) for each in found if getattr(each, kind) is not None]
            assert widths == sorted(widths, reverse=True)
            assert kind == "ratio" or all(0 < width < 1 for width in widths)


@pytest.mark.parametrize(
    ("limit", "bound"), [("200ms", 0.2), ("210ms", 0.2), ("249ms", 0.2), ("250ms", 0.25), ("3m", 60), ("0ms", 0.00025)]
)
def test_a_limit_between_two_bounds_is_judged_at_the_lower_one(limit: str, bound: float) -> None:
    """What is slower than the limit is slower than that bound too, so nothing beyond the limit is missed."""
    assert criteria.bound_of(latency(limit)) == bound


def test_bounds_are_those_that_are_compared_and_those_that_are_judged() -> None:
    """Each once, in order."""
    wanted = (latency("500ms"), latency("210ms"), errors(max="1%"))
    assert criteria.bounds(wanted, (0.1, 0.5)) == (0.1, 0.2, 0.5)
    assert criteria.bounds((errors(max="1%"),), ()) == ()


def relative(quantile: str = "0.95", slow: str = "") -> Objective:
    one = objective(latency={"quantile": quantile, "maxRatio": "1.5"})
    return one.with_threshold(Number.parse(slow)) if slow else one


def test_a_latency_without_a_limit_is_only_compared() -> None:
    """Beyond what is slow in the run; what stable may have beyond its own quantile is tolerable."""
    found = criteria.criterion(relative(slow="0.1"), steps=1)
    assert (found.compared, found.limit) == (True, None)
    (margin,) = found.margins
    assert margin.ratio == 1.5
    assert found.watch_margin.ratio == 3.0
    assert found.watch_margin.tolerance == pytest.approx(0.2)
    assert margin.tolerance == pytest.approx(0.05)
    counts = criteria.counts(relative(slow="0.1"), (0.2,), COUNTED)
    assert told(counts.judged) == [(100, 40)]
    assert criteria.bounds((relative(slow="0.1"),), (0.5,)) == (0.1, 0.5)


def test_while_nothing_is_known_to_be_slow_nothing_counts() -> None:
    """Neither in favour nor against; it is still compared elsewhere."""
    counts = criteria.counts(relative(), (0.2,), COUNTED)
    assert (told(counts.judged), told(counts.compared)) == ([(0, 0)], [(100, 5)])
    assert criteria.bounds((relative(),), (0.5,)) == (0.5,)


@pytest.mark.parametrize(
    ("quantile", "within", "slow"),
    [
        ("0.95", {0.1: 949, 0.2: 950, 0.25: 990, math.inf: 1000}, {"one": 0.2}),
        ("0.99", {0.1: 949, 0.2: 950, 0.25: 990, math.inf: 1000}, {"one": 0.25}),
        ("0.999", {0.1: 949, 0.2: 950, 0.25: 990, math.inf: 1000}, {}),  # beyond the last bound: nothing can be slower
        ("0.95", {0.1: 0, math.inf: 0}, {}),
        ("0.95", {0.1: 39, math.inf: 39}, {}),  # too few to know
        ("0.95", {0.1: 40, math.inf: 40}, {"one": 0.1}),
        ("0.95", {}, {}),
    ],
)
def test_slow_is_what_stable_hardly_ever_takes(
    quantile: str, within: dict[float, float], slow: dict[str, float]
) -> None:
    """The lowest bound within which its quantile lies."""
    assert criteria.latency_thresholds((relative(quantile), latency("200ms"), errors(max="1%")), within) == slow
