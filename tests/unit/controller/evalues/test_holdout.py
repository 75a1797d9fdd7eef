"""The offline gate, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from sluice_operator.evalues.holdout import at_least, at_most, chance_of_losses, upper_tail

COUNTS = [(0, 1), (1, 1), (0, 30), (1, 30), (15, 30), (24, 30), (29, 30), (30, 30), (699_500, 1_000_000)]


@pytest.mark.parametrize(("correct", "total"), COUNTS)
@pytest.mark.parametrize("alpha", [0.001, 0.025, 0.05, 0.4])
def test_bounds_are_those_of_clopper_and_pearson(correct: int, total: int, alpha: float) -> None:
    """Both one-sided, so a two-sided interval has twice the level."""
    oracle = binomtest(correct, total).proportion_ci(1 - 2 * alpha, method="exact")
    assert at_least(correct, total, alpha) == pytest.approx(oracle.low, abs=1e-9)
    assert at_most(correct, total, alpha) == pytest.approx(oracle.high, abs=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.99])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_a_bound_is_wrong_at_most_as_often_as_it_may_be(share: float, alpha: float) -> None:
    """Over all outcomes of a hold-out of 40."""
    chances = binom.pmf(np.arange(41), 40, share)
    wrong = np.array([at_least(correct, 40, alpha) > share for correct in range(41)])
    assert chances[wrong].sum() <= alpha


def test_nothing_counted_bounds_nothing() -> None:
    """An empty hold-out leaves every share possible."""
    assert (at_least(0, 0, 0.05), at_most(0, 0, 0.05)) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "trials"), [*COUNTS, (0, 0), (500, 1000), (31, 30)])
@pytest.mark.parametrize("share", [1e-6, 0.1, 0.5, 0.9])
def test_tails_are_scipys(successes: int, trials: int, share: float) -> None:
    """On either side of the mean, from next to nothing to next to everything."""
    assert upper_tail(successes, trials, share) == pytest.approx(binom.sf(successes - 1, trials, share), rel=1e-7)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (0, 5), (5, 5), (9, 2), (30, 60), (400, 300)])
def test_the_paired_test_is_the_exact_one_of_mcnemar(lost: int, gained: int) -> None:
    """A sign test on the examples on which the models disagree."""
    if lost + gained == 0:
        assert chance_of_losses(lost, gained) == 1
        return
    oracle = binomtest(lost, lost + gained, 0.5, alternative="greater").pvalue
    assert chance_of_losses(lost, gained) == pytest.approx(oracle, rel=1e-9)


def test_pairs_see_more_than_totals() -> None:
    """Five points fewer right ones in a thousand: the bounds overlap, but no example speaks for the new model."""
    assert at_most(920, 1000, 0.05) > at_least(925, 1000, 0.05)
    assert chance_of_losses(lost=5, gained=0) < 0.05
