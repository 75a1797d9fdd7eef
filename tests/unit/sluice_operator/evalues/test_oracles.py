"""E-values without bursts, compared with the packages ville and scipy, which compute the same numbers."""

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
CONCENTRATION = 1e9  # a mixture that is this concentrated is nearly a single alternative


def counts(requests: float, bad: float) -> Counts:
    return Counts(np.array([requests]), np.array([bad]))


def stream(requests: int, bad: int) -> Floats:
    """Requests one by one, 1 for a bad one. The bad ones are spread evenly."""
    outcomes = np.zeros(requests)
    outcomes[np.linspace(0, requests - 1, bad).astype(int)] = 1
    return outcomes


def ville_log_evalue(null: float, alternative: float, requests: int, bad: int) -> float:
    """The mixture of ville, with nearly all of its weight on one alternative."""
    prior = (CONCENTRATION * alternative, CONCENTRATION * (1 - alternative))
    return float(ville.BernoulliTest(null, prior=prior).fit(stream(requests, bad)).log_e_values_[-1])


@pytest.mark.parametrize(("requests", "bad"), [(50, 0), (400, 3), (400, 40), (2000, 21)])
@pytest.mark.parametrize("limit", [0.01, 0.05])
def test_over_a_limit_is_the_test_of_ville(requests: int, bad: int, limit: float) -> None:
    """The mean over the levels of the likelihood ratio against the limit; a level multiplies the odds."""
    process = LimitTest(NO_BURSTS, 1, 5.0, np.asarray(limit))
    process.update(counts(requests, bad))
    shares = LEVELS * limit / (1 + limit * (LEVELS - 1))
    logs = [ville_log_evalue(limit, float(share), requests, bad) for share in shares]
    expected = np.log(0.8 * combine(np.exp(logs)))
    assert process.log_evalue[0] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("requests", "bad"), [(3000, 1), (3000, 5), (3000, 40)])
def test_inside_a_limit_is_the_test_of_ville(requests: int, bad: int) -> None:
    """The mean over shares below the limit, without the share 0, which a bad request excludes."""
    limit = 0.01
    logs = [ville_log_evalue(limit, part * limit, requests, bad) for part in (0.1, 0.25, 0.5, 0.8)]
    expected = np.log(0.5 * combine(np.exp(logs)))
    assert log_below_limit(np.asarray(limit), np.asarray(requests), np.asarray(bad)) == pytest.approx(
        expected, abs=0.01
    )


@pytest.mark.parametrize(("y_c", "y_s"), [(0, 0), (4, 1), (0, 9), (12, 3)])
def test_the_comparison_is_a_ratio_of_binomials(y_c: int, y_s: int) -> None:
    """Of all bad requests of a tick, the number of the canary's is binomial."""
    n_c, n_s = 100.0, 700.0
    process = Comparison(NO_BURSTS, Pods(1, 1), 5.0)
    process.update(counts(n_c, y_c), counts(n_s, y_s))
    shares = LEVELS * n_c / (LEVELS * n_c + n_s)
    ratios = binom.pmf(y_c, y_c + y_s, shares) / binom.pmf(y_c, y_c + y_s, n_c / (n_c + n_s))
    assert process.log_evalue[0] == pytest.approx(np.log(0.8 * ratios.mean()), abs=1e-9)


@pytest.mark.parametrize(("y_c", "y_s"), [(0, 0), (4, 1), (0, 9), (12, 30)])
def test_a_margin_is_a_ratio_of_binomials(y_c: int, y_s: int) -> None:
    """As many bad requests as stable, against twice as many."""
    n_c, n_s = 100.0, 700.0
    process = RatioMarginTest(NO_BURSTS, Pods(1, 1), 5.0, 2.0)
    process.update(counts(n_c, y_c), counts(n_s, y_s))
    equal, twice = n_c / (n_c + n_s), 2 * n_c / (2 * n_c + n_s)
    expected = binom.logpmf(y_c, y_c + y_s, equal) - binom.logpmf(y_c, y_c + y_s, twice)
    assert process.log_evalue[0] == pytest.approx(expected, abs=1e-9)


def test_the_common_rate_cancels() -> None:
    """Two Poisson counts, given their sum, do not depend on the rate that both share."""
    for rate in (0.001, 0.02):
        joint = poisson.pmf(6, 200 * rate * 3) * poisson.pmf(9, 800 * rate)
        total = poisson.pmf(15, 200 * rate * 3 + 800 * rate)
        assert joint / total == pytest.approx(binom.pmf(6, 15, 600 / 1400))


def test_the_mean_of_evalues_is_that_of_ville() -> None:
    """The mean is valid under any dependence."""
    logs = np.array([[-3.0, 0.5], [2.0, 8.0], [1.0, -40.0]])
    np.testing.assert_allclose(averaged(list(logs)), np.log(combine(np.exp(logs), axis=0)))
