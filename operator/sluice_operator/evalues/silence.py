"""Does the canary finish the requests that its weight sends it?"""

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import DECIDED, begins_after
from sluice_operator.evalues.comparison import AT_START

_TOLERATED = 0.5  # a canary that finishes at least this part of its share is not silent
_SILENT = np.array([0.0, 0.02, 0.2])  # alternatives, as parts of what is tolerated


class Silence:
    """E-process against "of each request at weight w, the canary finishes it with a chance of at least w/2".

    As everywhere, a part is bet on a canary that falls silent later than in the first tick.
    """

    def __init__(self) -> None:
        self._bets = np.full((1, len(_SILENT)), AT_START)
        self._ticks = 0

    def update(self, weight: Floats, canary: Floats, stable: Floats) -> None:
        """One tick at `weight` (0 to 1): requests that the arms finished. All of shape (runs,)."""
        if self._ticks:
            self._bets = self._bets + (1 - AT_START) * begins_after(self._ticks)
        self._ticks += 1
        least, others = _TOLERATED * weight[..., None], stable[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            of_canary = np.where(canary[..., None] > 0, canary[..., None] * np.log(_SILENT), 0.0)
        gain = of_canary + others * (np.log1p(-_SILENT * least) - np.log1p(-least))
        self._bets = np.minimum(self._bets * np.exp(np.minimum(gain, 200.0)), DECIDED)

    @property
    def log_evalue(self) -> Floats:
        """Shape (runs,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._bets.mean(-1)))
