"""One error budget for a whole run: the chances of a wrong Fail over all objectives and looks add up to it."""

from collections.abc import Sequence

import numpy as np

from sluice_operator.evalues.arithmetic import Floats, log_mean

COMPARISON, LIMITS, UNPAIRED = 0.8, 0.15, 0.05  # shares of the budget; the last one is for silence and the watch
WITHOUT_BURSTS = 0.84  # part of the budget that is spent: the chance of no burst in half an hour after six calm ones


def log_threshold(budget: float, share: float) -> float:
    """What the averaged log e-value of a family with this share of the budget must reach (Ville's inequality)."""
    return float(np.log(1 / (budget * share)))


def averaged(log_evalues: Sequence[Floats]) -> Floats:
    """The mean of e-values is one, whatever they have to do with each other."""
    return log_mean(np.stack(np.broadcast_arrays(*log_evalues)), 0)
