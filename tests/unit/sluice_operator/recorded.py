"""Runs with their records: the ticks of a simulated service, judged by the real code."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from msgspec.structs import replace

from sluice_operator.analysis import baseline
from sluice_operator.analysis.evaluation import EndedRun, Evaluation, evaluate
from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.analysis.verdict import Part
from sluice_operator.api.revision import RevisionRef
from sluice_operator.api.run import LiveWeight, Outcome, Run
from sluice_operator.api.status import Result, Status
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.ticks import Tally, Tick
from sluice_operator.evalues.chain import Pods
from sluice_operator.records import run_record
from sluice_operator.records.run_record import RunRecord
from tests.unit.sluice_operator.build import a_rollout, a_spec, stepping

BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TICK, PATIENCE = 5.0, 30.0
OBJECTIVES: list[dict[str, Any]] = [
    {"name": "errors", "errorRate": {"max": "1%", "maxRatio": "2"}},
    {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms"}},
    {"name": "accuracy", "accuracy": {"source": "Feedback", "maxDrop": "5%"}},
]


def a_run(*, weights: tuple[int, ...] = (10, 50), step_seconds: float = 300.0, **changes: Any) -> Run:
    """A run that ended well after its last step; each weight was seen live 3 s after it was written."""
    run = stepping(spec=a_spec(objectives=OBJECTIVES)).status.run
    assert run is not None
    begins = [BEGAN + timedelta(seconds=step_seconds * index) for index in range(len(weights) + 1)]
    live = tuple(
        LiveWeight(weight, since + timedelta(seconds=3), until)
        for weight, since, until in zip(weights, begins[:-1], begins[1:], strict=True)
    )
    fields: dict[str, Any] = {
        "started_at": BEGAN - timedelta(seconds=20),
        "traffic_started_at": BEGAN,
        "first_live_at": live[0].since,
        "live_weights": live,
        "step": len(weights) - 1,
        "step_started_at": live[-1].since,
        "ended_at": begins[-1],
        "objectives": a_spec(objectives=OBJECTIVES).objectives,
        "default_objectives": (),
        "canary": RevisionRef(revision="bbbbbbbbbb", model="models:/iris/2"),
        "stable": RevisionRef(revision="aaaaaaaaaa", model="models:/iris/1"),
        "outcome": Outcome.PROMOTED,
        "reason": "Promoted",
        "message": "models:/iris/2 was promoted",
    }
    return replace(run, **{**fields, **changes})


def blue_green(**changes: Any) -> tuple[Run, Run]:
    """A run whose requests all moved at once, watched for 15 minutes, and one with the weight that this gave."""
    moved = a_run(weights=(100,), step_seconds=900.0)
    rollout = a_rollout(canary={}, blueGreen={})
    fields = {"rollout": rollout, "steps": (), "live_weights": (), "first_live_at": None, "step_started_at": None}
    return replace(moved, **fields, promoted_at=moved.live_weights[0].since, **changes), moved


def ticks(run: Run, rate: float = 40.0, bad: float = 0.001, seed: int = 1) -> Iterator[Tick]:
    """The counts of a service from the run's first traffic to its end; the canary's share of errors is `bad`."""
    assert run.traffic_started_at is not None
    assert run.ended_at is not None
    random, start = np.random.default_rng(seed), run.traffic_started_at.timestamp()
    while start + TICK <= run.ended_at.timestamp():
        weights = [live.weight for live in run.live_weights if live.since.timestamp() <= start]
        share = weights[-1] / 100 if weights else 0.0
        canary = _tally(random, rate * share * TICK, bad)
        yield Tick(
            start, start + TICK, canary, _tally(random, rate * (1 - share) * TICK, 0.001), random.random() < 0.98
        )
        start += TICK


def _tally(random: np.random.Generator, requests: float, bad: float) -> Tally:
    finished = int(random.poisson(requests))
    errors = int(random.binomial(finished, bad))
    labels = int(random.binomial(finished, 0.3))
    right = int(random.binomial(labels, 0.96))
    within = {0.2: finished - int(random.binomial(finished, 0.02)), math.inf: finished}
    return Tally(finished + int(random.random() < 0.1), finished, errors, within, labels, right)


def _no_evidence(run: Run) -> RunEvidence:
    """Before the first tick, without a baseline."""
    past = baseline.from_counters(run.judged, (0.2,), Counters(), "", ())
    return RunEvidence(run.judged, len(run.steps), past, Pods(2, 2), TICK)


def recorded(run: Run, counted: Iterator[Tick]) -> RunRecord:
    """The record of a run until the tick at which its verdict is a Fail, or until its end."""
    run, ended_run = ended(run, counted)
    return run_record.of_run("models", "iris", run, ended_run)


def ended(run: Run, counted: Iterator[Tick]) -> tuple[Run, EndedRun]:
    """A run until the tick at which its verdict is a Fail, or until its end."""
    evidence = _no_evidence(run)
    assert run.ended_at is not None
    for tick in counted:
        evidence.update(tick, run)
        now = datetime.fromtimestamp(tick.end, UTC)
        verdict = evaluate(evidence.findings(run, tick.end, PATIENCE), run.confidence, Part.of(run, now))
        if verdict.result is Result.FAIL:
            outcome = {"outcome": Outcome.REJECTED, "reason": verdict.reason, "message": verdict.message}
            run = replace(run, ended_at=now, **outcome)
            break
    last = Evaluation(verdict, now)
    return run, EndedRun(evidence, last, PATIENCE)


class FakeEndedRuns:
    """Gives the evidence of a short run for any run that ended.

    `empty`: there was nothing to count. `trouble`: is raised.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.trouble: Exception | None = None
        self.empty = False

    async def ended(self, subject: Subject, current: Status) -> EndedRun | None:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        if self.empty:
            return None
        short = a_run(weights=(10,), step_seconds=20.0)
        return ended(short, ticks(short))[1]
