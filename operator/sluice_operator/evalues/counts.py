"""What was counted of one revision in one tick."""

from dataclasses import dataclass

from sluice_operator.evalues.arithmetic import Floats


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests (or labels), and how many of them are bad. Both have the shape (..., runs); bad <= requests."""

    requests: Floats
    bad: Floats
