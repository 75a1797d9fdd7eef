"""The latency bounds of the model server's histogram, in seconds.

Each bound is at most 1.25 times the one before it, and the limits that people usually write are among them. The model
server defines the same tuple; a contract test checks that both are equal.
"""

import math
from bisect import bisect_right
from itertools import pairwise

_FACTOR = 1.25
_EXACT = (0.00025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 60.0)


def _between(low: float, high: float) -> list[float]:
    steps = math.ceil(math.log(high / low) / math.log(_FACTOR) - 1e-9)
    return [float(f"{low * (high / low) ** (step / steps):.4g}") for step in range(steps)]


LATENCY_BOUNDS: tuple[float, ...] = (*(bound for low, high in pairwise(_EXACT) for bound in _between(low, high)), 60.0)


def bound_below(seconds: float) -> float:
    """The bound at which a limit of `seconds` is judged: the limit itself if it is a bound, else the next lower one."""
    return LATENCY_BOUNDS[max(0, bisect_right(LATENCY_BOUNDS, seconds) - 1)]
