"""What evidence must reach before it decides: a run's error budget, divided among families and objectives. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never

import numpy as np

from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.evalues import budget


class Progress(NamedTuple):
    """How far evidence has come: a log e-value, and the threshold that it must reach."""

    log_evalue: float
    threshold: float

    @property
    def is_reached(self) -> bool:
        return self.log_evalue >= self.threshold


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the log e-values of each family must reach. A family that a run does not have leaves its budget to the rest.

    `comparison`: for the mean over `compared` objectives. `limits`: for the mean over `limited` objectives. `unpaired`:
    for what is not compared with stable at the same time, which is the silence of each step, and the mean over
    `watched` objectives. `non_inferior`: for each objective, in favour of the canary.
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
        """For a run of `steps` steps, with the objectives of `findings`."""
        compared = [finding.objective for finding in findings if finding.worse is not None]
        limited = sum(finding.over_limit is not None for finding in findings)
        comparison = _share_of_comparison(compared)
        spent = budget.UNPAIRED + bool(compared) * comparison + bool(limited) * budget.LIMITS
        alpha = confidence.false_rollback * budget.SPENT_SHARE / spent
        return cls(
            comparison=budget.log_threshold(alpha, comparison),
            limits=budget.log_threshold(alpha, budget.LIMITS),
            unpaired=budget.log_threshold(alpha, budget.UNPAIRED / (steps + 1)),
            non_inferior=budget.log_threshold(confidence.bad_promotion, 1.0),
            compared=len(compared),
            limited=limited,
            watched=sum(finding.watch is not None for finding in findings),
        )

    def of_family(self, family: Family) -> float:
        """What the mean over the objectives of a family must reach."""
        return self._threshold_and_objectives(family)[0]

    def of_objective(self, family: Family) -> float:
        """What one objective of a family must reach, if the other objectives have no evidence."""
        threshold, objectives = self._threshold_and_objectives(family)
        return threshold + math.log(max(1, objectives))

    def _threshold_and_objectives(self, family: Family) -> tuple[float, int]:
        match family:
            case Family.STABLE:
                return self.comparison, self.compared
            case Family.LIMIT:
                return self.limits, self.limited
            case Family.BASELINE:
                return self.unpaired, self.watched
            case _:
                assert_never(family)


def _share_of_comparison(compared: Sequence[Objective]) -> float:
    """Its share of the budget. What is compared by default only must not slow the limits that the spec asks for."""
    return budget.ONLY_DEFAULTS if all(objective.by_default for objective in compared) else budget.COMPARISON


def averaged(logs: Sequence[float | None]) -> float:
    """The logarithm of the mean of e-values. Those that are None are left out; without any, the mean is 0."""
    evidence = [np.array([log]) for log in logs if log is not None]
    return float(budget.averaged(evidence)[0]) if evidence else -math.inf


def against(finding: Finding, thresholds: Thresholds) -> Progress:
    """The evidence against one objective, in the family in which it is nearest to a Fail, or furthest past it."""
    logs = ((family, finding.against(family)) for family in (Family.LIMIT, Family.STABLE, Family.BASELINE))
    by_family = [Progress(-math.inf if log is None else log, thresholds.of_objective(family)) for family, log in logs]
    return max(by_family, key=lambda progress: progress.log_evalue - progress.threshold)
