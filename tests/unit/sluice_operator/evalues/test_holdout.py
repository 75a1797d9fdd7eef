"""The offline gate, against scipy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, binomtest, multinomial

from sluice_operator.evalues.holdout import at_least, at_most, chance_of_losses, drop_at_most, total_for, upper_tail

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


@pytest.mark.parametrize(("lost", "gained", "total"), [(0, 0, 45), (0, 5, 45), (19, 3, 1000), (50, 50, 5000)])
def test_the_bound_of_a_drop_is_made_of_two_exact_ones(lost: int, gained: int, total: int) -> None:
    """How common rows are that tell the models apart, and how many of them are lost; each at half of alpha."""
    apart = binomtest(lost + gained, total).proportion_ci(0.95, method="exact").high
    of_them = binomtest(lost, lost + gained).proportion_ci(0.95, method="exact").high if lost + gained else 1.0
    assert drop_at_most(lost, gained, total, 0.05) == pytest.approx(apart * max(0.0, 2 * of_them - 1), abs=1e-9)


def tables(total: int) -> list[tuple[int, int]]:
    return [(lost, gained) for lost in range(total + 1) for gained in range(total + 1 - lost)]


@pytest.mark.parametrize("total", [5, 20, 45])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_a_drop_beyond_its_bound_is_as_rare_as_promised(total: int, alpha: float) -> None:
    """Over all tables of a hold-out, for models that disagree hardly ever, always, and in between."""
    counts = tables(total)
    bounds = np.array([drop_at_most(*count, total, alpha) for count in counts])
    cells = np.array([(lost, gained, total - lost - gained) for lost, gained in counts])
    shares = [0.001, 0.01, 0.03, 0.08, 0.15, 0.3, 0.5, 0.7, 0.9, 0.999]
    for only_old, only_new in product(shares, [0.0, *shares]):
        if only_new < only_old <= 1 - only_new:
            chances = multinomial.pmf(cells, total, [only_old, only_new, 1 - only_old - only_new])
            assert chances[bounds < only_old - only_new].sum() <= alpha + 1e-12


def test_a_better_model_is_not_bounded_below_nothing() -> None:
    """A gain that is shown is no drop."""
    assert drop_at_most(lost=0, gained=40, total=200, alpha=0.05) == 0.0


@pytest.mark.parametrize(("drop", "alpha", "total"), [(0.02, 0.05, 183), (0.05, 0.05, 72), (0.08, 0.05, 45)])
def test_the_least_hold_out_that_can_show_a_margin(drop: float, alpha: float, total: int) -> None:
    """One example fewer, and even two models that never disagree could not."""
    assert total_for(drop, alpha) == total
    assert drop_at_most(0, 0, total, alpha) < drop <= drop_at_most(0, 0, total - 1, alpha)


def test_the_bound_needs_fewer_examples_than_one_for_each_share() -> None:
    """Bounds for the shares of lost and of gained ones would also hold; they are wider where models often disagree."""
    lost = gained = 100
    separate = at_most(lost, 5000, 0.025) - at_least(gained, 5000, 0.025)
    assert drop_at_most(lost, gained, 5000, 0.05) < 0.85 * separate
