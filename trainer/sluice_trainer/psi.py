"""The population stability index: how differently two sets of rows are spread over the same bins. Pure.

It is the sum over all bins of (seen - expected) x ln(seen / expected), where an empty bin counts as a share of EMPTY.
The rule `model_drift_score` of manifests/alerts/models.yaml is the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

EMPTY = 0.0001
LEAST_ROWS = 1_000  # of fewer, chance alone moves the index too far


class Severity(StrEnum):
    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


_ABOVE = ((0.3, Severity.HIGH), (0.2, Severity.MEDIUM), (0.1, Severity.LOW))


@dataclass(frozen=True, slots=True)
class Bin:
    """`expected`: its share of the training rows, 0 to 1. `rows`: how many were seen in it."""

    name: str
    expected: float
    rows: float


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature over a window."""

    name: str
    bins: tuple[Bin, ...]

    @property
    def rows(self) -> float:
        return math.fsum(each.rows for each in self.bins)

    @property
    def shares(self) -> tuple[float, ...]:
        """By bin, its share of the rows that were seen."""
        return tuple(each.rows / self.rows for each in self.bins)

    @property
    def score(self) -> float:
        """0 where both are spread alike; there is no upper limit."""
        return index([each.expected for each in self.bins], self.shares)

    @property
    def severity(self) -> Severity:
        return severity(self.score)


def index(expected: Sequence[float], seen: Sequence[float]) -> float:
    """The index of two lists of shares, by bin."""
    pairs = [(max(p, EMPTY), max(q, EMPTY)) for p, q in zip(expected, seen, strict=True)]
    return math.fsum((q - p) * math.log(q / p) for p, q in pairs)


def severity(score: float) -> Severity:
    """What an index means. From HIGH on, the alert DataDriftDetected fires."""
    return next((name for limit, name in _ABOVE if score > limit), Severity.NONE)
