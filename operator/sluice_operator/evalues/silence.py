"""Tests whether the canary answers the requests that its weight sends to it."""

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import MAX_EVALUE, late_start_weight
from sluice_operator.evalues.comparison import AT_START

_TOLERATED = 0.5  # a canary that answers at least this part of its share of the requests is not silent
_ALTERNATIVES = np.array([0.0, 0.02, 0.2])  # what a silent canary answers, as parts of what is tolerated


class Silence:
    """E-process against "each request that is answered at weight w is the canary's with a probability of at least w/2".

    As in the burst chain, a part of the weight is for a canary that becomes silent after the first tick.
    """

    def __init__(self) -> None:
        self._alternative_weights = np.full((1, len(_ALTERNATIVES)), AT_START)
        self._ticks = 0

    def update(self, weight: Floats, canary: Floats, stable: Floats) -> None:
        """The next tick: its `weight` (0 to 1), and the requests that each revision answered. All of shape (runs,)."""
        if self._ticks:
            self._alternative_weights = self._alternative_weights + (1 - AT_START) * late_start_weight(self._ticks)
        self._ticks += 1
        tolerated, others = _TOLERATED * weight[..., None], stable[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            of_canary = np.where(canary[..., None] > 0, canary[..., None] * np.log(_ALTERNATIVES), 0.0)
        gain = of_canary + others * (np.log1p(-_ALTERNATIVES * tolerated) - np.log1p(-tolerated))
        self._alternative_weights = np.minimum(self._alternative_weights * np.exp(np.minimum(gain, 200.0)), MAX_EVALUE)

    @property
    def log_evalue(self) -> Floats:
        """Shape (runs,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._alternative_weights.mean(-1)))
