"""A recorded run judged again, tick by tick, by what judged it then. Pure.

The record holds all that a verdict is reached on, so this gives the same numbers, and shows how they came about. Of a
query of the user's own it has what the last evaluation said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sluice_operator.analysis.decision import Stage
from sluice_operator.analysis.evaluation import query_results
from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.analysis.run_evidence import Findings, RunEvidence
from sluice_operator.analysis.thresholds import Thresholds, averaged
from sluice_operator.analysis.verdict import VERDICT_VERSION, judge
from sluice_operator.analysis.wording import CRASHING
from sluice_operator.api.status import METRICS_UNAVAILABLE, Run, Verdict
from sluice_operator.counting.ticks import Tick
from sluice_operator.evalues.chain import Pods
from sluice_operator.records.run_record import RunRecord, baseline_of, evidence_of, ticks_of

_SAME = 1e-9  # by which e-values may differ: another machine adds in another order


@dataclass(frozen=True, slots=True)
class ReplayedTick:
    """What was known when a tick was closed. Log e-values; those of families are averages over their objectives."""

    tick: Tick
    weight: int | None  # seen live at the end of the tick; None while it changes, 100 once the canary serves alone
    step: int
    objectives: tuple[Finding, ...]
    comparison: float
    limits: float
    silent: float
    watch: float

    @property
    def unpaired(self) -> float:
        """Of what is not compared with stable at the same time: a step's silence, or the watch."""
        return max(self.silent, self.watch)

    def failing(self, thresholds: Thresholds) -> bool:
        """Whether a family says that the canary fails."""
        paired = self.comparison >= thresholds.comparison or self.limits >= thresholds.limits
        return paired or self.unpaired >= thresholds.unpaired

    def passed(self, thresholds: Thresholds) -> tuple[bool, ...]:
        """By objective, whether the step's margin is ruled out."""
        return tuple(finding.non_inferior[self.step] >= thresholds.non_inferior for finding in self.objectives)


@dataclass(frozen=True, slots=True)
class Replay:
    """A run judged again: its ticks, the thresholds that hold in all of them, and the verdict at its end."""

    record: RunRecord
    thresholds: Thresholds
    ticks: tuple[ReplayedTick, ...]
    verdict: Verdict
    evidence: Mapping[str, Sequence[float]]  # as the record has it

    @property
    def incomparable(self) -> str:
        """Why the verdict need not be the recorded one; empty if it must."""
        if self.record.dropped_ticks:
            return f"the record lacks the first {self.record.dropped_ticks} ticks of the run"
        if self.record.verdict_version != VERDICT_VERSION:
            version = f"the rules of version {self.record.verdict_version}"
            return f"it was reached by {version}, this program has version {VERDICT_VERSION}"
        if self.record.last_evaluation.verdict.reason == CRASHING and not self.record.last_evaluation.crashes:
            return "how often containers ended was not known any more when the record was written"
        if self.record.last_evaluation.verdict.reason == METRICS_UNAVAILABLE:
            return f"the last evaluation saw no metrics: {self.record.last_evaluation.verdict.message}"
        return ""

    def differences(self) -> Iterator[str]:
        """Where the verdict is another one than was recorded; nothing where the two cannot be compared."""
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
    """The run of a record, judged again."""
    run, last = record.run, record.last_evaluation
    evidence = RunEvidence(run.judged, len(run.steps), baseline_of(record), Pods(*record.pods), record.tick_seconds)
    stage = Stage.of(run, last.at)
    ticks = tuple(_replayed_ticks(record, evidence))
    counts = evidence.findings(run, last.at.timestamp(), record.overdue_after)
    thresholds = Thresholds.of(counts.without_dry_runs().objectives, run.confidence, stage.steps)
    findings = replace(counts, queries=query_results(run.objectives, last.verdict))
    verdict = judge(findings, run.confidence, stage, last.crashes)
    return Replay(record, thresholds, ticks, verdict, evidence_of(evidence))


def _fields(verdict: Verdict) -> dict[str, str]:
    """All that a verdict says, by what it is about."""
    fields = {field: str(getattr(verdict, field)) for field in verdict.__struct_fields__ if field != "objectives"}
    for objective in verdict.objectives:
        names = (field for field in objective.__struct_fields__ if field != "name")
        fields |= {f"{objective.name}, {field}": str(getattr(objective, field)) for field in names}
    return fields


def counted(tick: ReplayedTick, finished: int, in_step: int) -> Findings:
    """All that a verdict on a tick needs; silence and requests that hang are left out."""
    return Findings(tick.objectives, finished=finished, in_step=in_step)


def _replayed_ticks(record: RunRecord, evidence: RunEvidence) -> Iterator[ReplayedTick]:
    run = record.run
    for tick in ticks_of(record):
        evidence.update(tick, run)
        found = evidence.objective_findings
        acting = [finding for finding in found if not finding.objective.dry_run]
        step = _step(run, tick.end)
        yield ReplayedTick(
            tick,
            _weight(record, tick.end),
            step,
            found,
            comparison=_averaged(acting, Family.STABLE),
            limits=_averaged(acting, Family.LIMIT),
            silent=evidence.silent(run.steps[step].weight),
            watch=_averaged(acting, Family.BASELINE),
        )


def _averaged(findings: Sequence[Finding], family: Family) -> float:
    return averaged([finding.against(family) for finding in findings])


def _weight(record: RunRecord, moment: float) -> int | None:
    run = record.run
    for live in run.live_weights:
        if live.since.timestamp() <= moment and (live.until is None or moment <= live.until.timestamp()):
            return live.weight
    return 100 if run.promoted_at is not None and run.promoted_at.timestamp() <= moment else None


def _step(run: Run, moment: float) -> int:
    """The step whose weight was seen live last; the first one before any was."""
    index = {step.weight: number for number, step in enumerate(run.steps)}
    seen = [live.weight for live in run.live_weights if live.since.timestamp() <= moment]
    return index.get(seen[-1], run.step) if seen else 0
