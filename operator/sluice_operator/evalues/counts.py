"""What one revision did in one tick."""

from dataclasses import dataclass

from sluice_operator.evalues.arithmetic import Floats


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests that were counted, and those of them that are bad. Both of shape (..., runs), bad <= requests."""

    requests: Floats
    bad: Floats
