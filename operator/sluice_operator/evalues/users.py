"""Numeric outcomes of an A/B test, such as revenue per user: a confidence sequence for the difference of two means.

The unit is the user, whose requests are not independent. Users are assigned at random, with a share that stays the
same over the test; a share that moves with the hour would look like an effect.
"""

from dataclasses import dataclass

import numpy as np

from sluice_operator.evalues.arithmetic import Floats

_FEWEST = 100.0  # users per arm before the central limit theorem is trusted
_ITERATIONS = 50


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One arm so far: number of users, sum of their outcomes, and sum of the squares. All of one shape.

    Take outcomes less some fixed value near their mean where that is large: the variance is a difference of sums.
    """

    users: Floats
    total: Floats
    squares: Floats


@dataclass(frozen=True, slots=True)
class Interval:
    """Lower and upper end; infinite while an arm has too few users."""

    low: Floats
    high: Floats


def difference(canary: Outcomes, stable: Outcomes, alpha: float, tightest_at: float) -> Interval:
    """Where mean(canary) - mean(stable) lies, at every look at once, with a chance of 1 - `alpha`, asymptotically.

    The Gaussian mixture of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), for the difference of means as an
    asymptotically linear estimator: with t users in both arms and V = s_c^2/n_c + s_s^2/n_s its estimated variance,
    the radius is sqrt(V (1 + 1/x) ln((1 + x)/alpha^2)), x = t rho^2. `tightest_at`: the t for which rho is chosen.
    """
    users = canary.users + stable.users
    x = users / tightest_at * _best_mixture(alpha)
    enough = np.minimum(canary.users, stable.users) >= _FEWEST
    variance = _variance_of_mean(canary) + _variance_of_mean(stable)
    spread = (1 + 1 / np.maximum(x, 1e-300)) * np.log((1 + x) / alpha**2)
    radius = np.where(enough, np.sqrt(variance * spread), np.inf)
    centre = _mean(canary) - _mean(stable)
    return Interval(centre - radius, centre + radius)


def _best_mixture(alpha: float) -> float:
    """The x that minimises (1 + 1/x) ln((1 + x)/alpha^2): its derivative is 0 where x = ln((1 + x)/alpha^2)."""
    x = 1.0
    for _ in range(_ITERATIONS):
        x = float(np.log1p(x) - 2 * np.log(alpha))
    return x


def _mean(arm: Outcomes) -> Floats:
    return np.asarray(arm.total / np.maximum(arm.users, 1))


def _variance_of_mean(arm: Outcomes) -> Floats:
    users = np.maximum(arm.users, 2)
    return np.asarray(np.maximum(arm.squares - arm.total**2 / users, 0) / (users - 1) / users)
