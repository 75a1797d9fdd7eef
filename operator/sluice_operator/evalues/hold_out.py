"""Bounds and tests for a hold-out set, exact and not approximate.

A hold-out has a fixed size and is evaluated once per model. So these are fixed-sample tests, not e-values.
"""

import math
from functools import lru_cache

_BISECTIONS = 60


def upper_tail(successes: int, trials: int, share: float) -> float:
    """P(X >= successes) for X ~ Binomial(trials, share), 0 < share < 1.

    Above the mean the terms shrink at least geometrically, so the sum ends early. Below it, the complement is summed.
    """
    if successes <= trials * share:
        return 1.0 - upper_tail(trials - successes + 1, trials, 1 - share) if successes > 0 else 1.0
    if successes > trials:
        return 0.0
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    term = math.exp(ways + successes * math.log(share) + (trials - successes) * math.log1p(-share))
    total, odds = term, share / (1 - share)
    for k in range(successes, trials):
        term *= (trials - k) / (k + 1) * odds
        total += term
        if term <= total * 1e-15:
            break
    return min(total, 1.0)


@lru_cache(maxsize=1_000)  # each look at an object asks again; with millions of rows it takes a tenth of a second
def at_least(correct: int, total: int, alpha: float) -> float:
    """The lower bound of Clopper and Pearson (1934) for a share of `correct` in `total`, one-sided at `alpha` < 0.5.

    It is the share at which `correct` or more have the probability `alpha`; 0 if `correct` is 0.
    """
    if correct == 0:
        return 0.0
    low, high = 0.0, correct / total
    for _ in range(_BISECTIONS):
        share = (low + high) / 2
        low, high = (share, high) if upper_tail(correct, total, share) < alpha else (low, share)
    return low


def at_most(correct: int, total: int, alpha: float) -> float:
    """The upper bound, from the lower bound for the wrong ones; 1 if `total` is 0."""
    return 1.0 - at_least(total - correct, total, alpha)


def chance_of_losses(lost: int, gained: int) -> float:
    """p-value against "the new model is right at least as often", both judged on the same hold-out (McNemar 1947).

    `lost`: examples that only the old model gets right; `gained`: examples that only the new model gets right. The
    other examples do not matter. Each of these is as likely to be lost as gained, so this is the exact form of the test
    with Binomial(lost + gained, 1/2). With `lost` and `gained` exchanged it tests whether the new model is better.
    """
    return upper_tail(lost, lost + gained, 0.5)


def drop_at_most(lost: int, gained: int, total: int, alpha: float) -> float:
    """An upper bound at `alpha` for the drop in accuracy from the old model to the new one; 0 or more.

    `lost` + `gained` of `total` examples differ between the models. Half of `alpha` is for the bound on how common such
    examples are, the other half for the bound on how many of them are lost (docs/statistics.md, section 10).
    """
    differing = at_most(lost + gained, total, alpha / 2)
    return differing * max(0.0, 2 * at_most(lost, lost + gained, alpha / 2) - 1)


def total_for(drop: float, alpha: float) -> int:
    """The smallest number of examples for which `drop_at_most` is below `drop` if the models never disagree."""
    return math.floor(math.log(alpha / 2) / math.log1p(-drop)) + 1
