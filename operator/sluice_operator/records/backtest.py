"""What a policy would have done in a time that is past: a run that never was, judged on counts that were. Pure.

The weights were not those of the policy's steps, so requests and evidence tell, and silence cannot be judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from sluice_operator.analysis.verdict import Question, judge
from sluice_operator.api.quantities import Number
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Compared, LiveWeight, Outcome, Result, Run, Verdict
from sluice_operator.counting.ticks import Tick
from sluice_operator.records.replay import Moment, Replay, counted
from sluice_operator.rollout import automatic_steps


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """When each step would have been passed, and the verdict `at` the end: a Fail, the last Pass, or what was known."""

    passed: tuple[datetime, ...]
    verdict: Verdict
    at: datetime


@dataclass(frozen=True, slots=True)
class Lately:
    """What a run takes from stable's traffic: requests per second, and what is slow (seconds, by objective)."""

    rate: float
    slow: Mapping[str, Number]


def a_run(spec: Spec, lately: Lately, canary: str, stable: str, since: datetime, until: datetime) -> Run:
    """A run under the terms of `spec` with its weight proven from the start."""
    return Run(
        id=f"{canary}-{int(since.timestamp())}",
        started_at=since,
        traffic=spec.traffic,
        rollout=spec.rollout,
        replicas=spec.server.replicas,
        canary=Compared(revision=canary, model=f"revision {canary}"),
        stable=Compared(revision=stable, model=f"revision {stable}"),
        objectives=spec.objectives,
        confidence=spec.confidence,
        steps=spec.rollout.canary.steps or automatic_steps.automatic(lately.rate),
        slow=dict(lately.slow),
        step_started_at=since,
        traffic_started_at=since,
        proven_at=since,
        outcome=Outcome.WITHDRAWN,
        ended_at=until,
        reason="Rehearsed",
        message="judged afterwards on what Prometheus knows",
    )


def with_share(run: Run, ticks: Sequence[Tick]) -> Run:
    """`run` whose weight is the share of requests that its canary had."""
    canary = sum(tick.canary.finished for tick in ticks)
    both = canary + sum(tick.stable.finished for tick in ticks)
    weight = round(100 * canary / both) if both else 0
    return replace(run, live=(LiveWeight(weight=weight, since=run.started_at),))


def rehearsed(again: Replay) -> Rehearsal:
    """The run's steps taken as its evidence comes; several may be passed in consecutive ticks."""
    run, passed, finished, before = again.record.run, list[datetime](), 0, 0
    verdict, at = again.verdict, again.record.last.at
    for moment in again.moments:
        finished += moment.tick.canary.finished
        at = datetime.fromtimestamp(moment.tick.end, UTC)
        verdict = _judged(run, moment, len(passed), finished, finished - before, at)
        if verdict.result is Result.UNDECIDED:
            continue
        if verdict.result is Result.PASS:
            passed.append(at)
            before, run = finished, replace(run, step_started_at=at)
        if verdict.result is Result.FAIL or len(passed) == len(run.steps):
            break
    return Rehearsal(tuple(passed), verdict, at)


def _judged(run: Run, moment: Moment, step: int, finished: int, in_step: int, at: datetime) -> Verdict:
    findings = counted(moment, finished, in_step)
    return judge(findings, run.confidence, Question.of(replace(run, step=step), at), crashes=0)
