"""What is decided on a run: Pass, Fail or Undecided, and why, as values. `wording` has the sentences. Pure.

Fail: the evidence against the canary exceeds what the run's error budget allows, over all objectives and evaluations,
or a plain rule is broken. Pass: each objective that is needed now has ruled out its margin. Else Undecided.
docs/statistics.md has the theorems.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.analysis.run_evidence import RunFindings
from sluice_operator.analysis.thresholds import Progress, Thresholds, against, averaged
from sluice_operator.api.observation import Crashes
from sluice_operator.api.rollout_spec import Step
from sluice_operator.api.run import Run
from sluice_operator.api.spec import Confidence, Judge, Objective, OnFail, WhenNoLabels
from sluice_operator.api.status import ObjectiveVerdict, Result

VERDICT_VERSION = 5  # raised by each change after which the same counts may get another verdict, or other numbers
CRASHES_TOLERATED = 1  # so many more times may the canary's model servers fail than stable's
NO_CRASHES = Crashes()
OVERDUE_TOLERATED = 20  # requests; a canary hangs if there are more, and also more than it finished


@dataclass(frozen=True, slots=True)
class Crashing:
    """The canary's model servers fail, more often than stable's."""

    crashes: Crashes


@dataclass(frozen=True, slots=True)
class Hanging:
    """The canary does not finish the requests that it began."""


@dataclass(frozen=True, slots=True)
class Silent:
    """The canary does not finish the requests that its weight sends it."""


@dataclass(frozen=True, slots=True)
class ObjectiveFailed:
    """The mean evidence of a family reached its threshold. `finding`: of the objective with the most evidence."""

    family: Family
    finding: Finding

    @property
    def objective(self) -> str:
        return self.finding.objective.name


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """Too many measurements of a query were outside the limit."""

    query: ObjectiveVerdict

    @property
    def objective(self) -> str:
        return self.query.name


ObjectiveFailure = ObjectiveFailed | QueryFailed
Failure = Crashing | Hanging | Silent | ObjectiveFailure


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the run that is judged: a step, or the watch.

    In the watch there is no step to pass, so only a Fail is possible.
    """

    step: Step | None
    index: int = 0  # of the step
    steps: int = 1
    elapsed: float = 0.0  # seconds since the step's weight was seen live; 0 before
    overruled: tuple[str, ...] = ()  # objectives that failed and held the run, before a person went on

    @classmethod
    def of(cls, run: Run, now: datetime) -> Self:
        """The part of `run` at `now`."""
        if run.promoted_at is not None:
            return cls(step=None, steps=len(run.steps), overruled=run.overruled)
        elapsed = (now - run.step_started_at).total_seconds() if run.step_started_at else 0.0
        step = run.strategy.step if run.strategy else None
        return cls(step, run.step, len(run.steps), elapsed, run.overruled)

    @property
    def is_last_step(self) -> bool:
        return self.index + 1 == self.steps

    @property
    def is_live(self) -> bool:
        """Whether the weight of the step was seen live."""
        return self.elapsed != 0

    def needs(self, objective: Objective) -> bool:
        """Whether the step cannot be passed without this objective."""
        if not self.is_live or objective.dry_run or objective.name in self.overruled:
            return False
        return objective.needed is Judge.EVERY_STEP or (
            objective.needed is Judge.BEFORE_PROMOTION and self.is_last_step
        )


@dataclass(frozen=True, slots=True)
class ObjectiveJudgement:
    """What is decided on one objective."""

    finding: Finding
    against: Progress
    in_favour: Progress | None  # at the present step; None in the watch
    failed: bool
    passed: bool  # the step's margin is ruled out
    lacking: bool  # the step needs this objective, and it has not passed

    @property
    def result(self) -> Result:
        if self.failed:
            return Result.FAIL
        return Result.PASS if self.passed else Result.UNDECIDED


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision on a run, with all that it rests on."""

    part: Part
    findings: RunFindings
    thresholds: Thresholds
    objectives: tuple[ObjectiveJudgement, ...]
    failure: Failure | None
    holding: tuple[ObjectiveFailure, ...]  # of objectives with onFail: Hold that nobody has overruled
    lacking_queries: tuple[ObjectiveVerdict, ...]  # the step needs them, and they have not passed

    @property
    def result(self) -> Result:
        if self.failure is not None:
            return Result.FAIL
        lacking = self.lacking_queries or any(objective.lacking for objective in self.objectives)
        return Result.PASS if self.clean and not lacking else Result.UNDECIDED

    @property
    def clean(self) -> bool:
        """Whether nothing fails, and the step is live and has its requests and its time."""
        enough = self.missing_requests <= 0 and self.missing_seconds <= 0
        fails = self.failure is not None or self.holding
        return not fails and self.part.step is not None and self.part.is_live and enough

    @property
    def missing_requests(self) -> int:
        """How many more requests the step needs; 0 or less if it has enough."""
        step = self.part.step
        return 0 if step is None else step.min_requests - self.findings.in_step

    @property
    def missing_seconds(self) -> float:
        """How much more time the step needs; 0 or less if it has enough."""
        step = self.part.step
        return 0.0 if step is None else step.min_duration.total_seconds() - self.part.elapsed


def judge(findings: RunFindings, confidence: Confidence, part: Part, crashes: Crashes = NO_CRASHES) -> Judgement:
    """The decision on the canary. `crashes`: of its model servers in this run, more than of stable's.

    Objectives that hold have an error budget of their own: the rate of false rollbacks is that of the others.
    """
    guards, signals = findings.of(OnFail.ROLLBACK), findings.of(OnFail.HOLD)
    thresholds, of_signals = (Thresholds.of(group.objectives, confidence, part.steps) for group in (guards, signals))
    failure = next(_failures(guards, thresholds, part, crashes), None)
    held = tuple(_objective_failures(signals, of_signals))
    return Judgement(
        part,
        findings,
        thresholds,
        tuple(
            _objective(finding, of_signals if finding.objective.does(OnFail.HOLD) else thresholds, part, failure, *held)
            for finding in findings.objectives
        ),
        failure,
        holding=tuple(failed for failed in held if failed.objective not in part.overruled),
        lacking_queries=tuple(
            query
            for objective, query in (*guards.queries, *signals.queries)
            if query.result is not Result.PASS and part.needs(objective)
        ),
    )


def crashing(crashes: Crashes) -> Crashing | None:
    """The failure of a canary whose model servers fail too often."""
    return Crashing(crashes) if crashes.more > CRASHES_TOLERATED else None


def _failures(findings: RunFindings, thresholds: Thresholds, part: Part, crashes: Crashes) -> Iterator[Failure]:
    """All that makes the canary fail, the most certain failure first."""
    if (failure := crashing(crashes)) is not None:
        yield failure
    if findings.overdue > OVERDUE_TOLERATED and findings.overdue > findings.finished:
        yield Hanging()
    if part.step is not None and findings.silent >= thresholds.unpaired:
        yield Silent()
    yield from _objective_failures(findings, thresholds)


def _objective_failures(findings: RunFindings, thresholds: Thresholds) -> Iterator[ObjectiveFailure]:
    for family in Family:
        logs = [finding.against(family) for finding in findings.objectives]
        if averaged(logs) >= thresholds.of_family(family):
            yield ObjectiveFailed(family, findings.objectives[_largest(logs)])
    for _, query in findings.queries:
        if query.result is Result.FAIL:
            yield QueryFailed(query)


def _largest(logs: Sequence[float | None]) -> int:
    values = [-math.inf if log is None else log for log in logs]
    return values.index(max(values))


def _objective(finding: Finding, thresholds: Thresholds, part: Part, *failures: Failure | None) -> ObjectiveJudgement:
    in_favour = None
    if part.step is not None:
        in_favour = Progress(finding.in_favour(part.index), thresholds.non_inferior)
    passed = in_favour is not None and in_favour.is_reached
    return ObjectiveJudgement(
        finding,
        against(finding, thresholds),
        in_favour,
        failed=any(isinstance(failure, ObjectiveFailed) and failure.finding is finding for failure in failures),
        passed=passed,
        lacking=not passed and part.needs(finding.objective) and not _is_skipped(finding),
    )


def _is_skipped(finding: Finding) -> bool:
    """Whether accuracy is not needed, because the canary got no label."""
    objective, (_, counted) = finding.objective, finding.canary
    return objective.when_no_labels is WhenNoLabels.SKIP and objective.accuracy is not None and counted == 0
