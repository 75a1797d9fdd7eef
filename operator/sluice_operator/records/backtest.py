"""What a policy would have decided in the past: a run that did not take place, judged on real counts. Pure.

The weights in the past were not those of the policy's steps. So requests and evidence are judged, but silence is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from sluice_operator.analysis.default_objectives import default_objectives
from sluice_operator.analysis.evaluation import evaluate
from sluice_operator.analysis.verdict import Part
from sluice_operator.api.quantities import Number
from sluice_operator.api.revision import RevisionRef
from sluice_operator.api.run import LiveWeight, Outcome, Run
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Result, Verdict
from sluice_operator.counting.ticks import Tick
from sluice_operator.records.replay import Replay, ReplayedTick, findings_of_tick
from sluice_operator.rollout import automatic_steps


@dataclass(frozen=True, slots=True)
class Backtest:
    """When each step would have been passed, and the verdict `at` the end: a Fail, the last Pass, or Undecided."""

    passed: tuple[datetime, ...]
    verdict: Verdict
    at: datetime


@dataclass(frozen=True, slots=True)
class StableTraffic:
    """What a run takes from stable's traffic: requests per second, and the threshold (seconds) of each latency
    without a limit."""

    rate: float
    latency_thresholds: Mapping[str, Number]


def hypothetical_run(
    spec: Spec, traffic: StableTraffic, canary: str, stable: str, since: datetime, until: datetime
) -> Run:
    """A run that follows the policy of `spec`, with its weight proven from the start."""
    return Run(
        id=f"{canary}-{int(since.timestamp())}",
        started_at=since,
        traffic=spec.traffic,
        rollout=spec.rollout,
        replicas=spec.server.replicas,
        canary=RevisionRef(revision=canary, model=f"revision {canary}"),
        stable=RevisionRef(revision=stable, model=f"revision {stable}"),
        objectives=spec.objectives,
        default_objectives=default_objectives(spec.objectives),
        confidence=spec.confidence,
        steps=automatic_steps.steps_of(spec.rollout, traffic.rate),
        latency_thresholds=dict(traffic.latency_thresholds),
        step_started_at=since,
        traffic_started_at=since,
        first_live_at=since,
        outcome=Outcome.WITHDRAWN,
        ended_at=until,
        reason="Backtest",
        message="judged afterwards on what Prometheus knows",
    )


def with_share(run: Run, ticks: Sequence[Tick]) -> Run:
    """`run` with the share of requests that its canary had in `ticks` as its weight."""
    canary = sum(tick.canary.finished for tick in ticks)
    both = canary + sum(tick.stable.finished for tick in ticks)
    weight = round(100 * canary / both) if both else 0
    return replace(run, live_weights=(LiveWeight(weight=weight, since=run.started_at),))


def backtested(replay: Replay) -> Backtest:
    """The steps of a replayed run, passed as its evidence comes: at most one step per tick."""
    run, passed, finished, finished_before_step = replay.record.run, list[datetime](), 0, 0
    verdict, at = replay.verdict, replay.record.last_evaluation.at
    for replayed_tick in replay.ticks:
        finished += replayed_tick.tick.canary.finished
        at = datetime.fromtimestamp(replayed_tick.tick.end, UTC)
        verdict = _judged(run, replayed_tick, len(passed), finished, finished - finished_before_step, at)
        if verdict.result is Result.UNDECIDED:
            continue
        if verdict.result is Result.PASS:
            passed.append(at)
            finished_before_step, run = finished, replace(run, step_started_at=at)
        if verdict.result is Result.FAIL or len(passed) == len(run.steps):
            break
    return Backtest(tuple(passed), verdict, at)


def _judged(run: Run, tick: ReplayedTick, step: int, finished: int, in_step: int, at: datetime) -> Verdict:
    findings = findings_of_tick(tick, finished, in_step)
    return evaluate(findings, run.confidence, Part.of(replace(run, step=step), at))
