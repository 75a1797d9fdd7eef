"""One evaluation of a run, and what is known of a run when its last evaluation is done. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from sluice_operator.analysis import verdict, wording
from sluice_operator.analysis.run_evidence import RunEvidence, RunFindings
from sluice_operator.analysis.verdict import NO_CRASHES, Part
from sluice_operator.api.observation import Crashes
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.api.status import METRICS_UNAVAILABLE, ObjectiveVerdict, Result, Verdict

QueryResults = tuple[tuple[Objective, ObjectiveVerdict], ...]


class Evaluation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The verdict of a moment. `crashes`: how many more times the canary's model servers failed than stable's."""

    verdict: Verdict
    at: datetime
    crashes: int = 0
    last_crash: str = ""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What is known of a run at its end. `overdue_after`: seconds after which an unfinished request hangs."""

    evidence: RunEvidence
    last: Evaluation
    overdue_after: float


def query_results(objectives: Sequence[Objective], verdict: Verdict) -> QueryResults:
    """The results of the queries among `objectives`, as a verdict has them: their measurements are not stored."""
    judged = {objective.name: objective for objective in verdict.objectives}
    queries = (objective for objective in objectives if objective.query is not None)
    return tuple((query, judged[query.name]) for query in queries if query.name in judged)


def evaluate(findings: RunFindings, confidence: Confidence, part: Part, crashes: Crashes = NO_CRASHES) -> Verdict:
    """The verdict on the canary. `crashes`: of its model servers in this run, more than of stable's."""
    return wording.verdict(verdict.judge(findings, confidence, part, crashes), confidence)


def without_metrics(message: str, before: Verdict | None, crashes: Crashes) -> Verdict:
    """The verdict without metrics: Undecided, with the numbers of the verdict before it. Crashes are known, and fail.

    `message`: why there are no metrics.
    """
    objectives = before.objectives if before else ()
    if (failure := verdict.crashing(crashes)) is not None:
        return Verdict(Result.FAIL, wording.CRASHING, wording.crashing(failure), objectives)
    holding = before.holding if before else ()
    return Verdict(Result.UNDECIDED, METRICS_UNAVAILABLE, message, objectives, holding=holding)
