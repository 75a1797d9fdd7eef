"""The confidence sequence for numeric outcomes of users."""

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


def intervals(canary: Floats, stable: Floats, looks: list[int], alpha: float = ALPHA) -> list[Interval]:
    """After `looks` users in each arm."""
    return [difference(outcomes(canary[:n]), outcomes(stable[:n]), alpha, tightest_at=2000.0) for n in looks]


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_the_truth_is_inside_at_all_looks_at_once(effect: float) -> None:
    """Skewed outcomes, most of them 0, looked at 40 times: wrong in at most `alpha` of the tests, at any look."""
    random, tests = np.random.default_rng(11), 1000
    buys = random.random((4000, 2, tests)) < 0.3
    spent = buys * random.exponential(1.0, (4000, 2, tests))
    missed = np.zeros(tests, bool)
    for one in intervals(spent[:, 0] + effect, spent[:, 1], list(range(100, 4001, 100))):
        missed |= (one.low > effect) | (one.high < effect)
    assert missed.mean() <= ALPHA


def test_an_effect_is_found() -> None:
    """With enough users the interval leaves 0 out."""
    random = np.random.default_rng(12)
    values = random.exponential(1.0, (5000, 2, 200))
    (last,) = intervals(values[:, 0] + 0.2, values[:, 1], [5000])
    assert (last.low > 0).mean() > 0.95


def test_both_arms_may_be_shifted() -> None:
    """What both have in common says nothing about the difference."""
    random = np.random.default_rng(13)
    canary, stable = random.normal(1.0, 2.0, (2, 500, 3))
    (one,), (shifted,) = (intervals(canary + by, stable + by, [500]) for by in (0.0, 1000.0))
    np.testing.assert_allclose((one.low, one.high), (shifted.low, shifted.high), atol=1e-6)


def test_units_do_not_matter_and_roles_are_mirrored() -> None:
    """In cents the interval is a hundred times as wide; with arms exchanged it changes its sign."""
    random = np.random.default_rng(14)
    canary, stable = random.normal(1.0, 2.0, (2, 500, 1))
    (one,) = intervals(canary, stable, [500])
    (cents,) = intervals(100 * canary, 100 * stable, [500])
    (mirrored,) = intervals(stable, canary, [500])
    np.testing.assert_allclose((cents.low, cents.high), (100 * one.low, 100 * one.high))
    np.testing.assert_allclose((mirrored.low, mirrored.high), (-one.high, -one.low))


@pytest.mark.parametrize("users", [0, 1, 2, 99])
def test_few_users_say_nothing(users: int) -> None:
    """The central limit theorem needs some in each arm, even where the first ones all agree."""
    one = difference(outcomes(np.ones((users, 1))), outcomes(np.zeros((5000, 1))), ALPHA, 1000.0)
    assert (one.low[0], one.high[0]) == (-np.inf, np.inf)


def test_it_is_tightest_where_it_is_asked_to_be() -> None:
    """Relative to what a single look would give, no other choice is narrower at that number of users."""
    arm = outcomes(np.random.default_rng(15).normal(0.0, 1.0, (2000, 1)))
    widths = {at: difference(arm, arm, ALPHA, at).high[0] for at in (400.0, 2000.0, 4000.0, 8000.0, 40000.0)}
    assert min(widths, key=lambda at: widths[at]) == 4000.0


def test_it_is_as_wide_as_villes() -> None:
    """ville estimates the same difference from a stream of randomised users; by the same theorem."""
    random = np.random.default_rng(16)
    values = random.exponential(1.0, 20_000)
    treated = np.arange(20_000) % 2
    oracle = ville.AsymptoticABTest(alpha=0.05, t_opt=10_000).fit(values, treated)
    (low, high) = oracle.interval()
    arms = [outcomes(values[treated == arm][:, None]) for arm in (1, 0)]
    one = difference(arms[0], arms[1], 0.05, 10_000.0)
    assert one.high[0] - one.low[0] == pytest.approx(high - low, rel=0.02)
    assert (one.high[0] + one.low[0]) / 2 == pytest.approx((high + low) / 2, abs=0.01)
