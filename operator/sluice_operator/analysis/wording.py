"""The sentences and numbers of a verdict, for the person who is paged. Pure.

Nothing is decided here, and each sentence is written once.
"""

import math
from collections.abc import Iterator, Mapping
from typing import assert_never

from sluice_operator.analysis import display, expectations, queries
from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.analysis.run_evidence import RunFindings
from sluice_operator.analysis.verdict import (
    Crashing,
    Failure,
    Hanging,
    Judgement,
    ObjectiveFailed,
    ObjectiveJudgement,
    QueryFailed,
    Silent,
)
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.api.status import ObjectiveVerdict, Result, Verdict

CRASHING = "CanaryCrashing"
_REASONS: Mapping[str, Mapping[Family, str]] = {  # by the field of the objective that says its kind
    "error_rate": {
        Family.STABLE: "ErrorRateWorseThanStable",
        Family.LIMIT: "ErrorRateAboveLimit",
        Family.BASELINE: "ErrorRateWorseThanBefore",
    },
    "latency": {
        Family.STABLE: "LatencyWorseThanStable",
        Family.LIMIT: "LatencyAboveLimit",
        Family.BASELINE: "LatencyWorseThanBefore",
    },
    "accuracy": {
        Family.STABLE: "AccuracyWorseThanStable",
        Family.LIMIT: "AccuracyBelowLimit",
        Family.BASELINE: "AccuracyWorseThanBefore",
    },
    "refusals": {Family.STABLE: "RefusalsWorseThanStable", Family.BASELINE: "RefusalsWorseThanBefore"},  # without limit
}
_SOME_REQUESTS = 50  # that a canary must have answered until it says something that none is a prediction


def verdict(judgement: Judgement, confidence: Confidence) -> Verdict:
    """What was decided, in words. `confidence`: of the run."""
    findings = judgement.findings
    failure = judgement.failure or next(iter(judgement.holding), None)
    reason, message = _no_failure(judgement) if failure is None else _failure(failure, judgement)
    outlook = findings.outlook if judgement.part.step is not None else None
    objectives = [finding.objective for finding in findings.objectives]
    return Verdict(
        judgement.result,
        reason,
        message,
        objectives=(
            *(_objective(objective, reason) for objective in judgement.objectives),
            *(query for _, query in findings.queries),
        ),
        forecast=expectations.forecast(outlook) if outlook else "",
        unreachable=expectations.unreachable(outlook, objectives) if outlook else "",
        baseline=expectations.baseline(findings.baseline, findings.objectives, confidence) if findings.baseline else "",
        clean=judgement.clean,
        holding=tuple(dict.fromkeys(failed.objective for failed in judgement.holding)),
    )


def crashing(failure: Crashing) -> str:
    """The message for a canary whose model servers fail too often."""
    last = f"; the last: {failure.crashes.last}" if failure.crashes.last else ""
    return f"containers of the canary ended {failure.crashes.more} times more often than stable's in this run{last}"


def _no_failure(judgement: Judgement) -> tuple[str, str]:
    """Reason and message of a Pass, or of what is still missing."""
    if judgement.result is Result.PASS:
        return "Passed", "all that this step asks for is there"
    lacking = (_lacking(objective) for objective in judgement.objectives if objective.lacking)
    undecided = (queries.undecided(query) for query in judgement.lacking_queries)
    return "Collecting", "; ".join([*_shortages(judgement), *lacking, *undecided])


def _shortages(judgement: Judgement) -> Iterator[str]:
    """What the step lacks besides evidence."""
    if judgement.part.step is None:
        return
    if not judgement.part.is_live:
        yield f"weight {judgement.part.step.weight} is not live yet"
        return
    if judgement.missing_requests > 0:
        yield f"needs {judgement.missing_requests} more requests{_only_labels(judgement.findings)}"
    if judgement.missing_seconds > 0:
        yield f"needs {display.span(judgement.missing_seconds)} more at this weight"


def _only_labels(findings: RunFindings) -> str:
    """Why a canary that answers gets nothing that counts: a client and a gateway that both take turns."""
    if findings.in_step or findings.answered_at_weight < _SOME_REQUESTS:
        return ""
    return (
        " (the canary answers, and no prediction is among that: where a label follows each prediction,"
        " a gateway may send all labels to one version; send them later)"
    )


def _failure(failure: Failure, judgement: Judgement) -> tuple[str, str]:
    """Reason and message of a failure."""
    findings = judgement.findings
    match failure:
        case Crashing():
            return CRASHING, crashing(failure)
        case Hanging():
            finished = f"the canary finished {findings.finished} requests"
            return "RequestsMissing", f"{finished} and does not answer {findings.overdue} more"
        case Silent():
            weight = judgement.part.step.weight if judgement.part.step is not None else 0
            answered = (
                f"{findings.answered_at_weight} of {findings.both_answered_at_weight} requests at weight {weight}"
            )
            return "RequestsMissing", f"the canary answered only {answered}, while stable goes on answering"
        case ObjectiveFailed(family, finding):
            return _objective_failure(family, finding)
        case QueryFailed(query):
            return query.reason, queries.failure(query)
        case _:
            assert_never(failure)


def _objective_failure(family: Family, finding: Finding) -> tuple[str, str]:
    objective = finding.objective
    (reason,) = (reasons[family] for kind, reasons in _REASONS.items() if getattr(objective, kind) is not None)
    match family:
        case Family.STABLE:
            return reason, _worse_than_stable(finding)
        case Family.LIMIT:
            return reason, _over_limit(finding)
        case Family.BASELINE:
            return reason, _worse_than_baseline(finding)
        case _:
            assert_never(family)


def _worse_than_stable(finding: Finding) -> str:
    """The comparison with the strongest evidence."""
    worst, objective = finding.worst, finding.objective
    assert worst is not None
    counted = f"{worst.canary[1]} and {worst.stable[1]} counted"
    canary, stable = display.shown(objective, worst.canary), display.shown(objective, worst.stable) or "unknown"
    what = display.counted_as_bad(objective, worst.bound)
    return f"{objective.name} {canary}{what} is worse than stable's {stable} ({counted})"


def _over_limit(finding: Finding) -> str:
    objective, counted = finding.objective, finding.canary[1]
    canary = display.shown(objective, finding.canary)
    return f"{objective.name} {canary} breaks its limit: {display.own_limit(objective)} ({counted} counted)"


def _worse_than_baseline(finding: Finding) -> str:
    """What was counted in the watch, and what stable's past allows."""
    watch, objective = finding.watch, finding.objective
    assert watch is not None
    canary, allowed = display.shown(objective, watch.canary), _watch_limit(objective, watch.limit)
    what = display.counted_as_bad(objective)
    return f"{objective.name} {canary}{what} is worse than {allowed} ({watch.canary[1]} counted since the promotion)"


def _watch_limit(objective: Objective, share: float) -> str:
    """The share of bad requests that a canary in the watch is compared with."""
    return f"{display.measure(objective, share)}, which is what stable's past allows"


def _objective(judgement: ObjectiveJudgement, reason: str) -> ObjectiveVerdict:
    """One objective. `reason`: of the whole verdict, shown where this objective is what failed."""
    finding, objective = judgement.finding, judgement.finding.objective
    return ObjectiveVerdict(
        name=objective.name,
        result=judgement.result,
        reason=reason if judgement.failed else "",
        canary=display.shown(objective, finding.canary),
        stable=display.shown(objective, finding.stable),
        limit=(
            f"not worse than {_watch_limit(objective, finding.watch.limit)}"
            if finding.watch
            else display.limit(objective)
        ),
        requests=finding.canary[1],
        evidence=display.evidence(judgement.against, judgement.in_favour),
        needs="" if judgement.failed else _needs(judgement),
    )


def _lacking(judgement: ObjectiveJudgement) -> str:
    """What an objective that the step needs still lacks."""
    finding, objective = judgement.finding, judgement.finding.objective
    canary = display.shown(objective, finding.canary) or "nothing"
    counted = f"{canary} seen in {finding.canary[1]} {display.unit(objective)}, {display.limit(objective)}"
    if finding.over_limit is not None and finding.over_limit > math.log(display.STRONG) > finding.worse_now:
        return f"{objective.name} is undecided: {counted}, but nothing shows that stable does better"
    return f"{objective.name} is undecided: {counted}; {_needs(judgement) or 'there is too little evidence'}"


def _needs(judgement: ObjectiveJudgement) -> str:
    """How many more counts a Pass takes, if evidence grows as it did so far; empty while it hardly grows."""
    if judgement.passed or judgement.in_favour is None:
        return ""
    log_evalue, threshold = judgement.in_favour
    if log_evalue < threshold / 10:
        return ""
    finding = judgement.finding
    more = math.ceil(finding.canary[1] * (threshold / log_evalue - 1))
    return f"needs about {more} more {display.unit(finding.objective)}"
