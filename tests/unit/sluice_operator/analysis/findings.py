"""Builders of findings, and of the verdict on them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from sluice_operator.analysis.evaluation import evaluate
from sluice_operator.analysis.finding import Finding, WorstComparison
from sluice_operator.analysis.run_evidence import RunFindings
from sluice_operator.analysis.verdict import Part
from sluice_operator.api.observation import Crashes
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.api.status import Verdict
from tests.unit.sluice_operator.build import a_spec

ERRORS = {"name": "errors", "errorRate": {"max": "1%", "maxRatio": "2"}}
P95 = {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms"}}
ACCURACY = {"name": "accuracy", "accuracy": {"source": "Feedback", "min": "0.70", "maxDrop": "0.02"}}
STEP = a_spec().rollout.canary.steps[0]  # weight 10, 50 requests, 5 s
CERTAIN, NOTHING = 50.0, 0.0  # log e-values
CONFIDENCE = Confidence()


def objective(raw: dict[str, Any], **changes: Any) -> Objective:
    return a_spec(objectives=[{**raw, **changes}]).objectives[0]


def a_finding(raw: dict[str, Any], **changes: Any) -> Finding:
    """An objective without evidence, except for `changes`."""
    compared = "latency" not in raw
    defaults: dict[str, Any] = {
        "canary": (1, 100),
        "stable": (9, 900),
        "worst": WorstComparison(None, (1, 100), (9, 900)) if compared else None,
        "worse": NOTHING if compared else None,
        "over_limit": NOTHING,
        "worse_now": NOTHING,
        "watch": None,
        "stable_worse": None,
        "no_burst_probability": 0.84,
        "non_inferior": (NOTHING, NOTHING),
    }
    return Finding(objective(raw), **{**defaults, **changes})


def findings(*objectives: Finding, **changes: Any) -> RunFindings:
    """In a step that has all the requests that it needs; the canary finished its share."""
    counts = RunFindings(objectives, finished=100, in_step=100, answered_at_weight=100, both_answered_at_weight=1000)
    return replace(counts, **changes)


def at_step(elapsed: float = 60, last: bool = True) -> Part:
    """The first or the last of two steps, `elapsed` seconds after its weight was seen live."""
    return Part(STEP, int(last), 2, elapsed)


def judged(given: RunFindings, part: Part | None = None, crashes: int = 0) -> Verdict:
    return evaluate(given, CONFIDENCE, part or at_step(), Crashes(crashes))


def threshold(share: float, spent: float, objectives: int = 1) -> float:
    """Log e-value that one of `objectives` must reach, if the others have no evidence.

    `share` of the error budget is for its family, and `spent` for all families of the run.
    """
    return math.log(objectives * spent / (0.05 * 0.84 * share))
