"""Numeric outcomes of an A/B test, such as revenue per user: a confidence sequence for the difference of two means.

The unit is the user, because the requests of one user are not independent. Users are assigned at random, and the share
of users stays the same during the test: a share that changes with the hour would look like an effect.
"""

from dataclasses import dataclass

import numpy as np

from sluice_operator.evalues.arithmetic import Floats

_MIN_USERS = 100.0  # of each revision; with fewer, the central limit theorem is not used
_ITERATIONS = 50


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One revision so far: number of users, sum of their outcomes, and sum of the squares. All have the same shape.

    If outcomes are large, first subtract a fixed value near their mean: the variance is a difference of two sums.
    """

    users: Floats
    total: Floats
    squares: Floats


@dataclass(frozen=True, slots=True)
class Interval:
    """The lower and the upper end; both are infinite while a revision has too few users."""

    low: Floats
    high: Floats


def difference(canary: Outcomes, stable: Outcomes, alpha: float, tightest_at: float) -> Interval:
    """An interval for mean(canary) - mean(stable). With a probability of 1 - `alpha`, all evaluations together have it
    inside their intervals, asymptotically.

    The Gaussian mixture of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), for the difference of means as an
    asymptotically linear estimator. With t users of both revisions, V = s_c^2/n_c + s_s^2/n_s and x = t rho^2, the
    radius is sqrt(V (1 + 1/x) ln((1 + x)/alpha^2)). `tightest_at`: the t for which rho makes the interval shortest.
    """
    users = canary.users + stable.users
    x = users / tightest_at * _best_mixture(alpha)
    enough = np.minimum(canary.users, stable.users) >= _MIN_USERS
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


def _mean(outcomes: Outcomes) -> Floats:
    return np.asarray(outcomes.total / np.maximum(outcomes.users, 1))


def _variance_of_mean(outcomes: Outcomes) -> Floats:
    users = np.maximum(outcomes.users, 2)
    return np.asarray(np.maximum(outcomes.squares - outcomes.total**2 / users, 0) / (users - 1) / users)
