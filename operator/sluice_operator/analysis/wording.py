"""The sentences and numbers of a verdict, for the person paged. Pure.

Everything is decided before it comes here: no sentence decides, and each is written once.
"""

import math
from collections.abc import Iterator, Sequence
from typing import assert_never

from sluice_operator.analysis import criteria, queries
from sluice_operator.analysis.baseline import MINIMUM_POD_SECONDS, Baseline
from sluice_operator.analysis.decision import Cause, Decision, Failure, ObjectiveDecision
from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.forecast import Outlook
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.api.status import ObjectiveVerdict, Result, Verdict
from sluice_operator.evalues import budget

CRASHING = "CanaryCrashing"
_UNUSUAL = 20.0  # e-value at which stable is said to be worse than its past


def verdict(decision: Decision, confidence: Confidence, crashes: int) -> Verdict:
    """What was decided, in words. `crashes`: container terminations of the canary beyond stable's."""
    findings, failure = decision.findings, decision.failure
    reason, message = _collecting(decision) if failure is None else _failure(failure, decision, crashes)
    outlook = findings.outlook if decision.stage.step is not None else None
    objectives = [finding.objective for finding in findings.objectives]
    return Verdict(
        decision.result,
        reason,
        message,
        objectives=(
            *(_objective(judged, failure, reason) for judged in decision.objectives),
            *(query for _, query in findings.queries),
        ),
        forecast=forecast(outlook) if outlook else "",
        unreachable=unreachable(outlook, objectives) if outlook else "",
        baseline=baseline(findings.baseline, findings.objectives, confidence) if findings.baseline else "",
        clean=decision.clean,
    )


def crashing(crashes: int) -> str:
    """Why a canary fails whose containers end."""
    return f"containers of the canary ended {crashes} times more often than stable's in this run"


def _collecting(decision: Decision) -> tuple[str, str]:
    """Reason and message of what is no failure."""
    if decision.result is Result.PASS:
        return "Passed", "all that this step asks for is there"
    lacking = (_lacking(judged) for judged in decision.objectives if judged.lacking)
    undecided = (queries.undecided(query) for query in decision.lacking_queries)
    return "Collecting", "; ".join([*_shortages(decision), *lacking, *undecided])


def _shortages(decision: Decision) -> Iterator[str]:
    if decision.stage.step is None:
        return
    if not decision.stage.is_live:
        yield f"weight {decision.stage.step.weight} is not live yet"
        return
    if decision.missing_requests > 0:
        yield f"needs {decision.missing_requests} more requests"
    if decision.missing_seconds > 0:
        yield f"needs {math.ceil(decision.missing_seconds)}s more at this weight"


def _failure(failure: Failure, decision: Decision, crashes: int) -> tuple[str, str]:
    """Reason and message of a failure."""
    findings = decision.findings
    match failure.cause:
        case Cause.CRASHES:
            return CRASHING, crashing(crashes)
        case Cause.OVERDUE:
            finished = f"the canary finished {findings.finished} requests"
            return "RequestsMissing", f"{finished} and does not answer {findings.overdue} more"
        case Cause.SILENCE:
            weight = decision.stage.step.weight if decision.stage.step else 0
            got = f"{findings.answered} of {findings.expected} requests at weight {weight}"
            return "RequestsMissing", f"the canary finished only {got}, while stable goes on answering"
        case Cause.QUERY:
            assert failure.query is not None
            return failure.query.reason, queries.failure(failure.query)
        case Cause.WORSE_THAN_STABLE | Cause.OVER_LIMIT | Cause.WORSE_THAN_BASELINE:
            assert failure.finding is not None
            return _objective_failure(failure.cause, failure.finding)
        case _:
            assert_never(failure.cause)


def _objective_failure(cause: Cause, finding: Finding) -> tuple[str, str]:
    objective, kind = finding.objective, _kind(finding.objective)
    if cause is Cause.WORSE_THAN_STABLE:
        return f"{kind}WorseThanStable", _worse_than_stable(finding)
    if cause is Cause.WORSE_THAN_BASELINE:
        return f"{kind}WorseThanBefore", _worse_than_baseline(finding)
    reason = "AccuracyBelowLimit" if objective.accuracy is not None else f"{kind}AboveLimit"
    canary, counted = shown(objective, finding.canary), finding.canary[1]
    return reason, f"{objective.name} {canary} breaks its limit: {_own_limit(objective)} ({counted} counted)"


def _worse_than_stable(finding: Finding) -> str:
    """What was compared where it shows most."""
    worst, objective = finding.worst, finding.objective
    assert worst is not None
    counted = f"{worst.canary[1]} and {worst.stable[1]} counted"
    canary, stable = shown(objective, worst.canary), shown(objective, worst.stable) or "unknown"
    slow = "" if worst.bound is None else f" slower than {worst.bound * 1000:g}ms"
    return f"{objective.name} {canary}{slow} is worse than stable's {stable} ({counted})"


def _worse_than_baseline(finding: Finding) -> str:
    """Why a canary that serves alone fails."""
    watch = finding.watch
    assert watch is not None
    canary, than = shown(finding.objective, watch.canary), f"than {_watch_limit(finding.objective, watch.limit)}"
    return f"{finding.objective.name} {canary} is worse {than} ({watch.canary[1]} counted since the promotion)"


def _watch_limit(objective: Objective, share: float) -> str:
    """What a canary that serves alone is compared with."""
    return f"{_measure(objective, share)}, which is what stable's past allows"


def _objective(decision: ObjectiveDecision, failure: Failure | None, reason: str) -> ObjectiveVerdict:
    """One objective, with the reason if it is what failed."""
    finding, objective = decision.finding, decision.finding.objective
    failed = failure is not None and failure.finding is not None and failure.finding.objective.name == objective.name
    result = Result.FAIL if failed else Result.PASS if decision.passed else Result.UNDECIDED
    return ObjectiveVerdict(
        name=objective.name,
        result=result,
        reason=reason if failed else "",
        canary=shown(objective, finding.canary),
        stable=shown(objective, finding.stable),
        limit=(f"not worse than {_watch_limit(objective, finding.watch.limit)}" if finding.watch else limit(objective)),
        requests=finding.canary[1],
        evidence=evidence(decision.against, decision.in_favour),
        needs="" if failed else _needs(decision),
    )


def _lacking(decision: ObjectiveDecision) -> str:
    """What an objective that is needed still lacks."""
    finding, objective = decision.finding, decision.finding.objective
    canary, held_to = shown(objective, finding.canary) or "nothing", limit(objective)
    seen = f"{canary} seen in {finding.canary[1]} {_unit(objective)}, {held_to}"
    if finding.over_limit is not None and finding.over_limit > math.log(20) > finding.worse_now:
        return f"{objective.name} is undecided: {seen}, but nothing shows that stable does better"
    return f"{objective.name} is undecided: {seen}; {_needs(decision) or 'there is too little evidence'}"


def forecast(outlook: Outlook) -> str:
    """How long all steps take at the present rate."""
    expected = outlook.forecast
    longest = f", {expected.slowest} takes longest" if expected.slowest else ""
    rate = f"at {outlook.rate:.3g} req/s{longest}"
    if not math.isfinite(expected.total):
        return f"the steps never come to an end {rate}"
    return f"all steps together take about {_span(expected.total)} {rate}"


def unreachable(outlook: Outlook, objectives: Sequence[Objective]) -> str:
    """Why a deadline is too short, and what can be proven instead; nothing if it is not."""
    if outlook.wider == 1:
        return ""
    wide = "no margin can be ruled out in time"
    if math.isfinite(outlook.wider):
        wide = f"margins {outlook.wider:g} times as wide can be ruled out in time"
        slowest = [objective for objective in objectives if objective.name == outlook.forecast.slowest]
        wide += "".join(f", such as {_margin(objective, outlook.wider)}" for objective in slowest)
    return f"{forecast(outlook)}; the deadline is {outlook.deadline}: {wide}"


def baseline(found: Baseline, findings: Sequence[Finding], confidence: Confidence) -> str:
    """What is known of stable's past, and whether it still holds: what a verdict against the canary rests on."""
    hours, least = found.pod_seconds / 3600, MINIMUM_POD_SECONDS / 3600
    parts = [f"{hours:.1f} pod-hours of stable's past" + (f", taken for {least:g}" if hours < least else "")]
    name, often = found.most_bursts
    if often * max(hours, least) >= 1:
        parts.append(f"{name} burst about {often:.2g} times an hour: a verdict against the canary takes longer")
    worse = [finding.objective.name for finding in findings if (finding.stable_worse or 0.0) >= math.log(_UNUSUAL)]
    if worse:
        parts.append(f"stable is worse now than then ({', '.join(worse)}), which may be blamed on the canary")
    if findings:
        calmest = min(finding.no_burst_chance for finding in findings)
        chance = min(confidence.false_rollback * budget.WITHOUT_BURSTS / calmest, 1.0)
        parts.append(f"at most {_percent(chance)} of good canaries are rolled back while no pod bursts")
    return "; ".join(parts)


def _margin(objective: Objective, wider: float) -> str:
    """An objective's own margin, so many times as wide, as it is written in the spec."""
    margin = criteria.criterion(objective, 1).margins[0].widened(wider)
    parts = [
        f"maxRatio {margin.ratio:.3g}" if margin.ratio is not None else "",
        f"maxDrop {margin.drop:.3g}" if margin.drop is not None else "",
        f"a tolerance of {_percent(margin.tolerance)}" if margin.tolerance is not None else "",
    ]
    return f"{objective.name} with {' or '.join(filter(None, parts))}"


def shown(objective: Objective, share: tuple[int, int]) -> str:
    """A share (bad, counted) as the objective's own measure; nothing if none was counted."""
    bad, counted = share
    return "" if counted == 0 else _measure(objective, bad / counted)


def limit(objective: Objective) -> str:
    """What the objective is compared with."""
    parts = [_own_limit(objective)]
    if (ratio := criteria.max_ratio(objective)) is not None:
        parts.append(f"less than {ratio} times stable's")
        if criteria.limit(objective) is None:
            parts.append(f"or less than {_percent(criteria.tolerance(objective))}")
    if (drop := criteria.max_drop(objective)) is not None:
        parts.append(f"less than {drop} below stable's")
    return ", ".join(filter(None, parts))


def evidence(against: tuple[float, float], in_favour: tuple[float, float] | None) -> str:
    """Log e-values and the thresholds that they must reach, as e-values."""
    parts = [f"against {_evalue(against[0])} of {_evalue(against[1])}"]
    if in_favour is not None:
        parts.append(f"for {_evalue(in_favour[0])} of {_evalue(in_favour[1])}")
    return ", ".join(parts)


def _own_limit(objective: Objective) -> str:
    """Its limit, whatever stable does; nothing if it has none."""
    if objective.error_rate is not None:
        most = objective.error_rate.max
        return "" if most is None else f"at most {most} errors"
    if objective.latency is not None:
        bound, share = criteria.bound_of(objective), f"{1 - objective.latency.quantile:.1%}"
        if bound is None:
            return f"stable's own quantile {objective.latency.quantile} is not known"
        slower = f"slower than {bound * 1000:g}ms"
        return f"at most {share} {slower}" if objective.latency.max is not None else slower
    assert objective.accuracy is not None
    least = objective.accuracy.min
    return "" if least is None else f"at least {least}"


def _needs(decision: ObjectiveDecision) -> str:
    """How many more counts a Pass takes, if it goes on as it did; nothing before there is a trend."""
    if decision.passed or decision.in_favour is None:
        return ""
    log_evalue, threshold = decision.in_favour
    if log_evalue < threshold / 10:
        return ""
    finding = decision.finding
    more = math.ceil(finding.canary[1] * (threshold / log_evalue - 1))
    return f"needs about {more} more {_unit(finding.objective)}"


def _unit(objective: Objective) -> str:
    return "labels" if objective.accuracy is not None else "requests"


def _kind(objective: Objective) -> str:
    if objective.error_rate is not None:
        return "ErrorRate"
    return "Latency" if objective.latency is not None else "Accuracy"


def _measure(objective: Objective, share: float) -> str:
    return f"{1 - share:.3f}" if objective.accuracy is not None else _percent(share)


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _evalue(log: float) -> str:
    return f"{math.exp(min(log, 200.0)):.3g}"


def _span(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    if seconds < 120:
        return f"{math.ceil(seconds)}s"
    return f"{minutes}m" if minutes < 120 else f"{minutes / 60:.1f}h"
