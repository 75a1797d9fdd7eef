"""One error budget for a whole run: it bounds the probability of a wrong Fail over all objectives and evaluations."""

from collections.abc import Sequence

import numpy as np

from sluice_operator.evalues.arithmetic import Floats, log_mean

# Relative shares of the budget; a run divides its budget among those it has. UNPAIRED is for silence and the watch.
COMPARISON, LIMITS, UNPAIRED = 0.8, 0.15, 0.05
ONLY_DEFAULTS = 0.1  # of the comparison, where the spec asks for none: what it finds is clear when it happens
# The part of the budget that is spent: the probability of no burst in half an hour, after six hours without a burst.
SPENT_SHARE = 0.84


def log_threshold(budget: float, share: float) -> float:
    """The threshold for the averaged log e-value of a family of tests with this share of the budget (Ville 1939)."""
    return float(np.log(1 / (budget * share)))


def averaged(log_evalues: Sequence[Floats]) -> Floats:
    """The logarithm of the mean of e-values. It is an e-value too, even where they depend on each other."""
    return log_mean(np.stack(np.broadcast_arrays(*log_evalues)), 0)
