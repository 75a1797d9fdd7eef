"""Under its null, the mean of an e-value over all tables of counts is at most 1. The tables are enumerated."""

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
from sluice_operator.evalues.limits import LimitTest, log_below_limit, over_limit_and_worse
from sluice_operator.evalues.margins import DropMarginTest, RatioMarginTest
from sluice_operator.evalues.objective import Criterion, Margin, ObjectiveBaseline, ObjectiveCounts, ObjectiveEProcesses
from sluice_operator.evalues.silence import Silence

NO_BURSTS = BurstLaw.unknown(1e12)
OFTEN = BurstLaw(np.full(9, 2e-4), np.full(9, 60.0), np.asarray(1.7e-3))
ONE_POD_EACH = Pods(1, 1)
SIZES = ((3, 5), (4, 2))  # requests of the canary and of stable, by tick
EPS = 1e-9


class Tables:
    """Every table of bad requests for these sizes, one run for each table, and the probability of each table."""

    def __init__(self, sizes: Sequence[tuple[int, int]] = SIZES) -> None:
        self.sizes = sizes
        cells = [range(size + 1) for tick in sizes for size in tick]
        self.bad = np.array(list(product(*cells)), float).T.reshape(len(sizes), 2, -1)

    def counts(self, tick: int) -> tuple[Counts, Counts]:
        """Of the canary and of stable."""
        canary, stable = self.sizes[tick]
        y_c, y_s = self.bad[tick]
        return Counts(np.full(y_c.shape, float(canary)), y_c), Counts(np.full(y_s.shape, float(stable)), y_s)

    def chances(self, tick: int, shares: Sequence[tuple[float, float]]) -> Floats:
        """The probability of what each table has in this tick, for each pair of `shares`: those of bad requests of the
        canary and of stable. Of shape (pairs, tables)."""
        sizes, p = np.array(self.sizes[tick])[None, :, None], np.array(shares)[..., None]
        return np.asarray(np.prod(binom.pmf(self.bad[tick], sizes, p), axis=1))


TABLES = Tables()


def worst_mean(log_evalue: Floats, shares: Sequence[tuple[float, float]]) -> float:
    """The largest mean if each of the two ticks may have any pair of `shares`. All requests are independent."""
    first, second = TABLES.chances(0, shares), TABLES.chances(1, shares)
    return float(((first * np.exp(log_evalue)) @ second.T).max())


def updated(process: Comparison | RatioMarginTest | DropMarginTest, tables: Tables = TABLES) -> Floats:
    """The log e-values after all ticks, by table."""
    for tick in range(len(tables.sizes)):
        process.update(*tables.counts(tick))
    return process.log_evalue


def pairs(allowed: Callable[[float, float], bool]) -> list[tuple[float, float]]:
    """Pairs of shares of the canary and of stable, on a grid, that belong to a null."""
    grid = np.array([0.0, 0.05, 0.1, 0.2, 0.25, 0.4, 0.5, 0.7, 0.8, 0.9, 1.0])
    return [(float(c), float(s)) for c, s in product(grid, repeat=2) if allowed(c, s)]


NO_WORSE = pairs(lambda c, s: c <= s)


@pytest.mark.parametrize("at_start", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("law", [NO_BURSTS, OFTEN], ids=["no bursts", "often"])
def test_a_canary_that_is_no_worse(law: BurstLaw, at_start: float) -> None:
    """For equal or smaller shares, rare or not, that change from tick to tick, and any weight of late beginnings."""
    log_evalue = updated(Comparison(law, ONE_POD_EACH, 5.0, at_start=at_start))
    assert worst_mean(log_evalue, NO_WORSE) <= 1 + EPS


@pytest.mark.parametrize("ticks", [1, 3, 6])
def test_the_mean_is_the_weight_that_has_begun(ticks: int) -> None:
    """With rare bad requests and equal revisions the mean is as large as it may be: no evidence is lost."""
    tables = np.array(list(product((0.0, 1.0), repeat=ticks)))
    comparison = Comparison(NO_BURSTS, ONE_POD_EACH, 5.0, at_start=0.6)
    for bad in tables.T:  # one bad request in each tick, on either side
        comparison.update(Counts(np.full_like(bad, 30.0), bad), Counts(np.full_like(bad, 70.0), 1 - bad))
    chances = np.prod(np.where(tables == 1, 0.3, 0.7), axis=1)
    assert (chances * np.exp(comparison.log_evalue)).sum() == pytest.approx(0.6 + 0.4 * (1 - ticks**-0.5), rel=1e-5)


@pytest.mark.parametrize("threshold", [1.5, 3.0, 10.0])
def test_every_tick_may_be_evaluated(threshold: float) -> None:
    """The e-value ever reaches a threshold with a probability of at most 1 / threshold (Ville 1939)."""
    tables = np.array(list(product((0.0, 1.0), repeat=9)))
    comparison, highest = Comparison(NO_BURSTS, ONE_POD_EACH, 5.0), np.full(len(tables), -np.inf)
    for bad in tables.T:
        comparison.update(Counts(np.full_like(bad, 30.0), bad), Counts(np.full_like(bad, 70.0), 1 - bad))
        highest = np.maximum(highest, comparison.log_evalue)
    chances = np.prod(np.where(tables == 1, 0.3, 0.7), axis=1)
    assert 0 < chances[highest >= np.log(threshold)].sum() <= 1 / threshold


def mean_of_better(law: BurstLaw, pods: Pods, share: float, ratio: float, at_start: float = AT_START) -> float:
    """The mean of the e-value, given 8 bad requests in each of 4 ticks.

    `share`: the canary's share of the requests. `ratio`: the canary's rate of bad requests, divided by stable's.
    """
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
    """A canary that has fewer bad requests than its share; like the formula, given all bad requests of a tick."""
    assert mean_of_better(OFTEN, ONE_POD_EACH, share, ratio) <= 1 + EPS


def test_a_better_canary_where_bursts_fill_the_time() -> None:
    """No theorem covers this. Quiet time is no evidence against a canary that bursts less than the law allows."""
    always = BurstLaw(np.full(9, 1e-3), np.full(9, 60.0), np.asarray(5e-3))
    assert mean_of_better(always, Pods(1, 3), share=0.5, ratio=0.0, at_start=1.0) <= 1 + EPS


@pytest.mark.parametrize("limit", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("law", [NO_BURSTS, OFTEN], ids=["no bursts", "often"])
def test_a_canary_that_keeps_the_limit(law: BurstLaw, limit: float) -> None:
    """At the limit and anywhere below it."""
    over_limit = LimitTest(law, 1, 5.0, np.asarray(limit))
    for tick in range(len(SIZES)):
        over_limit.update(TABLES.counts(tick)[0])
    assert worst_mean(over_limit.log_evalue, pairs(lambda c, s: c <= limit and s == 0)) <= 1 + EPS


@pytest.mark.parametrize("limit", [0.001, 0.1, 0.5, 0.9])
def test_a_revision_that_does_not_keep_the_limit(limit: float) -> None:
    """At the limit the mean is 1; over the limit it is less."""
    bad = np.arange(31.0)
    evalue = np.exp(log_below_limit(np.full(31, limit), np.full(31, 30.0), bad))
    means = [float((binom.pmf(bad, 30, p) * evalue).sum()) for p in np.linspace(limit, 1, 12)]
    assert means[0] == pytest.approx(1)
    assert max(means[1:]) < 1


@pytest.mark.parametrize("drop", [0.05, 0.2, 0.5, 0.9])
def test_a_canary_that_is_worse_by_a_drop(drop: float) -> None:
    """Everywhere in the null, not only at its edge: shares that differ by `drop` or more, and change between ticks."""
    dropped = pairs(lambda c, s: c >= s + drop - EPS)
    edge = [(s + drop, s) for s in np.linspace(0, 1 - drop, 9)]
    assert worst_mean(updated(DropMarginTest(drop)), dropped + edge) <= 1 + EPS


def nearest_drop(guess: float, drop: float, canary: int, stable: int) -> float:
    """Stable's share in the null's point that is nearest to a share of `guess` in both revisions."""

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
    """At the null's point that is nearest to the guess, the mean is 1: no evidence is lost."""
    tables = Tables([(canary, stable)])
    nearest = nearest_drop(0.5, drop, canary, stable)  # before the first tick, the guess is one half
    chances = tables.chances(0, [(nearest + drop, nearest)])
    assert (chances * np.exp(updated(DropMarginTest(drop), tables))).sum() == pytest.approx(1, abs=1e-7)


def test_the_guess_is_the_pooled_share_of_earlier_ticks() -> None:
    """Half a bad request in one request is added to it."""
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
    """Also for shares that are not rare, and for a ratio between two levels."""
    worse = pairs(lambda c, s: c >= ratio * s)
    edge = [(ratio * s, s) for s in np.linspace(0, 1 / ratio, 9)]
    assert worst_mean(updated(RatioMarginTest(law, ONE_POD_EACH, 5.0, ratio)), worse + edge) <= 1 + EPS


@pytest.mark.parametrize("weights", [(0.1, 0.1), (0.1, 0.5), (1.0, 0.5), (0.0, 0.3)])
def test_a_canary_that_answers(weights: tuple[float, float]) -> None:
    """It finishes at least half of its share, at weights that change."""
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
    """The e-processes of one objective after all ticks. `requests` and `bad`: of the baseline."""
    baseline = ObjectiveBaseline(BurstLaw.unknown(1e12, (1,)), NO_BURSTS, requests, bad)
    processes = ObjectiveEProcesses(Criterion(True, limit, True, (margin,)), baseline, ONE_POD_EACH, 5.0)
    for tick in range(len(SIZES)):
        canary, stable = (
            ObjectiveCounts(counts, Counts(counts.requests[None], counts.bad[None])) for counts in TABLES.counts(tick)
        )
        processes.update(canary, stable, proven=True)
    return processes


def test_a_canary_that_is_no_worse_than_stable_or_the_baseline() -> None:
    """One of them is enough: as good as stable is now, or as good as stable was in the baseline."""
    processes = objective(None, Margin(ratio=2.0), requests=1e6, bad=2e5)
    assert worst_mean(processes.log_worse, NO_WORSE) <= 1 + EPS
    assert worst_mean(processes.log_worse, pairs(lambda c, _: c <= 0.2)) <= 1 + EPS


@pytest.mark.parametrize("tolerance", [0.1, 0.4])
def test_worse_by_a_ratio_and_by_the_tolerance(tolerance: float) -> None:
    """Under the null both halves hold in every tick. The mean of their e-values tests this null."""
    processes = objective(None, Margin(ratio=2.0, tolerance=tolerance))
    worse = pairs(lambda c, s: c >= 2 * s and c >= tolerance)
    assert worst_mean(processes.log_non_inferior(0), [*worse, (tolerance, tolerance / 2)]) <= 1 + EPS


@pytest.mark.parametrize("limit", [0.1, 0.25])
def test_a_canary_that_is_not_to_blame_for_the_limit(limit: float) -> None:
    """It keeps the limit, whatever stable does; or it is no worse than stable, whatever the shares are."""
    processes = objective(limit, Margin(ratio=2.0))
    over_and_worse = over_limit_and_worse(processes.log_over_limit, processes.log_worse_now)
    assert worst_mean(over_and_worse, pairs(lambda c, _: c <= limit)) <= 1 + EPS
    assert worst_mean(over_and_worse, NO_WORSE) <= 1 + EPS
