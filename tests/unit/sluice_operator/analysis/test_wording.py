"""What a verdict tells beside its result: how long it takes, what is slow, and what it rests on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.decision import Stage
from sluice_operator.analysis.forecast import Forecast, Outlook
from sluice_operator.api.quantities import Number
from sluice_operator.api.status import Result
from sluice_operator.evalues.chain import BurstLaw
from sluice_operator.evalues.objective import ObjectiveBaseline
from tests.unit.sluice_operator.analysis.findings import ERRORS, NOTHING, SURE, findings, found, judged
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
def test_how_long_it_takes_is_told_with_the_verdict(
    total: float, wider: float, forecast: str, unreachable: str
) -> None:
    """And what can be proven instead, where it is too long."""
    expected = Forecast((100.0,), (total,), "errors")
    outlook = Outlook(12.34, expected, a_spec().rollout.deadline, wider)
    verdict = judged(findings(found(ERRORS), outlook=outlook))
    assert (verdict.forecast, verdict.unreachable) == (forecast, unreachable)
    assert judged(findings(found(ERRORS), outlook=outlook), Stage(step=None)).forecast == ""


@pytest.mark.parametrize(
    ("slow", "limit"),
    [
        ("0.0125", "slower than 12.5ms, less than 1.5 times stable's, or less than 5%"),
        ("", "stable's own quantile 0.95 is not known, less than 1.5 times stable's, or less than 5%"),
    ],
)
def test_a_latency_without_a_limit_says_what_is_slow(slow: str, limit: str) -> None:
    """In this run, or that nobody knows."""
    one = found({"name": "p95", "latency": {"quantile": "0.95", "maxRatio": "1.5"}}, over_limit=None)
    placed = replace(one, objective=one.objective.with_threshold(Number.parse(slow)) if slow else one.objective)
    verdict = judged(findings(placed))
    assert (verdict.objectives[0].limit, verdict.result) == (limit, Result.UNDECIDED)


def past(hours: float, bursts: float = 0.0) -> Baseline:
    """Of stable: calm, or with so many strong bursts in all."""
    length = max(hours, 3.0) * 3600
    calm = BurstLaw.unknown(length)
    law = replace(calm, starts=calm.starts + bursts / length)
    return Baseline({"errors": ObjectiveBaseline(law, law)}, (), hours * 3600, 0)


@pytest.mark.parametrize(
    ("record", "unusual", "told"),
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
            past(6),
            3.1,
            "6.0 pod-hours of stable's past; stable is worse now than then (errors), which may be blamed on the canary",
        ),
    ],
)
def test_what_a_verdict_rests_on_is_told(record: Baseline, unusual: float | None, told: str) -> None:
    """How much is known of stable, how it bursts, and whether it is still like that; a Fail says it, too."""
    for against in (NOTHING, SURE):
        verdict = judged(findings(found(ERRORS, worse=against, stable_worse=unusual), baseline=record))
        assert verdict.baseline == f"{told}; at most 5% of good canaries are rolled back while no pod bursts"
