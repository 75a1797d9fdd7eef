"""The confidence sequence for numeric outcomes of users covers the truth, and is as short as it can be."""

from __future__ import annotations

import numpy as np
import pytest
import ville

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.users import Interval, Outcomes, difference

ALPHA = 0.1


def outcomes(values: Floats) -> Outcomes:
    """`values`: of shape (users, tests)."""
    return Outcomes(np.full(values.shape[1:], float(len(values))), values.sum(0), (values**2).sum(0))


def intervals(canary: Floats, stable: Floats, evaluations: list[int], alpha: float = ALPHA) -> list[Interval]:
    """One interval per evaluation. `evaluations`: how many users each revision has then."""
    return [difference(outcomes(canary[:n]), outcomes(stable[:n]), alpha, tightest_at=2000.0) for n in evaluations]


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_the_true_effect_is_inside_at_all_evaluations_together(effect: float) -> None:
    """Skewed outcomes, most of them 0, evaluated 40 times: at most `alpha` of the tests ever miss the effect."""
    random, tests = np.random.default_rng(11), 1000
    buys = random.random((4000, 2, tests)) < 0.3
    spent = buys * random.exponential(1.0, (4000, 2, tests))
    missed = np.zeros(tests, bool)
    for interval in intervals(spent[:, 0] + effect, spent[:, 1], list(range(100, 4001, 100))):
        missed |= (interval.low > effect) | (interval.high < effect)
    assert missed.mean() <= ALPHA


def test_an_effect_is_found() -> None:
    """With enough users, 0 is outside of the interval."""
    random = np.random.default_rng(12)
    values = random.exponential(1.0, (5000, 2, 200))
    (last,) = intervals(values[:, 0] + 0.2, values[:, 1], [5000])
    assert (last.low > 0).mean() > 0.95


def test_a_shift_of_both_revisions_does_not_matter() -> None:
    """What both have in common does not change the difference."""
    random = np.random.default_rng(13)
    canary, stable = random.normal(1.0, 2.0, (2, 500, 3))
    (interval,), (shifted,) = (intervals(canary + by, stable + by, [500]) for by in (0.0, 1000.0))
    np.testing.assert_allclose((interval.low, interval.high), (shifted.low, shifted.high), atol=1e-6)


def test_units_do_not_matter_and_roles_are_mirrored() -> None:
    """In cents the interval is a hundred times as wide; with exchanged revisions it changes its sign."""
    random = np.random.default_rng(14)
    canary, stable = random.normal(1.0, 2.0, (2, 500, 1))
    (interval,) = intervals(canary, stable, [500])
    (cents,) = intervals(100 * canary, 100 * stable, [500])
    (mirrored,) = intervals(stable, canary, [500])
    np.testing.assert_allclose((cents.low, cents.high), (100 * interval.low, 100 * interval.high))
    np.testing.assert_allclose((mirrored.low, mirrored.high), (-interval.high, -interval.low))


@pytest.mark.parametrize("users", [0, 1, 2, 99])
def test_few_users_give_an_infinite_interval(users: int) -> None:
    """The central limit theorem needs enough users of each revision, even where the first ones are all alike."""
    interval = difference(outcomes(np.ones((users, 1))), outcomes(np.zeros((5000, 1))), ALPHA, 1000.0)
    assert (interval.low[0], interval.high[0]) == (-np.inf, np.inf)


def test_it_is_tightest_at_the_given_number_of_users() -> None:
    """At 4,000 users of both revisions, no other value of `tightest_at` gives a shorter interval."""
    sample = outcomes(np.random.default_rng(15).normal(0.0, 1.0, (2000, 1)))
    widths = {at: difference(sample, sample, ALPHA, at).high[0] for at in (400.0, 2000.0, 4000.0, 8000.0, 40000.0)}
    assert min(widths, key=lambda at: widths[at]) == 4000.0


def test_it_is_as_wide_as_the_interval_of_ville() -> None:
    """The package ville uses the same theorem for a stream of randomised users."""
    random = np.random.default_rng(16)
    values = random.exponential(1.0, 20_000)
    treated = np.arange(20_000) % 2
    oracle = ville.AsymptoticABTest(alpha=0.05, t_opt=10_000).fit(values, treated)
    (low, high) = oracle.interval()
    canary, stable = (outcomes(values[treated == group][:, None]) for group in (1, 0))
    interval = difference(canary, stable, 0.05, 10_000.0)
    assert interval.high[0] - interval.low[0] == pytest.approx(high - low, rel=0.02)
    assert (interval.high[0] + interval.low[0]) / 2 == pytest.approx((high + low) / 2, abs=0.01)
