"""The bounds and tests for hold-outs are exact; the oracle is scipy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, binomtest, multinomial

from sluice_operator.evalues.hold_out import at_least, at_most, chance_of_losses, drop_at_most, total_for, upper_tail

COUNTS = [(0, 1), (1, 1), (0, 30), (1, 30), (15, 30), (24, 30), (29, 30), (30, 30), (699_500, 1_000_000)]


@pytest.mark.parametrize(("correct", "total"), COUNTS)
@pytest.mark.parametrize("alpha", [0.001, 0.025, 0.05, 0.4])
def test_bounds_are_those_of_clopper_and_pearson(correct: int, total: int, alpha: float) -> None:
    """Both bounds are one-sided, so the two-sided interval of the oracle has twice the level."""
    oracle = binomtest(correct, total).proportion_ci(1 - 2 * alpha, method="exact")
    assert at_least(correct, total, alpha) == pytest.approx(oracle.low, abs=1e-9)
    assert at_most(correct, total, alpha) == pytest.approx(oracle.high, abs=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.99])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_a_bound_is_wrong_with_a_probability_of_at_most_alpha(share: float, alpha: float) -> None:
    """The probability is summed over all outcomes of a hold-out of 40."""
    chances = binom.pmf(np.arange(41), 40, share)
    wrong = np.array([at_least(correct, 40, alpha) > share for correct in range(41)])
    assert chances[wrong].sum() <= alpha


def test_an_empty_hold_out_leaves_every_share_possible() -> None:
    """The bounds are then 0 and 1."""
    assert (at_least(0, 0, 0.05), at_most(0, 0, 0.05)) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "trials"), [*COUNTS, (0, 0), (500, 1000), (31, 30)])
@pytest.mark.parametrize("share", [1e-6, 0.1, 0.5, 0.9])
def test_tails_are_those_of_scipy(successes: int, trials: int, share: float) -> None:
    """On both sides of the mean, from nearly 0 to nearly 1."""
    assert upper_tail(successes, trials, share) == pytest.approx(binom.sf(successes - 1, trials, share), rel=1e-7)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (0, 5), (5, 5), (9, 2), (30, 60), (400, 300)])
def test_the_paired_test_is_the_exact_one_of_mcnemar(lost: int, gained: int) -> None:
    """That is a sign test on the examples on which the models disagree."""
    if lost + gained == 0:
        assert chance_of_losses(lost, gained) == 1
        return
    oracle = binomtest(lost, lost + gained, 0.5, alternative="greater").pvalue
    assert chance_of_losses(lost, gained) == pytest.approx(oracle, rel=1e-9)


def test_pairs_show_more_than_totals() -> None:
    """Five right ones fewer in a thousand: the bounds of the totals overlap, but the paired test is significant."""
    assert at_most(920, 1000, 0.05) > at_least(925, 1000, 0.05)
    assert chance_of_losses(lost=5, gained=0) < 0.05


@pytest.mark.parametrize(("lost", "gained", "total"), [(0, 0, 45), (0, 5, 45), (19, 3, 1000), (50, 50, 5000)])
def test_the_bound_of_a_drop_is_made_of_two_exact_ones(lost: int, gained: int, total: int) -> None:
    """One for how common rows are that differ between the models, one for how many of them are lost; at alpha / 2."""
    differing = binomtest(lost + gained, total).proportion_ci(0.95, method="exact").high
    of_them = binomtest(lost, lost + gained).proportion_ci(0.95, method="exact").high if lost + gained else 1.0
    assert drop_at_most(lost, gained, total, 0.05) == pytest.approx(differing * max(0.0, 2 * of_them - 1), abs=1e-9)


def tables(total: int) -> list[tuple[int, int]]:
    """All pairs (lost, gained) of a hold-out of `total` examples."""
    return [(lost, gained) for lost in range(total + 1) for gained in range(total + 1 - lost)]


@pytest.mark.parametrize("total", [5, 20, 45])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_a_drop_over_its_bound_has_a_probability_of_at_most_alpha(total: int, alpha: float) -> None:
    """Summed over all tables of a hold-out, for models that disagree rarely, often or always."""
    counts = tables(total)
    bounds = np.array([drop_at_most(*count, total, alpha) for count in counts])
    cells = np.array([(lost, gained, total - lost - gained) for lost, gained in counts])
    shares = [0.001, 0.01, 0.03, 0.08, 0.15, 0.3, 0.5, 0.7, 0.9, 0.999]
    for only_old, only_new in product(shares, [0.0, *shares]):
        if only_new < only_old <= 1 - only_new:
            chances = multinomial.pmf(cells, total, [only_old, only_new, 1 - only_old - only_new])
            assert chances[bounds < only_old - only_new].sum() <= alpha + 1e-12


def test_the_bound_of_a_drop_is_never_negative() -> None:
    """A model that is shown to be better has a bound of 0."""
    assert drop_at_most(lost=0, gained=40, total=200, alpha=0.05) == 0.0


@pytest.mark.parametrize(("drop", "alpha", "total"), [(0.02, 0.05, 183), (0.05, 0.05, 72), (0.08, 0.05, 45)])
def test_the_smallest_hold_out_that_can_rule_out_a_drop(drop: float, alpha: float, total: int) -> None:
    """With one example fewer, even two models that never disagree cannot rule it out."""
    assert total_for(drop, alpha) == total
    assert drop_at_most(0, 0, total, alpha) < drop <= drop_at_most(0, 0, total - 1, alpha)


def test_the_bound_needs_fewer_examples_than_one_for_each_share() -> None:
    """Separate bounds for the shares of lost and of gained rows are valid too, but wider if models often disagree."""
    lost = gained = 100
    separate = at_most(lost, 5000, 0.025) - at_least(gained, 5000, 0.025)
    assert drop_at_most(lost, gained, 5000, 0.05) < 0.85 * separate
