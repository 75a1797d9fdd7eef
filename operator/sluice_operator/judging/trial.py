"""The evidence of one run, tick by tick: what it counts, and how much that says about each objective. Pure.

The same ticks give the same evidence, whenever they come: a restarted operator reads the run's samples again and knows
what the one before it knew.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from sluice_operator.evalues.arm import Arm, Floats
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.objective import Margin, ObjectiveEvidence
from sluice_operator.evalues.silence import Silence
from sluice_operator.judging import criteria, forecast
from sluice_operator.judging.forecast import Outlook
from sluice_operator.judging.record import Record
from sluice_operator.judging.ticks import Tick
from sluice_operator.spec import Judge, Objective, WhenNoLabels
from sluice_operator.status import ObjectiveVerdict, Run

_RECENT_TICKS = 60  # that tell how many requests there are
_ENOUGH_REQUESTS = 100  # to tell what to expect


@dataclass(frozen=True, slots=True)
class Finding:
    """One objective. Shares as (bad, counted); log e-values, None where the objective does not ask for them."""

    objective: Objective
    canary: tuple[int, int]
    stable: tuple[int, int]
    worse: float | None  # against "no worse than stable"
    beyond: float | None  # against "the canary keeps the limit"
    stable_inside: float | None  # against "stable does not keep the limit"
    cleared: tuple[float, ...]  # by step, against "worse than the step's margin"


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a verdict is reached on. Requests are those that the canary finished."""

    objectives: tuple[Finding, ...] = ()
    silent: float = 0.0  # log e-value of the step's weight, against "the canary finishes what it is sent"
    finished: int = 0
    in_step: int = 0
    answered: int = 0  # at the step's weight, while both arms were seen
    expected: int = 0  # the same of both arms
    overdue: int = 0  # canary requests that began long enough ago to be finished, and are not
    outlook: Outlook | None = None
    queries: tuple[tuple[Objective, ObjectiveVerdict], ...] = ()  # they have a rule of their own

    def acting(self) -> "Findings":
        """Without what is a dry run: shown, and neither needed nor a reason to fail."""
        return replace(
            self,
            objectives=tuple(one for one in self.objectives if not one.objective.dry_run),
            queries=tuple(one for one in self.queries if not one[0].dry_run),
        )


@dataclass
class Trial:
    """Mutable: `observe` the ticks of a run in their order, ask for `findings` at any time."""

    objectives: Sequence[Objective]
    steps: int
    record: Record
    pods: Pods
    tick_seconds: float
    ticks: list[Tick] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._evidence = {
            one.name: ObjectiveEvidence(
                criteria.criterion(one, self.steps), self.record.known[one.name], self.pods, self.tick_seconds
            )
            for one in self.objectives
        }
        self._canary = {one.name: (0, 0) for one in self.objectives}
        self._stable = {one.name: (0, 0) for one in self.objectives}
        self._answered: dict[int, _Answered] = defaultdict(_Answered)

    def observe(self, tick: Tick, run: Run) -> None:
        """The next tick of `run`."""
        self.ticks.append(tick)
        proven = run.proven_at is not None and tick.start >= run.proven_at.timestamp()
        for one in self.objectives:
            canary, stable = (criteria.counts(one, self.record.bounds, arm) for arm in (tick.canary, tick.stable))
            self._evidence[one.name].observe(canary, stable, proven=proven)
            self._canary[one.name] = _added(self._canary[one.name], canary.judged)
            self._stable[one.name] = _added(self._stable[one.name], stable.judged)
        weight = self._weight_throughout(tick, run)
        if tick.both_seen and weight is not None:
            self._answered[weight].add(weight, tick)

    def findings(self, run: Run, now: float, patience: float) -> Findings:
        """What is known. A request that is not finished `patience` seconds after it began hangs."""
        finished = sum(tick.canary.finished for tick in self.ticks)
        begun = sum(tick.canary.started for tick in self.ticks if tick.end <= now - patience)
        answered = self._answered[run.steps[run.step].weight]
        return Findings(
            tuple(self.finding(one) for one in self.objectives),
            silent=answered.log_silent,
            finished=finished,
            in_step=sum(tick.canary.finished for tick in self.ticks if _since(tick, run.step_started_at)),
            answered=answered.canary,
            expected=answered.both,
            overdue=max(0, begun - finished),
            outlook=self.outlook(run),
        )

    def outlook(self, run: Run) -> Outlook | None:
        """What to expect of a canary that is as good as stable; None while there are too few requests to tell."""
        recent, past = self.ticks[-_RECENT_TICKS:], self.record.requests
        requests = sum(tick.canary.finished + tick.stable.finished for tick in self.ticks)
        if past + requests < _ENOUGH_REQUESTS or not recent:
            return None
        rate = sum(tick.canary.finished + tick.stable.finished for tick in recent) / (len(recent) * self.tick_seconds)
        streams = [
            self._stream(one, past + requests)
            for one in self.objectives
            if one.needed is not Judge.AFTER_PROMOTION and one.when_no_labels is not WhenNoLabels.SKIP
        ]
        bad_promotion, deadline = run.confidence.bad_promotion, run.rollout.deadline
        expected = forecast.of_run(streams, run.steps, rate, bad_promotion)
        wider = forecast.provable(streams, run.steps, rate, bad_promotion, deadline.total_seconds())
        return Outlook(rate, expected, deadline, wider)

    def _stream(self, objective: Objective, requests: int) -> forecast.Stream:
        known, (bad, counted) = self.record.known[objective.name], self._stable[objective.name]
        of_canary = self._canary[objective.name][1]
        bad, counted = bad + int(known.bad), counted + int(known.requests)
        margins = criteria.criterion(objective, self.steps).margins
        if objective.needed is Judge.BEFORE_PROMOTION:
            margins = (*(Margin() for _ in margins[:-1]), margins[-1])
        return forecast.Stream(
            objective.name, margins, bad / counted if counted else 0.0, (counted + of_canary) / requests
        )

    def _weight_throughout(self, tick: Tick, run: Run) -> int | None:
        """The weight that was live in all of the tick. Its growth reaches back to the scrape before it."""
        for one in run.live:
            ended = one.until is not None and one.until.timestamp() < tick.end
            if _since(tick, one.since, self.tick_seconds) and not ended:
                return one.weight
        return None

    def silent(self, weight: int) -> float:
        """Log e-value against "the canary finishes what it is sent at this weight"."""
        return self._answered[weight].log_silent

    def finding(self, objective: Objective) -> Finding:
        """What is known of one objective."""
        evidence = self._evidence[objective.name]
        limited = criteria.limit(objective) is not None
        return Finding(
            objective,
            self._canary[objective.name],
            self._stable[objective.name],
            worse=_alone(evidence.log_worse) if criteria.is_compared(objective) else None,
            beyond=_alone(evidence.log_beyond) if limited else None,
            stable_inside=_alone(evidence.log_stable_inside) if limited else None,
            cleared=tuple(_alone(evidence.log_cleared(step)) for step in range(self.steps)),
        )


@dataclass
class _Answered:
    """What the arms finished at one weight."""

    canary: int = 0
    both: int = 0
    _silence: Silence = field(default_factory=Silence)

    def add(self, weight: int, tick: Tick) -> None:
        canary, stable = tick.canary.finished, tick.stable.finished
        self.canary, self.both = self.canary + canary, self.both + canary + stable
        self._silence.observe(*(np.array([float(one)]) for one in (weight / 100, canary, stable)))

    @property
    def log_silent(self) -> float:
        return _alone(self._silence.log_evalue)


def _alone(logs: Floats) -> float:
    """Of the one run that there is; before its first tick some have no axis of runs."""
    return float(np.squeeze(logs))


def _added(totals: tuple[int, int], arm: Arm) -> tuple[int, int]:
    bad, counted = totals
    return bad + int(arm.bad[0]), counted + int(arm.requests[0])


def _since(tick: Tick, moment: datetime | None, later: float = 0.0) -> bool:
    return moment is not None and tick.start >= moment.timestamp() + later
