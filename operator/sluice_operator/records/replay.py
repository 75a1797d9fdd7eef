"""A recorded run judged again, tick by tick, by the same code as in the operator. Pure.

The record has all that a verdict depends on, so a replay gives the same numbers and shows how they came about. Only for
queries of the user's own it has just the results of the last evaluation, without the measurements.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sluice_operator.analysis import wording
from sluice_operator.analysis.evaluation import query_results
from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.analysis.run_evidence import RunEvidence, RunFindings
from sluice_operator.analysis.thresholds import Thresholds, averaged
from sluice_operator.analysis.verdict import VERDICT_VERSION, Part, judge
from sluice_operator.api.observation import Crashes
from sluice_operator.api.run import Run
from sluice_operator.api.spec import OnFail
from sluice_operator.api.status import METRICS_UNAVAILABLE, Verdict
from sluice_operator.counting.ticks import Tick
from sluice_operator.evalues.chain import Pods
from sluice_operator.records.run_record import RunRecord, baseline_of, evidence_of, ticks_of

_SAME = 1e-9  # log e-values may differ by this, because another machine adds in another order


@dataclass(frozen=True, slots=True)
class ReplayedTick:
    """What was known when a tick was closed. The log e-value of a family is the mean over its objectives."""

    tick: Tick
    weight: int | None  # live at the end of the tick; None while it changes, 100 in the watch
    step: int  # from 0
    objectives: tuple[Finding, ...]
    comparison: float
    limits: float
    silent: float
    watch: float

    @property
    def unpaired(self) -> float:
        """The evidence that does not compare with stable at the same time: silence in a step, or the watch."""
        return max(self.silent, self.watch)

    def has_failed(self, thresholds: Thresholds) -> bool:
        """Whether the evidence of a family reached its threshold."""
        compared = self.comparison >= thresholds.comparison or self.limits >= thresholds.limits
        return compared or self.unpaired >= thresholds.unpaired

    def passed(self, thresholds: Thresholds) -> tuple[bool, ...]:
        """For each objective, whether the step's margin is ruled out."""
        return tuple(finding.in_favour(self.step) >= thresholds.non_inferior for finding in self.objectives)


@dataclass(frozen=True, slots=True)
class Replay:
    """A run judged again: its ticks, the thresholds of all of them, and the verdict at its end."""

    record: RunRecord
    thresholds: Thresholds
    ticks: tuple[ReplayedTick, ...]
    verdict: Verdict
    evidence: Mapping[str, Sequence[float]]  # as `RunRecord.evidence`

    @property
    def incomparable(self) -> str:
        """Why the verdict may differ from the recorded one; empty if it must be the same."""
        if self.record.dropped_ticks:
            return f"the record lacks the first {self.record.dropped_ticks} ticks of the run"
        if self.record.verdict_version != VERDICT_VERSION:
            version = f"the rules of version {self.record.verdict_version}"
            return f"it was reached by {version}, this program has version {VERDICT_VERSION}"
        if self.record.last_evaluation.verdict.reason == wording.CRASHING and not self.record.last_evaluation.crashes:
            return "how often containers ended was not known any more when the record was written"
        if self.record.last_evaluation.verdict.reason == METRICS_UNAVAILABLE:
            return f"the last evaluation saw no metrics: {self.record.last_evaluation.verdict.message}"
        return ""

    def differences(self) -> Iterator[str]:
        """How the verdict differs from the recorded one; nothing if the two cannot be compared."""
        if self.incomparable:
            return
        recorded, replayed = _fields(self.record.last_evaluation.verdict), _fields(self.verdict)
        for key in recorded | replayed:
            then, now = recorded.get(key, ""), replayed.get(key, "")
            if then != now:
                yield f'{key}: recorded "{then}", replayed "{now}"'
        for name, logs in self.record.evidence.items():
            again = self.evidence.get(name, ())
            if len(again) != len(logs) or not np.allclose(logs, again, rtol=_SAME, atol=_SAME):
                yield f"{name}, log e-values: recorded {logs}, replayed {tuple(again)}"


def replayed(record: RunRecord) -> Replay:
    """The run of `record`, judged again."""
    run, last = record.run, record.last_evaluation
    evidence = RunEvidence(run.judged, len(run.steps), baseline_of(record), Pods(*record.pods), record.tick_seconds)
    part = Part.of(run, last.at)
    ticks = tuple(_replayed_ticks(record, evidence))
    counted_findings = evidence.findings(run, last.at.timestamp(), record.overdue_after)
    findings = replace(counted_findings, queries=query_results(run.objectives, last.verdict))
    decision = judge(findings, run.confidence, part, Crashes(last.crashes, last.last_crash))
    verdict = wording.verdict(decision, run.confidence)
    return Replay(record, decision.thresholds, ticks, verdict, evidence_of(evidence))


def _fields(verdict: Verdict) -> dict[str, str]:
    """All fields of a verdict as text, by name."""
    fields = {field: str(getattr(verdict, field)) for field in verdict.__struct_fields__ if field != "objectives"}
    for objective in verdict.objectives:
        names = (field for field in objective.__struct_fields__ if field != "name")
        fields |= {f"{objective.name}, {field}": str(getattr(objective, field)) for field in names}
    return fields


def findings_of_tick(tick: ReplayedTick, finished: int, in_step: int) -> RunFindings:
    """What a verdict on a tick depends on, without silence and hanging requests."""
    return RunFindings(tick.objectives, finished=finished, in_step=in_step)


def _replayed_ticks(record: RunRecord, evidence: RunEvidence) -> Iterator[ReplayedTick]:
    run = record.run
    for tick in ticks_of(record):
        evidence.update(tick, run)
        findings = evidence.objective_findings
        acting = [finding for finding in findings if finding.objective.does(OnFail.ROLLBACK)]
        step = _step(run, tick.end)
        yield ReplayedTick(
            tick,
            _weight(record, tick.end),
            step,
            findings,
            comparison=_averaged(acting, Family.STABLE),
            limits=_averaged(acting, Family.LIMIT),
            silent=evidence.silent(run.steps[step].weight) if run.steps else 0.0,
            watch=_averaged(acting, Family.BASELINE),
        )


def _averaged(findings: Sequence[Finding], family: Family) -> float:
    return averaged([finding.against(family) for finding in findings])


def _weight(record: RunRecord, moment: float) -> int | None:
    """The weight that was live at `moment` (unix seconds)."""
    run = record.run
    for live in run.live_weights:
        if live.since.timestamp() <= moment and (live.until is None or moment <= live.until.timestamp()):
            return live.weight
    return 100 if run.promoted_at is not None and run.promoted_at.timestamp() <= moment else None


def _step(run: Run, moment: float) -> int:
    """The step of the newest weight that was seen live up to `moment` (unix seconds); the first step before that."""
    step_of_weight = {step.weight: number for number, step in enumerate(run.steps)}
    weights = [live.weight for live in run.live_weights if live.since.timestamp() <= moment]
    return step_of_weight.get(weights[-1], run.step) if weights else 0
