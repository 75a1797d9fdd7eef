"""The latency bounds that the model server's histogram has, in seconds.

Geometric with a factor of at most 1.25, and exact at the limits that people write. The server defines the same tuple;
a contract test holds the two equal.
"""

import math
from bisect import bisect_right
from itertools import pairwise

_FACTOR = 1.25
_EXACT = (0.00025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 60.0)


def _between(low: float, high: float) -> list[float]:
    steps = math.ceil(math.log(high / low) / math.log(_FACTOR) - 1e-9)
    return [float(f"{low * (high / low) ** (i / steps):.4g}") for i in range(steps)]


LATENCY_BOUNDS: tuple[float, ...] = (*(bound for low, high in pairwise(_EXACT) for bound in _between(low, high)), 60.0)


def bound_below(seconds: float) -> float:
    """The bound that a limit of `seconds` is judged at: the next lower one, unless it is a bound itself."""
    return LATENCY_BOUNDS[max(0, bisect_right(LATENCY_BOUNDS, seconds) - 1)]
