"""The promise of an e-value, checked by enumeration: over all tables of counts its mean is at most 1 under the null."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.comparison import AT_START, Comparison
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import LimitTest, log_below_limit
from sluice_operator.evalues.margins import DropMarginTest, RatioMarginTest
from sluice_operator.evalues.objective import Criterion, Margin, ObjectiveBaseline, ObjectiveCounts, ObjectiveEProcesses
from sluice_operator.evalues.silence import Silence

NO_BURSTS = BurstLaw.unknown(1e12)
OFTEN = BurstLaw(np.full(9, 2e-4), np.full(9, 60.0), np.asarray(1.7e-3))
ALONE = Pods(1, 1)
SIZES = ((3, 5), (4, 2))  # requests of the canary and of stable, by tick
EPS = 1e-9


class Tables:
    """Every table of bad requests for SIZES, as so many runs, and the chance of each."""

    def __init__(self, sizes: Sequence[tuple[int, int]] = SIZES) -> None:
        self.sizes = sizes
        cells = [range(size + 1) for tick in sizes for size in tick]
        self.bad = np.array(list(product(*cells)), float).T.reshape(len(sizes), 2, -1)

    def arms(self, tick: int) -> tuple[Counts, Counts]:
        canary, stable = self.sizes[tick]
        y_c, y_s = self.bad[tick]
        return Counts(np.full(y_c.shape, float(canary)), y_c), Counts(np.full(y_s.shape, float(stable)), y_s)

    def chances(self, tick: int, shares: Sequence[tuple[float, float]]) -> Floats:
        """Of each tick's part of the tables, by pair of `shares`: of bad requests of the canary and of stable."""
        sizes, p = np.array(self.sizes[tick])[None, :, None], np.array(shares)[..., None]
        return np.asarray(np.prod(binom.pmf(self.bad[tick], sizes, p), axis=1))


TABLES = Tables()


def worst_mean(log_evalue: Floats, shares: Sequence[tuple[float, float]]) -> float:
    """Largest mean when each of the two ticks has any of `shares`. All requests are independent."""
    first, second = TABLES.chances(0, shares), TABLES.chances(1, shares)
    return float(((first * np.exp(log_evalue)) @ second.T).max())


def observed(process: Comparison | RatioMarginTest | DropMarginTest, tables: Tables = TABLES) -> Floats:
    for tick in range(len(tables.sizes)):
        process.update(*tables.arms(tick))
    return process.log_evalue


def pairs(allowed: Callable[[float, float], bool]) -> list[tuple[float, float]]:
    """Shares of the canary and of stable on a grid, as far as a null admits them."""
    grid = np.array([0.0, 0.05, 0.1, 0.2, 0.25, 0.4, 0.5, 0.7, 0.8, 0.9, 1.0])
    return [(float(c), float(s)) for c, s in product(grid, repeat=2) if allowed(c, s)]


NO_WORSE = pairs(lambda c, s: c <= s)


@pytest.mark.parametrize("at_start", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("law", [NO_BURSTS, OFTEN], ids=["no bursts", "often"])
def test_a_canary_that_is_no_worse(law: BurstLaw, at_start: float) -> None:
    """For any shares, rare or not, equal or better, that change from tick to tick; and whenever a change may begin."""
    log_evalue = observed(Comparison(law, ALONE, 5.0, at_start=at_start))
    assert worst_mean(log_evalue, NO_WORSE) <= 1 + EPS


@pytest.mark.parametrize("ticks", [1, 3, 6])
def test_what_is_bet_is_what_is_expected(ticks: int) -> None:
    """With rare bad requests and equal arms the mean is the sum of the bets made so far: nothing is given away."""
    tables = np.array(list(product((0.0, 1.0), repeat=ticks)))
    comparison = Comparison(NO_BURSTS, ALONE, 5.0, at_start=0.6)
    for bad in tables.T:  # one bad request in each tick, on either side
        comparison.update(Counts(np.full_like(bad, 30.0), bad), Counts(np.full_like(bad, 70.0), 1 - bad))
    chances = np.prod(np.where(tables == 1, 0.3, 0.7), axis=1)
    assert (chances * np.exp(comparison.log_evalue)).sum() == pytest.approx(0.6 + 0.4 * (1 - ticks**-0.5), rel=1e-5)


@pytest.mark.parametrize("bar", [1.5, 3.0, 10.0])
def test_looking_at_every_tick_is_allowed(bar: float) -> None:
    """The chance that the e-value ever reaches a bar is at most one over the bar (Ville), counted table by table."""
    tables = np.array(list(product((0.0, 1.0), repeat=9)))
    comparison, highest = Comparison(NO_BURSTS, ALONE, 5.0), np.full(len(tables), -np.inf)
    for bad in tables.T:
        comparison.update(Counts(np.full_like(bad, 30.0), bad), Counts(np.full_like(bad, 70.0), 1 - bad))
        highest = np.maximum(highest, comparison.log_evalue)
    chances = np.prod(np.where(tables == 1, 0.3, 0.7), axis=1)
    assert 0 < chances[highest >= np.log(bar)].sum() <= 1 / bar


def mean_of_better(law: BurstLaw, pods: Pods, share: float, ratio: float, at_start: float = AT_START) -> float:
    """Given 8 bad requests in each of 4 ticks: `share` of requests is the canary's, at `ratio` times stable's rate."""
    comparison = Comparison(law, pods, 5.0, at_start=at_start)
    tables = np.array(list(product(range(9), repeat=4)), float).T
    for y_c in tables:
        requests = np.full_like(y_c, 1000.0)
        comparison.update(Counts(share * requests, y_c), Counts((1 - share) * requests, 8 - y_c))
    chances = np.prod(binom.pmf(tables, 8, share * ratio / (1 + share * (ratio - 1))), axis=0)
    return float((chances * np.exp(comparison.log_evalue)).sum())


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("ratio", [1.0, 0.7, 0.3, 0.05, 0.0])
def test_a_better_canary_while_stable_may_burst(share: float, ratio: float) -> None:
    """Conditional on all bad requests of a tick, as the formula is: a canary that has fewer than its share."""
    assert mean_of_better(OFTEN, ALONE, share, ratio) <= 1 + EPS


def test_a_better_canary_where_bursts_fill_the_time() -> None:
    """No theorem covers it, but quiet time does not speak against a canary that bursts less than the law allows."""
    always = BurstLaw(np.full(9, 1e-3), np.full(9, 60.0), np.asarray(5e-3))
    assert mean_of_better(always, Pods(1, 3), share=0.5, ratio=0.0, at_start=1.0) <= 1 + EPS


@pytest.mark.parametrize("limit", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("law", [NO_BURSTS, OFTEN], ids=["no bursts", "often"])
def test_a_canary_that_keeps_the_limit(law: BurstLaw, limit: float) -> None:
    """At the limit and anywhere below it."""
    beyond = LimitTest(law, 1, 5.0, np.asarray(limit))
    for tick in range(len(SIZES)):
        beyond.update(TABLES.arms(tick)[0])
    assert worst_mean(beyond.log_evalue, pairs(lambda c, s: c <= limit and s == 0)) <= 1 + EPS


@pytest.mark.parametrize("limit", [0.001, 0.1, 0.5, 0.9])
def test_an_arm_that_does_not_keep_the_limit(limit: float) -> None:
    """At the limit the mean is 1, beyond it less."""
    bad = np.arange(31.0)
    evalue = np.exp(log_below_limit(np.full(31, limit), np.full(31, 30.0), bad))
    means = [float((binom.pmf(bad, 30, p) * evalue).sum()) for p in np.linspace(limit, 1, 12)]
    assert means[0] == pytest.approx(1)
    assert max(means[1:]) < 1


@pytest.mark.parametrize("drop", [0.05, 0.2, 0.5, 0.9])
def test_a_canary_that_drops(drop: float) -> None:
    """Everywhere in the null, not only at its edge: shares that differ by `drop` or more, and change between ticks."""
    dropped = pairs(lambda c, s: c >= s + drop - EPS)
    edge = [(s + drop, s) for s in np.linspace(0, 1 - drop, 9)]
    assert worst_mean(observed(DropMarginTest(drop)), dropped + edge) <= 1 + EPS


def nearest_drop(guess: float, drop: float, canary: int, stable: int) -> float:
    """Stable's share in the null's point that is nearest to equal arms with a share of `guess`."""

    def divergence(share: float) -> float:
        return float(guess * np.log(guess / share) + (1 - guess) * np.log((1 - guess) / (1 - share)))

    def distance(share: float) -> float:
        return canary * divergence(share + drop) + stable * divergence(share)

    bounds = (1e-12, 1 - drop - 1e-12)
    return float(minimize_scalar(distance, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x)


@pytest.mark.parametrize(
    ("canary", "stable", "drop"), [(3, 4, 0.1), (4, 1, 0.3), (1, 6, 0.02), (2, 0, 0.3), (0, 2, 0.3)]
)
def test_the_nearest_drop_is_the_nearest(canary: int, stable: int, drop: float) -> None:
    """At the null's point that is nearest to the guess the mean is 1: none of the evidence is given away."""
    tables = Tables([(canary, stable)])
    nearest = nearest_drop(0.5, drop, canary, stable)  # a process that has seen nothing guesses one half
    chances = tables.chances(0, [(nearest + drop, nearest)])
    assert (chances * np.exp(observed(DropMarginTest(drop), tables))).sum() == pytest.approx(1, abs=1e-7)


def test_the_guess_is_what_both_arms_did_before() -> None:
    """The share of bad requests in all earlier ticks, with half a bad request in one more."""
    process, expected, bad, requests = DropMarginTest(0.1), 0.0, 0, 0
    for canary, stable in [((30, 2), (50, 6)), ((20, 0), (60, 9)), ((40, 5), (40, 3))]:
        guess = (bad + 0.5) / (requests + 1)
        nearest = nearest_drop(guess, 0.1, canary[0], stable[0])
        for (n, y), null in ((canary, nearest + 0.1), (stable, nearest)):
            expected += binom.logpmf(y, n, guess) - binom.logpmf(y, n, null)
            bad, requests = bad + y, requests + n
        process.update(*(Counts(np.array([float(n)]), np.array([float(y)])) for n, y in (canary, stable)))
    assert process.log_evalue[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("law", [NO_BURSTS, OFTEN], ids=["no bursts", "often"])
def test_a_canary_that_is_worse_by_a_ratio(law: BurstLaw, ratio: float) -> None:
    """For shares that are not rare as well, and for a ratio between two levels."""
    worse = pairs(lambda c, s: c >= ratio * s)
    edge = [(ratio * s, s) for s in np.linspace(0, 1 / ratio, 9)]
    assert worst_mean(observed(RatioMarginTest(law, ALONE, 5.0, ratio)), worse + edge) <= 1 + EPS


@pytest.mark.parametrize("weights", [(0.1, 0.1), (0.1, 0.5), (1.0, 0.5), (0.0, 0.3)])
def test_a_canary_that_answers(weights: tuple[float, float]) -> None:
    """It finishes at least half of its share, at weights that move."""
    finished = 8
    tables = np.array(list(product(range(finished + 1), repeat=2)), float).T
    silence = Silence()
    for weight, canary in zip(weights, tables, strict=True):
        silence.update(np.full_like(canary, weight), canary, finished - canary)
    evalue = np.exp(silence.log_evalue)
    for parts in product((0.5, 0.6, 1.0), repeat=2):
        shares = np.array(parts)[:, None] * np.array(weights)[:, None]
        assert (np.prod(binom.pmf(tables, finished, shares), axis=0) * evalue).sum() <= 1 + EPS


def objective(limit: float | None, margin: Margin, requests: float = 0, bad: float = 0) -> ObjectiveEProcesses:
    known = ObjectiveBaseline(BurstLaw.unknown(1e12, (1,)), NO_BURSTS, requests, bad)
    evidence = ObjectiveEProcesses(Criterion(True, limit, True, (margin,)), known, ALONE, 5.0)
    for tick in range(len(SIZES)):
        canary, stable = (ObjectiveCounts(arm, Counts(arm.requests[None], arm.bad[None])) for arm in TABLES.arms(tick))
        evidence.update(canary, stable, proven=True)
    return evidence


def test_a_canary_that_is_no_worse_than_stable_or_its_record() -> None:
    """Either is enough: as good as stable is now, whatever it was; or as good as it was, whatever it is now."""
    evidence = objective(None, Margin(ratio=2.0), requests=1e6, bad=2e5)
    assert worst_mean(evidence.log_worse, NO_WORSE) <= 1 + EPS
    assert worst_mean(evidence.log_worse, pairs(lambda c, _: c <= 0.2)) <= 1 + EPS


@pytest.mark.parametrize("tolerance", [0.1, 0.4])
def test_worse_by_a_ratio_and_by_the_tolerance(tolerance: float) -> None:
    """The null of a promotion is an intersection: both must hold in every tick, and the mean of the halves tests it."""
    evidence = objective(None, Margin(ratio=2.0, tolerance=tolerance))
    worse = pairs(lambda c, s: c >= 2 * s and c >= tolerance)
    assert worst_mean(evidence.log_non_inferior(0), [*worse, (tolerance, tolerance / 2)]) <= 1 + EPS


@pytest.mark.parametrize("limit", [0.1, 0.25])
def test_a_canary_that_is_not_to_blame_for_the_limit(limit: float) -> None:
    """It keeps the limit, whatever stable does; or it is no worse than stable, whatever both do."""
    evidence = objective(limit, Margin(ratio=2.0))
    assert worst_mean(evidence.log_over_limit_and_worse, pairs(lambda c, _: c <= limit)) <= 1 + EPS
    assert worst_mean(evidence.log_over_limit_and_worse, NO_WORSE) <= 1 + EPS
