"""What is decided on a run: Pass, Fail or Undecided, and what it rests on, as values without a sentence. Pure.

Fail when the evidence against the canary exceeds what the run's error budget allows, over all objectives and
evaluations; Pass when each objective that is needed now has ruled out its margin; else Undecided. docs/verdicts.md has
the theorems; `wording` has the sentences.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Self

from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.analysis.run_evidence import Findings
from sluice_operator.analysis.thresholds import Thresholds, against, averaged
from sluice_operator.api.spec import Confidence, Judge, Objective, Step, WhenNoLabels
from sluice_operator.api.status import ObjectiveVerdict, Result, Run

CRASHES_TOLERATED = 1  # container terminations of the canary beyond stable's
OVERDUE_TOLERATED = 20  # requests; more than that, and more than were finished, means that the canary hangs


class Cause(Enum):
    """What makes a canary fail."""

    CRASHES = auto()
    OVERDUE = auto()  # requests that it does not answer
    SILENCE = auto()  # requests that its weight sends it, and that it does not finish
    WORSE_THAN_STABLE = auto()
    OVER_LIMIT = auto()
    WORSE_THAN_BASELINE = auto()
    QUERY = auto()


_CAUSES = {
    Family.STABLE: Cause.WORSE_THAN_STABLE,
    Family.LIMIT: Cause.OVER_LIMIT,
    Family.BASELINE: Cause.WORSE_THAN_BASELINE,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a canary fails: the objective that shows most, or the query, where one of them is the cause."""

    cause: Cause
    finding: Finding | None = None
    query: ObjectiveVerdict | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """What a Pass needs now. Without a step (in the watch) nothing does: only a Fail is looked for."""

    step: Step | None
    index: int = 0  # of the step
    steps: int = 1
    elapsed: float = 0.0  # seconds since the step's weight was seen live; 0 before

    @classmethod
    def of(cls, run: Run, now: datetime) -> Self:
        """The stage of `run` at `now`: one of its steps, or the watch."""
        if run.promoted_at is not None:
            return cls(step=None, steps=len(run.steps))
        elapsed = (now - run.step_started_at).total_seconds() if run.step_started_at else 0.0
        return cls(run.strategy.step, run.step, len(run.steps), elapsed)

    @property
    def last(self) -> bool:
        """Whether it is the last step."""
        return self.index + 1 == self.steps

    @property
    def is_live(self) -> bool:
        """Whether the weight of the step was seen live."""
        return self.elapsed != 0

    def needs(self, objective: Objective) -> bool:
        """Whether the step cannot be passed without this objective."""
        if not self.is_live or objective.dry_run:
            return False
        return objective.needed is Judge.EVERY_STEP or (objective.needed is Judge.BEFORE_PROMOTION and self.last)


@dataclass(frozen=True, slots=True)
class ObjectiveDecision:
    """What is decided on one objective. Pairs are a log e-value and the threshold that it must reach."""

    finding: Finding
    against: tuple[float, float]
    in_favour: tuple[float, float] | None  # at the present step; None in the watch
    lacking: bool  # a Pass is needed now, and not there

    @property
    def passed(self) -> bool:
        """Whether the step's margin is ruled out."""
        return self.in_favour is not None and self.in_favour[0] >= self.in_favour[1]


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a run. Requests and seconds are those that the step still needs."""

    result: Result
    stage: Stage
    findings: Findings
    objectives: tuple[ObjectiveDecision, ...]
    failure: Failure | None = None
    missing_requests: int = 0
    missing_seconds: float = 0.0
    lacking_queries: tuple[ObjectiveVerdict, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing fails, and the step is live and has its requests and its time."""
        enough = self.missing_requests <= 0 and self.missing_seconds <= 0
        return self.failure is None and self.stage.step is not None and self.stage.is_live and enough


def decide(findings: Findings, confidence: Confidence, stage: Stage, crashes: int) -> Decision:
    """The decision on the canary. `crashes`: terminations of its containers beyond stable's in this run."""
    acting = findings.without_dry_runs()
    thresholds = Thresholds.of(acting.objectives, confidence, stage.steps)
    objectives = tuple(_objective(finding, thresholds, stage) for finding in findings.objectives)
    failure = next(_failures(acting, thresholds, stage, crashes), None)
    if failure is not None:
        return Decision(Result.FAIL, stage, findings, objectives, failure)
    if stage.step is None:
        return Decision(Result.UNDECIDED, stage, findings, objectives)
    lacking_queries = tuple(
        query for objective, query in acting.queries if query.result is not Result.PASS and stage.needs(objective)
    )
    decision = Decision(
        Result.UNDECIDED,
        stage,
        findings,
        objectives,
        missing_requests=stage.step.min_requests - findings.in_step,
        missing_seconds=stage.step.min_duration.total_seconds() - stage.elapsed,
        lacking_queries=lacking_queries,
    )
    complete = decision.clean and not lacking_queries and not any(objective.lacking for objective in objectives)
    return replace(decision, result=Result.PASS) if complete else decision


def has_crashed(crashes: int) -> bool:
    """Whether the canary's containers end too often."""
    return crashes > CRASHES_TOLERATED


def _failures(findings: Findings, thresholds: Thresholds, stage: Stage, crashes: int) -> Iterator[Failure]:
    """All that makes the canary fail, the most certain first."""
    if has_crashed(crashes):
        yield Failure(Cause.CRASHES)
    if findings.overdue > OVERDUE_TOLERATED and findings.overdue > findings.finished:
        yield Failure(Cause.OVERDUE)
    if stage.step is not None and findings.silent >= thresholds.unpaired:
        yield Failure(Cause.SILENCE)
    for family, cause in _CAUSES.items():
        logs = [finding.against(family) for finding in findings.objectives]
        if averaged(logs) >= thresholds.together(family):
            yield Failure(cause, finding=findings.objectives[_largest(logs)])
    for _, query in findings.queries:
        if query.result is Result.FAIL:
            yield Failure(Cause.QUERY, query=query)


def _largest(logs: Sequence[float | None]) -> int:
    values = [-math.inf if log is None else log for log in logs]
    return values.index(max(values))


def _objective(finding: Finding, thresholds: Thresholds, stage: Stage) -> ObjectiveDecision:
    favour = None if stage.step is None else (finding.non_inferior[stage.index], thresholds.non_inferior)
    decision = ObjectiveDecision(finding, against(finding, thresholds), favour, lacking=False)
    return replace(decision, lacking=not decision.passed and stage.needs(finding.objective) and not _skipped(finding))


def _skipped(finding: Finding) -> bool:
    """Whether it is not asked for, because the canary got no label."""
    objective, (_, counted) = finding.objective, finding.canary
    return objective.when_no_labels is WhenNoLabels.SKIP and objective.accuracy is not None and counted == 0
