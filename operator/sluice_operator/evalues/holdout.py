"""The offline gate: what a hold-out set says about a model, looked at once. Exact binomial bounds, no approximation.

A hold-out of fixed size is judged once per model, so these are fixed-sample tests and no e-values.
"""

import math

_BISECTIONS = 60


def upper_tail(successes: int, trials: int, share: float) -> float:
    """P(X >= successes) for X ~ Binomial(trials, share), 0 < share < 1.

    Above the mean the terms fall at least geometrically, so the sum ends early; below it the complement is summed.
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


def at_least(correct: int, total: int, alpha: float) -> float:
    """The lower bound of Clopper and Pearson (1934) for a share of `correct` in `total`, one-sided at `alpha` < 0.5.

    It is the share at which so many correct ones, or more, would be seen with a chance of `alpha`. 0 when none is.
    """
    if correct == 0:
        return 0.0
    low, high = 0.0, correct / total
    for _ in range(_BISECTIONS):
        share = (low + high) / 2
        low, high = (share, high) if upper_tail(correct, total, share) < alpha else (low, share)
    return low


def at_most(correct: int, total: int, alpha: float) -> float:
    """The upper bound: what `at_least` says of the wrong ones. 1 when nothing was counted."""
    return 1.0 - at_least(total - correct, total, alpha)


def chance_of_losses(lost: int, gained: int) -> float:
    """p-value against "the new model is right at least as often", both judged on the same hold-out (McNemar 1947).

    `lost`: examples that only the old model gets right; `gained`: those that only the new one does. Those on which both
    agree say nothing, and of the others each is as likely to be lost as gained (exact form: Binomial(lost + gained,
    1/2)). Swapped, the two ask whether the new model is better.
    """
    return upper_tail(lost, lost + gained, 0.5)


def drop_at_most(lost: int, gained: int, total: int, alpha: float) -> float:
    """An upper bound for how much smaller the new model's share of right answers is than the old one's, at `alpha`.

    Of `total` examples `lost` + `gained` tell the models apart; half of `alpha` bounds how common such examples are,
    the other half how large a part of them is lost (docs/verdicts.md §10). 0 when more than half is shown to be gained.
    """
    apart = at_most(lost + gained, total, alpha / 2)
    return apart * max(0.0, 2 * at_most(lost, lost + gained, alpha / 2) - 1)


def total_for(drop: float, alpha: float) -> int:
    """How many examples `drop_at_most` needs to stay below `drop` when the models never disagree."""
    return math.floor(math.log(alpha / 2) / math.log1p(-drop)) + 1
