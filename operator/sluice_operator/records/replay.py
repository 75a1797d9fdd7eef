"""A recorded run judged again, tick by tick, by what judged it then. Pure.

The record holds all that a verdict is reached on, so this gives the same numbers, and shows how they came about. Of a
query of the user's own it has what the last look said.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sluice_operator.evalues.chain import Pods
from sluice_operator.judging.finding import Finding
from sluice_operator.judging.look import measured
from sluice_operator.judging.ticks import Tick
from sluice_operator.judging.trial import Findings, Trial
from sluice_operator.judging.verdict import RULES, Bars, Question, averaged, judge, to_blame
from sluice_operator.records.runrecord import RunRecord, past_of, ticks_of
from sluice_operator.status import METRICS_UNAVAILABLE, Run, Verdict


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

    def failing(self, bars: Bars) -> bool:
        """Whether a family says that the canary fails."""
        return self.comparison >= bars.comparison or self.limits >= bars.limits or self.silent >= bars.silence

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

    @property
    def incomparable(self) -> str:
        """Why the verdict need not be the recorded one; empty if it must."""
        if self.record.cut:
            return f"the record lacks the first {self.record.cut} ticks of the run"
        if self.record.rules != RULES:
            return f"it was reached by the rules of version {self.record.rules}, this program has version {RULES}"
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


def replay(record: RunRecord) -> Replay:
    """The run of a record, judged again."""
    run, last = record.run, record.last
    trial = Trial(run.judged, len(run.steps), past_of(record), Pods(*record.pods), record.tick_seconds)
    question = Question.of(run, last.watching, last.at)
    bars = Bars.of(trial.findings(run, record.began, record.patience).acting(), run.confidence, question)
    moments = tuple(_moments(record, trial))
    counts = trial.findings(run, last.at.timestamp(), record.patience)
    findings = replace(counts, queries=measured(run.objectives, last.verdict))
    return Replay(record, bars, moments, judge(findings, run.confidence, question, last.crashes))


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
        )


def _weight(record: RunRecord, moment: float) -> int | None:
    run = record.run
    for one in run.live:
        if one.since.timestamp() <= moment and (one.until is None or moment <= one.until.timestamp()):
            return one.weight
    swapped = record.last.watching and bool(run.live) and run.live[-1].since.timestamp() <= moment
    return 100 if swapped else None


def _step(run: Run, moment: float) -> int:
    """The step whose weight was seen live last; the first one before any was."""
    index = {step.weight: number for number, step in enumerate(run.steps)}
    seen = [one.weight for one in run.live if one.since <= datetime.fromtimestamp(moment, one.since.tzinfo)]
    return index.get(seen[-1], run.step) if seen else 0
