"""The verdict on a run: Pass, Fail or Undecided, with reason and numbers. Pure.

Fail when the evidence against the canary exceeds what the run's error budget allows, over all objectives and looks;
Pass when each objective that is needed now has ruled out its margin; else Undecided. docs/verdicts.md has the theorems.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
from msgspec.structs import replace

from sluice_operator.analysis import queries, wording
from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.run_evidence import Findings
from sluice_operator.api.spec import Confidence, Judge, Objective, Step, WhenNoLabels
from sluice_operator.api.status import METRICS_UNAVAILABLE, ObjectiveVerdict, Result, Run, Verdict
from sluice_operator.evalues import budget

CRASHING = "CanaryCrashing"
CRASHES_TOLERATED = 1  # container terminations of the canary beyond stable's
RULES = 1  # raised by each change after which the same counts may get another verdict, or other numbers
OVERDUE_TOLERATED = 20  # requests; more than that, and more than were finished, means that the canary hangs


@dataclass(frozen=True, slots=True)
class Question:
    """What a Pass needs now. Without a step (while watching) nothing does: only a Fail is looked for."""

    step: Step | None
    index: int = 0  # of the step
    steps: int = 1
    elapsed: float = 0.0  # seconds since the step's weight was seen live; 0 before

    @classmethod
    def of(cls, run: Run, now: datetime) -> Self:
        """What is asked of `run` at `now`, at its step or while the canary is watched."""
        if run.promoted_at is not None:
            return cls(step=None, steps=len(run.steps))
        elapsed = (now - run.step_started_at).total_seconds() if run.step_started_at else 0.0
        return cls(run.steps[run.step], run.step, len(run.steps), elapsed)

    @property
    def last(self) -> bool:
        return self.index + 1 == self.steps


def judge(findings: Findings, confidence: Confidence, question: Question, crashes: int) -> Verdict:
    """The verdict on the canary. `crashes`: terminations of its containers beyond stable's in this run."""
    verdict, outlook = _judge(findings, confidence, question, crashes), findings.outlook
    if findings.record is not None:
        verdict = replace(verdict, past=wording.past(findings.record, findings.objectives, confidence))
    if outlook is None or question.step is None:
        return verdict
    unreachable = wording.unreachable(outlook, [one.objective for one in findings.objectives])
    return replace(verdict, forecast=wording.forecast(outlook), unreachable=unreachable)


def _judge(findings: Findings, confidence: Confidence, question: Question, crashes: int) -> Verdict:
    acting = findings.acting()
    bars = Bars.of(acting, confidence, question)
    counted = tuple(_described(one, bars, question) for one in findings.objectives)
    judged = (*counted, *(verdict for _, verdict in findings.queries))
    for failed in (_crashing(crashes), _missing(findings, bars, question)):
        if failed is not None:
            return Verdict(Result.FAIL, *failed, objectives=judged)
    if (blamed := next(_blamed(acting, bars), None)) is not None:
        name, reason, message = blamed
        return Verdict(Result.FAIL, reason, message, _with_failed(judged, name, reason))
    for _, measured in acting.queries:
        if measured.result is Result.FAIL:
            return Verdict(Result.FAIL, measured.reason, queries.failure(measured), judged)
    if question.step is None:
        return Verdict(Result.UNDECIDED, "Collecting", "", judged)
    short = list(_shortages(question.step, findings, question))
    unproven = [
        *(wording.undecided(*one) for one in zip(findings.objectives, counted, strict=True) if _lacks(*one, question)),
        *(
            queries.undecided(measured)
            for objective, measured in acting.queries
            if measured.result is not Result.PASS and _is_needed(objective, question)
        ),
    ]
    if short or unproven:
        return Verdict(Result.UNDECIDED, "Collecting", "; ".join([*short, *unproven]), judged, clean=not short)
    return Verdict(Result.PASS, "Passed", "all that this step asks for is there", judged, clean=True)


def lost(message: str, before: Verdict | None, crashes: int) -> Verdict:
    """Nothing to see is not a failure: Undecided, with the last numbers kept in view. Crashes are seen all the same."""
    judged = before.objectives if before else ()
    if (crashed := _crashing(crashes)) is not None:
        return Verdict(Result.FAIL, *crashed, objectives=judged)
    return Verdict(Result.UNDECIDED, METRICS_UNAVAILABLE, message, judged)


@dataclass(frozen=True, slots=True)
class Bars:
    """What each family of log e-values must reach. Families that a run does not have leave their budget to the rest.

    `comparison` and `limits` are for the average over `compared` and `limited` objectives; `alone` for what has no
    other arm beside it: the silence of each step, and the average over the `watched` objectives.
    """

    comparison: float
    limits: float
    alone: float
    cleared: float
    compared: int
    limited: int
    watched: int

    @classmethod
    def of(cls, findings: Findings, confidence: Confidence, question: Question) -> "Bars":
        compared = sum(one.worse is not None for one in findings.objectives)
        limited = sum(one.beyond is not None for one in findings.objectives)
        spent = budget.ALONE + bool(compared) * budget.COMPARISON + bool(limited) * budget.LIMITS
        alpha = confidence.false_rollback * budget.WITHOUT_BURSTS / spent
        return cls(
            comparison=budget.log_bar(alpha, budget.COMPARISON),
            limits=budget.log_bar(alpha, budget.LIMITS),
            alone=budget.log_bar(alpha, budget.ALONE / (question.steps + 1)),
            cleared=budget.log_bar(confidence.bad_promotion, 1.0),
            compared=compared,
            limited=limited,
            watched=sum(one.watched is not None for one in findings.objectives),
        )


def _blamed(findings: Findings, bars: Bars) -> Iterator[tuple[str, str, str]]:
    """For each family that shows it: the objective that shows most, with the reason and the sentence."""
    for log, bar, reason, words in (
        (worse, bars.comparison, wording.worse_reason, wording.worse),
        (to_blame, bars.limits, wording.beyond_reason, wording.beyond),
        (watched, bars.alone, wording.worse_than_before_reason, wording.worse_than_before),
    ):
        logs = [log(one) for one in findings.objectives]
        if averaged([one for one in logs if one > -math.inf]) >= bar:
            most = findings.objectives[int(np.argmax(logs))]
            yield most.objective.name, reason(most.objective), words(most)


def against(one: Finding, bars: Bars) -> tuple[float, float]:
    """The log e-value that is nearest to a Fail, or furthest beyond it, and what it alone would have to reach."""
    alone = [
        (to_blame(one), bars.limits + math.log(max(1, bars.limited))),
        (worse(one), bars.comparison + math.log(max(1, bars.compared))),
        (watched(one), bars.alone + math.log(max(1, bars.watched))),
    ]
    return max(alone, key=lambda log_and_bar: log_and_bar[0] - log_and_bar[1])


def worse(one: Finding) -> float:
    return -math.inf if one.worse is None else one.worse


def watched(one: Finding) -> float:
    return -math.inf if one.watched is None else one.watched.worse


def to_blame(one: Finding) -> float:
    """Both must hold: an e-value for "the canary keeps its limit, or is no worse than stable at the same time"."""
    return -math.inf if one.beyond is None else min(one.beyond, one.beside)


def averaged(logs: Sequence[float]) -> float:
    """The logarithm of the mean of e-values; of none, that of 0."""
    return float(budget.averaged([np.array([one]) for one in logs])[0]) if logs else -math.inf


def _described(one: Finding, bars: Bars, question: Question) -> ObjectiveVerdict:
    cleared = None if question.step is None else one.cleared[question.index]
    passed = cleared is not None and cleared >= bars.cleared
    return ObjectiveVerdict(
        name=one.objective.name,
        result=Result.PASS if passed else Result.UNDECIDED,
        canary=wording.shown(one.objective, one.canary),
        stable=wording.shown(one.objective, one.stable),
        limit=wording.limit(one.objective) if one.watched is None else f"not worse than {wording.allowed(one)}",
        requests=one.canary[1],
        evidence=wording.evidence(against(one, bars), None if cleared is None else (cleared, bars.cleared)),
        needs="" if passed or cleared is None else wording.needs(one, cleared, bars.cleared),
    )


def _with_failed(judged: tuple[ObjectiveVerdict, ...], name: str, reason: str) -> tuple[ObjectiveVerdict, ...]:
    return tuple(wording.failed(one, reason) if one.name == name else one for one in judged)


def _crashing(crashes: int) -> tuple[str, str] | None:
    if crashes <= CRASHES_TOLERATED:
        return None
    return CRASHING, f"containers of the canary ended {crashes} times more often than stable's in this run"


def _missing(findings: Findings, bars: Bars, question: Question) -> tuple[str, str] | None:
    overdue, finished = findings.overdue, findings.finished
    if overdue > OVERDUE_TOLERATED and overdue > finished:
        return "RequestsMissing", f"the canary finished {finished} requests and does not answer {overdue} more"
    if question.step is None or findings.silent < bars.alone:
        return None
    got = f"{findings.answered} of {findings.expected} requests at weight {question.step.weight}"
    return "RequestsMissing", f"the canary finished only {got}, while stable goes on answering"


def _shortages(step: Step, findings: Findings, question: Question) -> Iterator[str]:
    if question.elapsed == 0:
        yield f"weight {step.weight} is not live yet"
        return
    if (needs := step.min_requests - findings.in_step) > 0:
        yield f"needs {needs} more requests"
    if (rest := step.min_duration.total_seconds() - question.elapsed) > 0:
        yield f"needs {math.ceil(rest)}s more at this weight"


def _lacks(one: Finding, judged: ObjectiveVerdict, question: Question) -> bool:
    """Whether a Pass of this objective is needed now and not there."""
    objective = one.objective
    if objective.when_no_labels is WhenNoLabels.SKIP and objective.accuracy is not None and one.canary[1] == 0:
        return False
    return judged.result is not Result.PASS and _is_needed(objective, question)


def _is_needed(objective: Objective, question: Question) -> bool:
    if question.elapsed == 0 or objective.dry_run:
        return False
    return objective.needed is Judge.EVERY_STEP or (objective.needed is Judge.BEFORE_PROMOTION and question.last)
