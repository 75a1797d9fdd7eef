"""What evidence must reach before it decides: the error budget of a run, shared by families and objectives. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.api.spec import Confidence
from sluice_operator.evalues import budget


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What each family of log e-values must reach. Families that a run does not have leave their budget to the rest.

    `comparison` is for the average over `compared` objectives, `limits` for that over `limited` ones. `unpaired` is for
    what is not compared with stable at the same time: the silence of each step, and the average over `watched`
    objectives. `non_inferior` is for each objective in favour of the canary.
    """

    comparison: float
    limits: float
    unpaired: float
    non_inferior: float
    compared: int
    limited: int
    watched: int

    @classmethod
    def of(cls, findings: Sequence[Finding], confidence: Confidence, steps: int) -> "Thresholds":
        """For a run of `steps` steps whose objectives are those of `findings`."""
        compared = sum(finding.worse is not None for finding in findings)
        limited = sum(finding.over_limit is not None for finding in findings)
        spent = budget.UNPAIRED + bool(compared) * budget.COMPARISON + bool(limited) * budget.LIMITS
        alpha = confidence.false_rollback * budget.WITHOUT_BURSTS / spent
        return cls(
            comparison=budget.log_threshold(alpha, budget.COMPARISON),
            limits=budget.log_threshold(alpha, budget.LIMITS),
            unpaired=budget.log_threshold(alpha, budget.UNPAIRED / (steps + 1)),
            non_inferior=budget.log_threshold(confidence.bad_promotion, 1.0),
            compared=compared,
            limited=limited,
            watched=sum(finding.watch is not None for finding in findings),
        )

    def together(self, family: Family) -> float:
        """What the average over the objectives of a family must reach."""
        return self._of(family)[0]

    def alone(self, family: Family) -> float:
        """What one objective of a family must reach while the others show nothing."""
        threshold, objectives = self._of(family)
        return threshold + math.log(max(1, objectives))

    def _of(self, family: Family) -> tuple[float, int]:
        match family:
            case Family.STABLE:
                return self.comparison, self.compared
            case Family.LIMIT:
                return self.limits, self.limited
            case Family.BASELINE:
                return self.unpaired, self.watched
            case _:
                assert_never(family)


def averaged(logs: Sequence[float | None]) -> float:
    """The logarithm of the mean of e-values, without those that are None; of none, that of 0."""
    known = [np.array([log]) for log in logs if log is not None]
    return float(budget.averaged(known)[0]) if known else -math.inf


def against(finding: Finding, thresholds: Thresholds) -> tuple[float, float]:
    """The log e-value that is nearest to a Fail, or furthest over it, and what it alone would have to reach."""
    logs = ((family, finding.against(family)) for family in (Family.LIMIT, Family.STABLE, Family.BASELINE))
    pairs = [(-math.inf if log is None else log, thresholds.alone(family)) for family, log in logs]
    return max(pairs, key=lambda pair: pair[0] - pair[1])
