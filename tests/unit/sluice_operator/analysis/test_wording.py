"""What a verdict says in addition to its result: how long a run takes, what is slow, and what it rests on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.forecast import Forecast, Outlook
from sluice_operator.analysis.verdict import Part
from sluice_operator.api.quantities import Number
from sluice_operator.api.status import Result
from sluice_operator.evalues.chain import BurstLaw
from sluice_operator.evalues.objective import ObjectiveBaseline
from tests.unit.sluice_operator.analysis.findings import CERTAIN, ERRORS, NOTHING, a_finding, findings, judged
from tests.unit.sluice_operator.build import a_spec


@pytest.mark.parametrize(
    ("total", "wider", "forecast", "unreachable"),
    [
        (100.0, 1.0, "all steps together take about 100s at 12.3 req/s, errors takes longest", ""),
        (
            20_000.0,
            3.0,
            "all steps together take about 5.6h at 12.3 req/s, errors takes longest",
            "all steps together take about 5.6h at 12.3 req/s, errors takes longest; the deadline is 4h:"
            " margins 3 times as wide can be ruled out in time, such as errors with maxRatio 4 or a tolerance of 3%",
        ),
        (
            math.inf,
            math.inf,
            "the steps never come to an end at 12.3 req/s, errors takes longest",
            "the steps never come to an end at 12.3 req/s, errors takes longest; the deadline is 4h:"
            " no margin can be ruled out in time",
        ),
    ],
)
def test_a_verdict_says_how_long_the_steps_take(total: float, wider: float, forecast: str, unreachable: str) -> None:
    """If that is too long, it says which margins could be ruled out in time."""
    expected = Forecast((100.0,), (total,), "errors")
    outlook = Outlook(12.34, expected, a_spec().rollout.deadline, wider)
    verdict = judged(findings(a_finding(ERRORS), outlook=outlook))
    assert (verdict.forecast, verdict.unreachable) == (forecast, unreachable)
    assert judged(findings(a_finding(ERRORS), outlook=outlook), Part(step=None)).forecast == ""


@pytest.mark.parametrize(("divisor", "count"), [(1.5, ""), (8.47, "8.5"), (456.3, "456")])
def test_a_forecast_says_whether_clumps_are_the_cause(divisor: float, count: str) -> None:
    """Without scientific notation."""
    outlook = Outlook(12.34, Forecast((100.0,), (100.0,), "errors"), a_spec().rollout.deadline, 1.0, divisor)
    cause = f" (its bad requests come in clumps: {count} requests count as one)" if count else ""
    verdict = judged(findings(a_finding(ERRORS), outlook=outlook))
    assert verdict.forecast == f"all steps together take about 100s at 12.3 req/s, errors takes longest{cause}"


@pytest.mark.parametrize(
    ("slow", "limit"),
    [
        ("0.0125", "slower than 12.5ms, less than 1.5 times stable's, or less than 5%"),
        ("", "stable's own quantile 0.95 is not known, less than 1.5 times stable's, or less than 5%"),
    ],
)
def test_a_latency_without_a_limit_says_what_is_slow(slow: str, limit: str) -> None:
    """In this run, or that it is not known."""
    finding = a_finding({"name": "p95", "latency": {"quantile": "0.95", "maxRatio": "1.5"}}, over_limit=None)
    if slow:
        finding = replace(finding, objective=finding.objective.with_threshold(Number.parse(slow)))
    verdict = judged(findings(finding))
    assert (verdict.objectives[0].limit, verdict.result) == (limit, Result.UNDECIDED)


def past(hours: float, bursts: float = 0.0, clump: float = 1.0) -> Baseline:
    """A baseline of so many pod-hours, with so many strong bursts, and with bad requests in clumps of this size."""
    length = max(hours, 3.0) * 3600
    no_bursts = BurstLaw.unknown(length, divisor=clump)
    law = replace(no_bursts, starts=no_bursts.starts + bursts / length)
    return Baseline({"errors": ObjectiveBaseline(law, law)}, (), hours * 3600, 0)


@pytest.mark.parametrize(
    ("baseline", "stable_worse", "sentence"),
    [
        (past(0), None, "0.0 pod-hours of stable's past, taken for 3"),
        (past(0.5), 2.9, "0.5 pod-hours of stable's past, taken for 3"),
        (past(12), None, "12.0 pod-hours of stable's past"),
        (
            past(12, bursts=24),
            None,
            "12.0 pod-hours of stable's past; errors burst about 2 times an hour: a verdict against the canary takes "
            "longer",
        ),
        (
            past(6, clump=6.04),
            None,
            "6.0 pod-hours of stable's past; bad requests come in clumps (errors): a Pass takes about 6 times as many "
            "requests, a Fail at least 6 times; limit retries, label one row per request, judge on requests and not on "
            "rows",
        ),
        (
            past(6, clump=1.5),
            None,
            "6.0 pod-hours of stable's past; small clumps of bad requests cannot be ruled out (errors): a verdict "
            "takes about 1.5 times as many requests",
        ),
        (
            past(6),
            3.1,
            "6.0 pod-hours of stable's past; stable is worse now than then (errors), which may be blamed on the canary",
        ),
    ],
)
def test_a_verdict_says_what_is_known_of_stable_s_past(
    baseline: Baseline, stable_worse: float | None, sentence: str
) -> None:
    """How much, how often pods burst, how large clumps are, and whether stable is still the same; also for a Fail."""
    for worse in (NOTHING, CERTAIN):
        verdict = judged(findings(a_finding(ERRORS, worse=worse, stable_worse=stable_worse), baseline=baseline))
        assert verdict.baseline == f"{sentence}; at most 5% of good canaries are rolled back while no pod bursts"
