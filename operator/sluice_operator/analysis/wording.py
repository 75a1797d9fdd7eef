"""The sentences and numbers of a verdict, for the person paged. Pure."""

import math
from collections.abc import Sequence

from msgspec.structs import replace

from sluice_operator.analysis import criteria
from sluice_operator.analysis.baseline import WORTH, Record
from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.forecast import Outlook
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.api.status import ObjectiveVerdict, Result
from sluice_operator.evalues import budget

_UNUSUAL = 20.0  # e-value at which stable is said to be worse than its record


def worse_reason(objective: Objective) -> str:
    return f"{_kind(objective)}WorseThanStable"


def beyond_reason(objective: Objective) -> str:
    return "AccuracyBelowLimit" if objective.accuracy is not None else f"{_kind(objective)}AboveLimit"


def worse(one: Finding) -> str:
    """Why the canary fails against stable: what was compared where it shows most."""
    worst = one.worst
    assert worst is not None
    counted = f"{worst.canary[1]} and {worst.stable[1]} counted"
    canary, stable = shown(one.objective, worst.canary), shown(one.objective, worst.stable) or "unknown"
    slow = "" if worst.bound is None else f" slower than {worst.bound * 1000:g}ms"
    return f"{one.objective.name} {canary}{slow} is worse than stable's {stable} ({counted})"


def beyond(one: Finding) -> str:
    """Why the canary fails its limit."""
    canary = shown(one.objective, one.canary)
    return f"{one.objective.name} {canary} breaks its limit: {_absolute(one.objective)} ({one.canary[1]} counted)"


def worse_than_before_reason(objective: Objective) -> str:
    return f"{_kind(objective)}WorseThanBefore"


def worse_than_before(one: Finding) -> str:
    """Why a canary that serves alone fails."""
    assert one.watched is not None
    canary, than = shown(one.objective, one.watched.canary), f"than {allowed(one)}"
    return f"{one.objective.name} {canary} is worse {than} ({one.watched.canary[1]} counted since the promotion)"


def allowed(one: Finding) -> str:
    """What a canary that serves alone is held against."""
    assert one.watched is not None
    return f"{_shown(one.objective, one.watched.most)}, which is what stable's past allows"


def undecided(one: Finding, described: ObjectiveVerdict) -> str:
    """What an objective still lacks."""
    unit = "labels" if one.objective.accuracy is not None else "requests"
    seen = f"{described.canary or 'nothing'} seen in {one.canary[1]} {unit}, {described.limit}"
    if one.beyond is not None and one.beyond > math.log(20) > one.beside:
        return f"{one.objective.name} is undecided: {seen}, but nothing shows that stable does better"
    return f"{one.objective.name} is undecided: {seen}; {described.needs or 'there is too little evidence'}"


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
        slowest = [one for one in objectives if one.name == outlook.forecast.slowest]
        wide += "".join(f", such as {_margin(one, outlook.wider)}" for one in slowest)
    return f"{forecast(outlook)}; the deadline is {outlook.deadline}: {wide}"


def past(found: Record, findings: Sequence[Finding], confidence: Confidence) -> str:
    """What is known of stable's past, and whether it still holds: what a verdict against the canary rests on."""
    hours, worth = found.pod_seconds / 3600, WORTH / 3600
    parts = [f"{hours:.1f} pod-hours of stable's past" + (f", taken for {worth:g}" if hours < worth else "")]
    name, often = found.bursting
    if often * max(hours, worth) >= 1:
        parts.append(f"{name} burst about {often:.2g} times an hour: a verdict against the canary takes longer")
    worse = [one.objective.name for one in findings if (one.stable_unusual or 0.0) >= math.log(_UNUSUAL)]
    if worse:
        parts.append(f"stable is worse now than then ({', '.join(worse)}), which may be blamed on the canary")
    if findings:
        bound = confidence.false_rollback * budget.WITHOUT_BURSTS / min(one.calm for one in findings)
        parts.append(f"at most {_percent(min(bound, 1.0))} of good canaries are taken back while nobody bursts")
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


def failed(judged: ObjectiveVerdict, reason: str) -> ObjectiveVerdict:
    return replace(judged, result=Result.FAIL, reason=reason, needs="")


def shown(objective: Objective, share: tuple[int, int]) -> str:
    """A share of bad requests as the objective's own measure; nothing if none was counted."""
    bad, counted = share
    return "" if counted == 0 else _shown(objective, bad / counted)


def _shown(objective: Objective, share: float) -> str:
    return f"{1 - share:.3f}" if objective.accuracy is not None else _percent(share)


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def limit(objective: Objective) -> str:
    """What the objective is held against."""
    parts = [_absolute(objective)]
    if (ratio := criteria.max_ratio(objective)) is not None:
        parts.append(f"less than {ratio} times stable's")
        if criteria.limit(objective) is None:
            parts.append(f"or less than {_percent(criteria.tolerance(objective))}")
    if (drop := criteria.max_drop(objective)) is not None:
        parts.append(f"less than {drop} below stable's")
    return ", ".join(filter(None, parts))


def _absolute(objective: Objective) -> str:
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


def evidence(against: tuple[float, float], cleared: tuple[float, float] | None) -> str:
    """Log e-values and the bars that they must reach, as e-values."""
    parts = [f"against {_evalue(against[0])} of {_evalue(against[1])}"]
    if cleared is not None:
        parts.append(f"for {_evalue(cleared[0])} of {_evalue(cleared[1])}")
    return ", ".join(parts)


def needs(one: Finding, log_cleared: float, bar: float) -> str:
    """How many more counts a Pass takes, if it goes on as it did; nothing before there is a trend."""
    if log_cleared < bar / 10:
        return ""
    more = math.ceil(one.canary[1] * (bar / log_cleared - 1))
    return f"needs about {more} more {'labels' if one.objective.accuracy is not None else 'requests'}"


def _evalue(log: float) -> str:
    return f"{math.exp(min(log, 200.0)):.3g}"


def _kind(objective: Objective) -> str:
    if objective.error_rate is not None:
        return "ErrorRate"
    return "Latency" if objective.latency is not None else "Accuracy"


def _span(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    if seconds < 120:
        return f"{math.ceil(seconds)}s"
    return f"{minutes}m" if minutes < 120 else f"{minutes / 60:.1f}h"
