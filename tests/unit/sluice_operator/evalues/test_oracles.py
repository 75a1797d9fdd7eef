"""The e-values where other people's code computes the same thing: ville and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import ville
from scipy.stats import binom, poisson
from ville.evalues import combine

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.budget import averaged
from sluice_operator.evalues.chain import LEVELS, BurstLaw, Pods
from sluice_operator.evalues.comparison import Comparison
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import LimitTest, log_below_limit
from sluice_operator.evalues.margins import RatioMarginTest

NO_BURSTS = BurstLaw.unknown(1e200)
SURE = 1e9  # a mixture this concentrated is a point


def arm(requests: float, bad: float) -> Counts:
    return Counts(np.array([requests]), np.array([bad]))


def stream(requests: int, bad: int) -> Floats:
    """Requests one by one, spread evenly; 1 is a bad one."""
    ones = np.zeros(requests)
    ones[np.linspace(0, requests - 1, bad).astype(int)] = 1
    return ones


def villes(null: float, alternative: float, requests: int, bad: int) -> float:
    """ville's mixture, with all its weight next to one alternative."""
    prior = (SURE * alternative, SURE * (1 - alternative))
    return float(ville.BernoulliTest(null, prior=prior).fit(stream(requests, bad)).log_e_values_[-1])


@pytest.mark.parametrize(("requests", "bad"), [(50, 0), (400, 3), (400, 40), (2000, 21)])
@pytest.mark.parametrize("limit", [0.01, 0.05])
def test_beyond_a_limit_is_villes_test(requests: int, bad: int, limit: float) -> None:
    """Without bursts: the mean over levels of the odds, of the likelihood ratio against the limit."""
    process = LimitTest(NO_BURSTS, 1, 5.0, np.asarray(limit))
    process.update(arm(requests, bad))
    shares = LEVELS * limit / (1 + limit * (LEVELS - 1))
    logs = [villes(limit, float(share), requests, bad) for share in shares]
    expected = np.log(0.8 * combine(np.exp(logs)))
    assert process.log_evalue[0] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("requests", "bad"), [(3000, 1), (3000, 5), (3000, 40)])
def test_inside_a_limit_is_villes_test(requests: int, bad: int) -> None:
    """The mean over shares below the limit; with a bad request the one of 0 is out."""
    limit = 0.01
    logs = [villes(limit, part * limit, requests, bad) for part in (0.1, 0.25, 0.5, 0.8)]
    expected = np.log(0.5 * combine(np.exp(logs)))
    assert log_below_limit(np.asarray(limit), np.asarray(requests), np.asarray(bad)) == pytest.approx(
        expected, abs=0.01
    )


@pytest.mark.parametrize(("y_c", "y_s"), [(0, 0), (4, 1), (0, 9), (12, 3)])
def test_the_comparison_is_a_ratio_of_binomials(y_c: int, y_s: int) -> None:
    """Without bursts: given all bad requests of a tick, the canary has a binomial part of them."""
    n_c, n_s = 100.0, 700.0
    process = Comparison(NO_BURSTS, Pods(1, 1), 5.0)
    process.update(arm(n_c, y_c), arm(n_s, y_s))
    shares = LEVELS * n_c / (LEVELS * n_c + n_s)
    ratios = binom.pmf(y_c, y_c + y_s, shares) / binom.pmf(y_c, y_c + y_s, n_c / (n_c + n_s))
    assert process.log_evalue[0] == pytest.approx(np.log(0.8 * ratios.mean()), abs=1e-9)


@pytest.mark.parametrize(("y_c", "y_s"), [(0, 0), (4, 1), (0, 9), (12, 30)])
def test_a_margin_is_a_ratio_of_binomials(y_c: int, y_s: int) -> None:
    """As many as stable has, against twice as many."""
    n_c, n_s = 100.0, 700.0
    process = RatioMarginTest(NO_BURSTS, Pods(1, 1), 5.0, 2.0)
    process.update(arm(n_c, y_c), arm(n_s, y_s))
    equal, twice = n_c / (n_c + n_s), 2 * n_c / (2 * n_c + n_s)
    expected = binom.logpmf(y_c, y_c + y_s, equal) - binom.logpmf(y_c, y_c + y_s, twice)
    assert process.log_evalue[0] == pytest.approx(expected, abs=1e-9)


def test_the_baseline_cancels() -> None:
    """Two Poisson counts, given their sum, say nothing about the rate that both share."""
    for baseline in (0.001, 0.02):
        joint = poisson.pmf(6, 200 * baseline * 3) * poisson.pmf(9, 800 * baseline)
        total = poisson.pmf(15, 200 * baseline * 3 + 800 * baseline)
        assert joint / total == pytest.approx(binom.pmf(6, 15, 600 / 1400))


def test_averaging_is_villes() -> None:
    """The mean, which is valid under any dependence."""
    logs = np.array([[-3.0, 0.5], [2.0, 8.0], [1.0, -40.0]])
    np.testing.assert_allclose(averaged(list(logs)), np.log(combine(np.exp(logs), axis=0)))
