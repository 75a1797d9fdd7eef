"""The sentences and numbers of a verdict, for the person who is paged. Pure.

Nothing is decided here, and each sentence is written once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from sluice_operator.analysis import criteria, display, queries
from sluice_operator.analysis.baseline import MINIMUM_POD_SECONDS, Baseline
from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.analysis.forecast import Outlook
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
from sluice_operator.evalues import budget

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
AGAINST_CLUMPS = "limit retries, label one row per request, judge on requests and not on rows"
CLUMPED = 1.8  # times as many requests, from which a sentence mentions clumps
_PERHAPS_CLUMPED = 1.2  # from which it says that they cannot be ruled out
_STRONG = 20.0  # e-value from which a sentence mentions that stable is worse than its past, or that a limit is broken


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
        forecast=forecast(outlook) if outlook else "",
        unreachable=unreachable(outlook, objectives) if outlook else "",
        baseline=baseline(findings.baseline, findings.objectives, confidence) if findings.baseline else "",
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
        yield f"needs {judgement.missing_requests} more requests"
    if judgement.missing_seconds > 0:
        yield f"needs {_span(judgement.missing_seconds)} more at this weight"


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
    if finding.over_limit is not None and finding.over_limit > math.log(_STRONG) > finding.worse_now:
        return f"{objective.name} is undecided: {counted}, but nothing shows that stable does better"
    return f"{objective.name} is undecided: {counted}; {_needs(judgement) or 'there is too little evidence'}"


def forecast(outlook: Outlook) -> str:
    """How long all steps take at the present rate of requests."""
    expected = outlook.forecast
    longest = f", {expected.slowest} takes longest" if expected.slowest else ""
    if longest and outlook.divisor >= CLUMPED:
        longest += f" (its bad requests come in clumps: {_times(outlook.divisor)} requests count as one)"
    rate = f"at {outlook.rate:.3g} req/s{longest}"
    if not math.isfinite(expected.total):
        return f"the steps never come to an end {rate}"
    return f"all steps together take about {_span(expected.total)} {rate}"


def unreachable(outlook: Outlook, objectives: Sequence[Objective]) -> str:
    """Why the deadline is too short, and which margins could be ruled out in time; empty if it is long enough."""
    if outlook.margin_factor == 1:
        return ""
    instead = "no margin can be ruled out in time"
    if math.isfinite(outlook.margin_factor):
        instead = f"margins {outlook.margin_factor:g} times as wide can be ruled out in time"
        slowest = [objective for objective in objectives if objective.name == outlook.forecast.slowest]
        instead += "".join(f", such as {_margin(objective, outlook.margin_factor)}" for objective in slowest)
    return f"{forecast(outlook)}; the deadline is {outlook.deadline}: {instead}"


def baseline(past: Baseline, findings: Sequence[Finding], confidence: Confidence) -> str:
    """What is known of stable's past, and whether it is still true: a verdict against the canary rests on it."""
    hours, least = past.pod_seconds / 3600, MINIMUM_POD_SECONDS / 3600
    parts = [f"{hours:.1f} pod-hours of stable's past" + (f", taken for {least:g}" if hours < least else "")]
    name, bursts_per_hour = past.most_bursts
    if bursts_per_hour * max(hours, least) >= 1:
        parts.append(
            f"{name} burst about {bursts_per_hour:.2g} times an hour: a verdict against the canary takes longer"
        )
    parts += _clumps(past)
    worse = [finding.objective.name for finding in findings if (finding.stable_worse or 0.0) >= math.log(_STRONG)]
    if worse:
        parts.append(f"stable is worse now than then ({', '.join(worse)}), which may be blamed on the canary")
    if findings:
        no_burst_probability = min(finding.no_burst_probability for finding in findings)
        chance = min(confidence.false_rollback * budget.SPENT_SHARE / no_burst_probability, 1.0)
        parts.append(f"at most {display.percent(chance)} of good canaries are rolled back while no pod bursts")
    return "; ".join(parts)


def _clumps(past: Baseline) -> Iterator[str]:
    """What clumps of bad requests cost, and what helps."""
    name, for_pass, for_fail = past.most_clumped
    most = max(for_pass, for_fail)
    if most >= CLUMPED:
        yield (
            f"bad requests come in clumps ({name}): a Pass takes about {_times(for_pass)} times as many requests, "
            f"a Fail at least {_times(for_fail)} times; {AGAINST_CLUMPS}"
        )
    elif most >= _PERHAPS_CLUMPED:
        yield (
            f"small clumps of bad requests cannot be ruled out ({name}): a verdict takes about {_times(most)} times as "
            "many requests"
        )


def _times(divisor: float) -> str:
    """A number with one digit behind the point below 10, else with none."""
    return f"{divisor:.0f}" if divisor >= 10 else f"{round(divisor, 1):g}"


def _margin(objective: Objective, factor: float) -> str:
    """An objective's own margin, `factor` times as wide, in the words of the spec."""
    margin = criteria.criterion(objective, 1).margins[0].widened(factor)
    parts = [
        f"maxRatio {margin.ratio:.3g}" if margin.ratio is not None else "",
        f"maxDrop {margin.drop:.3g}" if margin.drop is not None else "",
        f"a tolerance of {display.percent(margin.tolerance)}" if margin.tolerance is not None else "",
    ]
    return f"{objective.name} with {' or '.join(filter(None, parts))}"


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


def _span(seconds: float) -> str:
    """A time in few digits: a long one would else be another one in each look, and a write of the status."""
    minutes = math.ceil(seconds / 60)
    if seconds < 120:
        return f"{math.ceil(seconds)}s"
    return f"{minutes}m" if minutes < 120 else f"{minutes / 60:.1f}h"
