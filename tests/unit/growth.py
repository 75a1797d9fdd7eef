"""How the work for a text grows with its length, whatever the machine: a ratio of times of the processor."""

from __future__ import annotations

import time
from collections.abc import Callable

SHORT, FACTOR = 500, 8
LINEAR = 3 * FACTOR  # what is linear stays below, also where the clock is coarse; what is quadratic takes FACTOR ** 2


def growth(work: Callable[[int], object]) -> float:
    """How many times as long `work` takes for a text that is FACTOR times as long; it is given the lengths."""
    return _seconds(work, SHORT * FACTOR) / _seconds(work, SHORT)


def _seconds(work: Callable[[int], object], length: int) -> float:
    """The fastest of several times: what else the machine does only adds to it."""
    return min(_once(work, length) for _ in range(5))


def _once(work: Callable[[int], object], length: int) -> float:
    began = time.thread_time()
    for _ in range(4):
        work(length)
    return time.thread_time() - began
