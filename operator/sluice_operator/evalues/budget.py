"""One error budget for a whole run: the chances of a wrong Fail over all objectives and looks add up to it."""

from collections.abc import Sequence

import numpy as np

from sluice_operator.evalues.arm import Floats, log_mean

COMPARISON, LIMITS, SILENCE = 0.8, 0.15, 0.05  # shares of the budget
WITHOUT_BURSTS = 0.84  # of the budget is spent, so that it holds to the letter in half an hour in which nobody bursts


def log_bar(budget: float, share: float) -> float:
    """What the averaged log e-value of a family with this share of the budget must reach (Ville's inequality)."""
    return float(np.log(1 / (budget * share)))


def averaged(log_evalues: Sequence[Floats]) -> Floats:
    """The mean of e-values is one, whatever they have to do with each other."""
    return log_mean(np.stack(np.broadcast_arrays(*log_evalues)), 0)
