"""A recorded run judged again, tick by tick, by what judged it then. Pure.

The record holds all that a verdict is reached on, so this gives the same numbers, and shows how they came about. Of a
query of the user's own it has what the last look said.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from sluice_operator.analysis.evaluation import measured
from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.run_evidence import Findings, Trial
from sluice_operator.analysis.verdict import CRASHING, RULES, Bars, Question, averaged, judge, to_blame, watched
from sluice_operator.api.status import METRICS_UNAVAILABLE, Run, Verdict
from sluice_operator.counting.ticks import Tick
from sluice_operator.evalues.chain import Pods
from sluice_operator.records.run_record import RunRecord, evidence_of, past_of, ticks_of

_SAME = 1e-9  # by which e-values may differ: another machine adds in another order


@dataclass(frozen=True, slots=True)
class Moment:
    """What was known when a tick was closed. Log e-values; those of families are averages over their objectives."""

    tick: Tick
    weight: int | None  # seen live at the end of the tick; None while it changes, 100 once the canary serves alone
    step: int
    objectives: tuple[Finding, ...]
    comparison: float
    limits: float
    silent: float
    watched: float

    @property
    def alone(self) -> float:
        """Of what has no other arm beside it: a step's silence, or the watch."""
        return max(self.silent, self.watched)

    def failing(self, bars: Bars) -> bool:
        """Whether a family says that the canary fails."""
        return self.comparison >= bars.comparison or self.limits >= bars.limits or self.alone >= bars.alone

    def passed(self, bars: Bars) -> tuple[bool, ...]:
        """By objective, whether the step's margin is ruled out."""
        return tuple(one.cleared[self.step] >= bars.cleared for one in self.objectives)


@dataclass(frozen=True, slots=True)
class Replay:
    """A run judged again: its moments, the bars that hold in all of them, and the verdict at its end."""

    record: RunRecord
    bars: Bars
    moments: tuple[Moment, ...]
    verdict: Verdict
    evidence: Mapping[str, Sequence[float]]  # as the record has it

    @property
    def incomparable(self) -> str:
        """Why the verdict need not be the recorded one; empty if it must."""
        if self.record.cut:
            return f"the record lacks the first {self.record.cut} ticks of the run"
        if self.record.rules != RULES:
            return f"it was reached by the rules of version {self.record.rules}, this program has version {RULES}"
        if self.record.last.verdict.reason == CRASHING and not self.record.last.crashes:
            return "how often containers ended was not known any more when the record was written"
        if self.record.last.verdict.reason == METRICS_UNAVAILABLE:
            return f"the last look saw no metrics: {self.record.last.verdict.message}"
        return ""

    def differences(self) -> Iterator[str]:
        """Where the verdict is another one than was recorded; nothing where the two cannot be compared."""
        if self.incomparable:
            return
        recorded, replayed = _facts(self.record.last.verdict), _facts(self.verdict)
        for key in recorded | replayed:
            then, now = recorded.get(key, ""), replayed.get(key, "")
            if then != now:
                yield f'{key}: recorded "{then}", replayed "{now}"'
        for name, logs in self.record.evidence.items():
            again = self.evidence.get(name, ())
            if len(again) != len(logs) or not np.allclose(logs, again, rtol=_SAME, atol=_SAME):
                yield f"{name}, log e-values: recorded {logs}, replayed {tuple(again)}"


def replay(record: RunRecord) -> Replay:
    """The run of a record, judged again."""
    run, last = record.run, record.last
    trial = Trial(run.judged, len(run.steps), past_of(record), Pods(*record.pods), record.tick_seconds)
    question = Question.of(run, last.at)
    moments = tuple(_moments(record, trial))
    counts = trial.findings(run, last.at.timestamp(), record.patience)
    bars = Bars.of(counts.acting(), run.confidence, question)
    findings = replace(counts, queries=measured(run.objectives, last.verdict))
    verdict = judge(findings, run.confidence, question, last.crashes)
    return Replay(record, bars, moments, verdict, evidence_of(trial))


def _facts(verdict: Verdict) -> dict[str, str]:
    """All that a verdict says, by what it is about."""
    facts = {field: str(getattr(verdict, field)) for field in verdict.__struct_fields__ if field != "objectives"}
    for one in verdict.objectives:
        facts |= {
            f"{one.name}, {field}": str(getattr(one, field)) for field in one.__struct_fields__ if field != "name"
        }
    return facts


def counted(moment: Moment, finished: int, in_step: int) -> Findings:
    """All that a verdict on a moment needs; silence and requests that hang are left out."""
    return Findings(moment.objectives, finished=finished, in_step=in_step)


def _moments(record: RunRecord, trial: Trial) -> Iterator[Moment]:
    run = record.run
    for tick in ticks_of(record):
        trial.observe(tick, run)
        found = trial.known
        acting = [one for one in found if not one.objective.dry_run]
        step = _step(run, tick.end)
        yield Moment(
            tick,
            _weight(record, tick.end),
            step,
            found,
            comparison=averaged([one.worse for one in acting if one.worse is not None]),
            limits=averaged([blame for one in acting if (blame := to_blame(one)) > -math.inf]),
            silent=trial.silent(run.steps[step].weight),
            watched=averaged([log for one in acting if (log := watched(one)) > -math.inf]),
        )


def _weight(record: RunRecord, moment: float) -> int | None:
    run = record.run
    for one in run.live:
        if one.since.timestamp() <= moment and (one.until is None or moment <= one.until.timestamp()):
            return one.weight
    return 100 if run.promoted_at is not None and run.promoted_at.timestamp() <= moment else None


def _step(run: Run, moment: float) -> int:
    """The step whose weight was seen live last; the first one before any was."""
    index = {step.weight: number for number, step in enumerate(run.steps)}
    seen = [one.weight for one in run.live if one.since <= datetime.fromtimestamp(moment, one.since.tzinfo)]
    return index.get(seen[-1], run.step) if seen else 0
