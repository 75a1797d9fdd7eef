"""E-values stay the same under changes that do not matter, and stay numbers whatever the counts are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_operator.evalues import budget
from sluice_operator.evalues.arithmetic import Floats, log_mean
from sluice_operator.evalues.budget import COMPARISON, LIMITS, averaged, log_threshold
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.comparison import Comparison
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import LimitTest, log_below_limit
from sluice_operator.evalues.margins import DropMarginTest, RatioMarginTest
from sluice_operator.evalues.silence import Silence

CALM = BurstLaw.unknown(6 * 3600.0)
NO_BURSTS = BurstLaw.unknown(1e200)
ONE_POD_EACH = Pods(1, 1)

Tick = tuple[tuple[float, float], tuple[float, float]]  # requests and bad requests of the canary, then of stable
Process = Callable[[Sequence[Tick]], float]


def as_counts(revision: tuple[float, float]) -> Counts:
    return Counts(np.array([revision[0]]), np.array([revision[1]]))


def comparison(ticks: Sequence[Tick], law: BurstLaw = CALM, at_start: float = 0.8) -> float:
    process = Comparison(law, ONE_POD_EACH, 5.0, at_start=at_start)
    for canary, stable in ticks:
        process.update(as_counts(canary), as_counts(stable))
    return float(process.log_evalue[0])


def over_limit(ticks: Sequence[Tick]) -> float:
    process = LimitTest(CALM, 1, 5.0, np.asarray(0.01))
    for canary, _ in ticks:
        process.update(as_counts(canary))
    return float(process.log_evalue[0])


def ratio_margin(ticks: Sequence[Tick]) -> float:
    process = RatioMarginTest(CALM, ONE_POD_EACH, 5.0, 2.0)
    for canary, stable in ticks:
        process.update(as_counts(canary), as_counts(stable))
    return float(process.log_evalue[0])


def drop_margin(ticks: Sequence[Tick]) -> float:
    process = DropMarginTest(0.02)
    for canary, stable in ticks:
        process.update(as_counts(canary), as_counts(stable))
    return float(process.log_evalue[0])


def silence(ticks: Sequence[Tick]) -> float:
    process = Silence()
    for (canary, _), (stable, _) in ticks:
        process.update(np.array([0.1]), np.array([canary]), np.array([stable]))
    return float(process.log_evalue[0])


def inside(ticks: Sequence[Tick]) -> float:
    requests, bad = (np.array(sum(canary[i] for canary, _ in ticks)) for i in (0, 1))
    return float(log_below_limit(np.asarray(0.01), requests, bad))


ALL: list[Process] = [comparison, over_limit, ratio_margin, drop_margin, silence, inside]
IDLE: Tick = ((0.0, 0.0), (0.0, 0.0))


def revisions(max_requests: int) -> st.SearchStrategy[tuple[float, float]]:
    return st.integers(0, max_requests).flatmap(lambda n: st.tuples(st.just(float(n)), st.integers(0, n).map(float)))


TICKS = st.lists(st.tuples(revisions(60), revisions(60)), min_size=1, max_size=6)
SMALL_TICKS = st.lists(st.tuples(revisions(8), revisions(8)), min_size=1, max_size=4)
few_examples = settings(deadline=None, max_examples=40)


@pytest.mark.parametrize("process", ALL)
@few_examples
@given(ticks=TICKS)
def test_any_counts_give_a_number(process: Process, ticks: list[Tick]) -> None:
    """From no request at all to only bad requests; a log e-value of minus infinity is an e-value of 0."""
    value = process(ticks)
    assert not np.isnan(value)
    assert value < np.inf


@pytest.mark.parametrize("process", ALL)
@pytest.mark.parametrize("bad_canary", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("bad_stable", [0.0, 0.5, 1.0])
def test_huge_counts_give_a_number(process: Process, bad_canary: float, bad_stable: float) -> None:
    """A billion requests in a tick: none of them bad, half of them, or all."""
    tick = ((1e9, bad_canary * 1e9), (1e9, bad_stable * 1e9))
    value = process([tick] * 5)
    assert not np.isnan(value)
    assert value < np.inf


def test_extreme_evidence_stays_a_number() -> None:
    """Also without bursts in the law, and over many ticks."""
    worst: list[Tick] = [((1e6, 1e6), (1e6, 0.0))] * 1000
    assert 100 < comparison(worst, NO_BURSTS) < np.inf
    assert 100 < silence([((0.0, 0.0), (1e6, 0.0))] * 50) < np.inf


@pytest.mark.parametrize("process", [drop_margin, inside])
@few_examples
@given(ticks=TICKS, at=st.integers(0, 6))
def test_a_tick_without_requests_changes_nothing_without_a_chain(process: Process, ticks: list[Tick], at: int) -> None:
    """These e-values do not depend on how much time has passed."""
    assert process([*ticks[:at], IDLE, *ticks[at:]]) == pytest.approx(process(ticks), abs=1e-9)


@few_examples
@given(ticks=SMALL_TICKS)
def test_a_tick_without_requests_changes_nothing_without_bursts(ticks: list[Tick]) -> None:
    """Only bursts and late beginnings depend on time. Here there are none."""
    with_idle = [*ticks[:1], IDLE, IDLE, *ticks[1:]]
    expected = comparison(ticks, NO_BURSTS, at_start=1.0)
    assert comparison(with_idle, NO_BURSTS, at_start=1.0) == pytest.approx(expected, abs=1e-6)


def test_a_tick_without_requests_lets_a_burst_end() -> None:
    """The counts are the same, but a burst would have to go on through the pause. So there is more evidence."""
    bad: list[Tick] = [((100.0, 10.0), (900.0, 1.0))] * 3
    assert comparison([*bad, *[IDLE] * 60, *bad]) > comparison([*bad, *bad])


@few_examples
@given(ticks=SMALL_TICKS)
def test_without_bursts_the_order_of_ticks_does_not_matter(ticks: list[Tick]) -> None:
    """The e-value is a product over ticks when the whole weight is for a start with the run."""
    values = [comparison(order, NO_BURSTS, at_start=1.0) for order in permutations(ticks)]
    np.testing.assert_allclose(values, values[0], atol=1e-6)


def test_the_test_inside_a_limit_depends_only_on_totals() -> None:
    """It does not matter in which ticks the requests came."""
    ticks: list[Tick] = [((30.0, 1.0), (0.0, 0.0)), ((500.0, 0.0), (0.0, 0.0)), ((70.0, 2.0), (0.0, 0.0))]
    assert inside(ticks) == inside(ticks[::-1]) == inside([((600.0, 3.0), (0.0, 0.0))])


@few_examples
@given(bad=st.tuples(*[st.integers(0, 8).map(float)] * 4))
def test_a_tick_may_be_cut_in_two(bad: tuple[float, float, float, float]) -> None:
    """Without bursts, two ticks (or two pods of each revision) with the same share of requests count as one."""
    whole: Tick = ((20.0, bad[0] + bad[1]), (60.0, bad[2] + bad[3]))
    halves: list[Tick] = [((10.0, bad[0]), (30.0, bad[2])), ((10.0, bad[1]), (30.0, bad[3]))]
    expected = comparison([whole], NO_BURSTS, at_start=1.0)
    assert comparison(halves, NO_BURSTS, at_start=1.0) == pytest.approx(expected, abs=1e-6)


@few_examples
@given(ticks=TICKS)
def test_runs_in_one_array_are_independent(ticks: list[Tick]) -> None:
    """The last axis is for runs: each has the value that it has by itself, whatever the other runs do."""
    process = Comparison(CALM, ONE_POD_EACH, 5.0)
    for canary, stable in ticks:
        process.update(
            Counts(np.array([canary[0], 1e6]), np.array([canary[1], 1e6])),
            Counts(np.array([stable[0], 1e6]), np.array([stable[1], 0.0])),
        )
    assert process.log_evalue[0] == pytest.approx(comparison(ticks), abs=1e-9)


def test_columns_in_one_array_are_independent() -> None:
    """The axes before the last one are for columns, such as latency bounds. Each column has its own burst law."""
    laws = [BurstLaw.unknown(3600.0), BurstLaw.unknown(24 * 3600.0)]
    both = BurstLaw(*(np.stack([getattr(law, name) for law in laws]) for name in ("starts", "seconds", "any_start")))
    process = Comparison(both, ONE_POD_EACH, 5.0)
    process.update(
        Counts(np.full((2, 1), 100.0), np.array([[9.0], [4.0]])),
        Counts(np.full((2, 1), 900.0), np.array([[5.0], [6.0]])),
    )
    expected = [
        comparison([((100.0, 9.0), (900.0, 5.0))], laws[0]),
        comparison([((100.0, 4.0), (900.0, 6.0))], laws[1]),
    ]
    np.testing.assert_allclose(process.log_evalue[:, 0], expected)


@pytest.mark.parametrize("process", ALL)
def test_without_requests_there_is_no_evidence(process: Process) -> None:
    """After any number of ticks without requests, an e-value is 1 or less."""
    assert process([IDLE] * 50) <= 1e-9


def test_a_worse_canary_is_found_and_a_better_one_is_cleared() -> None:
    """The first two e-values grow for a worse canary, the others for an equal one."""
    worse: list[Tick] = [((100.0, 10.0), (900.0, 1.0))] * 60
    equal: list[Tick] = [((1000.0, 1.0), (9000.0, 9.0))] * 60
    assert min(process(worse) for process in (comparison, over_limit)) > np.log(1000)
    assert max(process(equal) for process in (comparison, over_limit)) < 0
    assert min(process(equal) for process in (ratio_margin, drop_margin, inside)) > np.log(20)
    assert max(process(worse) for process in (ratio_margin, drop_margin, inside)) < np.log(2)


def test_a_canary_that_becomes_worse_late_is_found() -> None:
    """An hour in which both revisions were equal does not hide it."""
    equal: list[Tick] = [((100.0, 1.0), (900.0, 9.0))] * 720
    worse: list[Tick] = [((100.0, 20.0), (900.0, 9.0))] * 120
    assert comparison(equal) < 0
    assert comparison([*equal, *worse]) > np.log(1000)


def test_a_silent_canary_is_found() -> None:
    """At a weight of 10 % it finishes none of 200 requests. A canary with its share of the requests is not silent."""
    assert silence([((0.0, 0.0), (20.0, 0.0))] * 10) > np.log(200)
    assert silence([((2.0, 0.0), (18.0, 0.0))] * 10) < 0


def test_a_canary_that_becomes_silent_late_is_found() -> None:
    """It had its share of the requests for 300 ticks."""
    assert silence([((10.0, 0.0), (90.0, 0.0))] * 300 + [((0.0, 0.0), (100.0, 0.0))] * 10) > np.log(200)


@given(st.lists(st.floats(-600, 600), min_size=1, max_size=6))
def test_the_mean_of_logs_is_the_log_of_the_mean(logs: list[float]) -> None:
    """There is no overflow, also for large logarithms."""
    expected = np.logaddexp.reduce(logs) - np.log(len(logs))
    assert log_mean(np.array(logs), 0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("logs", "expected"),
    [([-np.inf, 0.0], np.log(0.5)), ([-np.inf, -np.inf], -np.inf), ([1e6, -np.inf], 1e6 - np.log(2)), ([-1e6], -1e6)],
)
def test_a_log_of_minus_infinity_is_a_zero(logs: list[float], expected: float) -> None:
    """The mean of zeros is zero."""
    assert log_mean(np.array(logs), 0) == pytest.approx(expected)
    assert averaged([np.array([log]) for log in logs])[0] == pytest.approx(expected)


def test_weights_are_those_of_the_evalues() -> None:
    """They are not weights of the logarithms."""
    logs: Floats = np.log(np.array([[1.0, 9.0], [2.0, 4.0]]))
    np.testing.assert_allclose(np.exp(log_mean(logs, -1, np.array([0.75, 0.25]))), [3.0, 2.5])


def test_the_budget_is_spent_once() -> None:
    """The three families together have the error budget of one run."""
    assert sum(np.exp(-log_threshold(0.05, share)) for share in (COMPARISON, LIMITS, budget.UNPAIRED)) == pytest.approx(
        0.05
    )
