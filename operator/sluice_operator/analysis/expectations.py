"""What a run may expect, in words: how long it takes, what it cannot prove in time, what the past says. Pure."""

import math
from collections.abc import Iterator, Sequence

from sluice_operator.analysis import criteria, display
from sluice_operator.analysis.baseline import MINIMUM_POD_SECONDS, Baseline
from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.forecast import Outlook
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.evalues import budget

AGAINST_CLUMPS = "limit retries, label one row per request, judge on requests and not on rows"
CLUMPED = 1.8  # times as many requests, from which a sentence mentions clumps
_PERHAPS_CLUMPED = 1.2  # from which it says that they cannot be ruled out


def forecast(outlook: Outlook) -> str:
    """How long all steps take at the present rate of requests."""
    expected = outlook.forecast
    longest = f", {expected.slowest} takes longest" if expected.slowest else ""
    if longest and outlook.divisor >= CLUMPED:
        longest += f" (its bad requests come in clumps: {_times(outlook.divisor)} requests count as one)"
    rate = f"at {outlook.rate:.3g} req/s{longest}"
    if not math.isfinite(expected.total):
        return f"the steps never come to an end {rate}"
    return f"all steps together take about {display.span(expected.total)} {rate}"


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
    worse = [
        finding.objective.name for finding in findings if (finding.stable_worse or 0.0) >= math.log(display.STRONG)
    ]
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
