"""What was counted of one revision in one tick, and of a pod in the bins of its baseline."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from sluice_operator.evalues.arithmetic import Floats


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests (or labels), and how many of them are bad. Both have the shape (..., runs); bad <= requests."""

    requests: Floats
    bad: Floats

    def in_clumps(self, size: Floats) -> Self:
        """The counts in clumps of this size, as if each of them were one request."""
        return replace(self, requests=self.requests / size, bad=self.bad / size)


class BinnedCounts(NamedTuple):
    """Counts of one pod, or of several pods one after the other: `requests` and `bad`, both of shape (..., bins)."""

    requests: Floats
    bad: Floats
    bin_seconds: float

    def in_clumps(self, size: Floats) -> Self:
        """As `Counts.in_clumps`."""
        return self._replace(requests=self.requests / size, bad=self.bad / size)
