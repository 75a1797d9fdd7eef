"""Small builders of what a verdict is reached on, and the verdict."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from sluice_operator.analysis.decision import Stage
from sluice_operator.analysis.finding import Finding, WorstComparison
from sluice_operator.analysis.run_evidence import Findings
from sluice_operator.analysis.verdict import judge
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.api.status import Verdict
from tests.unit.sluice_operator.build import a_spec

ERRORS = {"name": "errors", "errorRate": {"max": "1%", "maxRatio": "2"}}
P95 = {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms"}}
ACCURACY = {"name": "accuracy", "accuracy": {"source": "Feedback", "min": "0.70", "maxDrop": "0.02"}}
STEP = a_spec().rollout.canary.steps[0]  # weight 10, 50 requests, 5 s
SURE, NOTHING = 50.0, 0.0  # log e-values
CONFIDENCE = Confidence()


def objective(raw: dict[str, Any], **changes: Any) -> Objective:
    return a_spec(objectives=[{**raw, **changes}]).objectives[0]


def found(raw: dict[str, Any], **known: Any) -> Finding:
    """An objective of which nothing is shown yet, unless `known` says otherwise."""
    one = objective(raw)
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
        "no_burst_chance": 0.84,
        "non_inferior": (NOTHING, NOTHING),
    }
    return Finding(one, **{**defaults, **known})


def findings(*objectives: Finding, **changes: Any) -> Findings:
    """A step with all the requests that it needs, of which the canary got its share."""
    return replace(Findings(objectives, finished=100, in_step=100, answered=100, expected=1000), **changes)


def asked(elapsed: float = 60, last: bool = True) -> Stage:
    return Stage(STEP, int(last), 2, elapsed)


def judged(seen: Findings, question: Stage | None = None, crashes: int = 0) -> Verdict:
    return judge(seen, CONFIDENCE, question or asked(), crashes)


def bar(share: float, families: float, objectives: int = 1) -> float:
    """Log e-value that one of `objectives` must reach alone when its family has `share` of what `families` spend."""
    return math.log(objectives * families / (0.05 * 0.84 * share))
