"""How many rows a model answers so soon that the event loop can run it itself, measured when it is loaded.

The way to the worker thread and back takes about 60 us of processor time, ten times what a compiled model takes for a
row. What takes longer runs in the thread, so that health checks are answered meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from sluice_server.model.schema import Rows

WITHIN = 0.001  # seconds that the loop may stand for one pass through the model
_SIZES = (1, 4, 16, 64, 256, 1_024)  # rows of the passes that are measured
_TRIES = 10  # of each size; one of them has to be soon enough, because the node of a pod that starts is never quiet
_HOPELESS = 0.1  # seconds of a try, after which there is no other one
_LATE = 0.010  # seconds of processor time; a pass that takes the loop more is late
_LATE_PASSES, _AMONG = 3, 1_000  # so many late ones among so many are no accident: the model has become slower

logger = logging.getLogger("sluice.pace")


class Pace:
    """`rows`: the most rows that the loop may give to the model in one pass; 0 if it must never wait for it."""

    def __init__(self, rows: int = 0) -> None:
        self.rows = rows
        self._passes = 0
        self._late: deque[int] = deque(maxlen=_LATE_PASSES)

    def passed(self, seconds: float) -> None:
        """A pass took the loop so much time. If that happens again and again, there is no other one."""
        self._passes += 1
        if seconds <= _LATE:
            return
        self._late.append(self._passes)
        if len(self._late) == _LATE_PASSES and self._passes - self._late[0] < _AMONG:
            self.rows = 0
            logger.warning("the model took %.0f ms for a batch: it runs in the worker thread now", 1000 * seconds)


def measure(predict: Callable[[Rows], object], example: Rows, clock: Callable[[], float] = time.perf_counter) -> Pace:
    """The pace of a model that answers rows like those of `example`."""
    fits = 0
    for size in _SIZES:
        rows = np.resize(example, (size, example.shape[1]))  # repeats them
        if not _is_soon_enough(predict, rows, clock):
            break
        fits = size
    return Pace(fits)


def _is_soon_enough(predict: Callable[[Rows], object], rows: Rows, clock: Callable[[], float]) -> bool:
    for _ in range(_TRIES):
        began = clock()
        predict(rows)
        seconds = clock() - began
        if seconds <= WITHIN or seconds > _HOPELESS:
            return seconds <= WITHIN
    return False
