"""The evidence of one run, tick by tick: the counts, and how much they say about each objective. Pure.

The same ticks give the same evidence, whenever they come. A restarted operator reads the run's samples again, and then
has the same evidence as before.
"""

from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from typing import Self

import numpy as np

from sluice_operator.analysis import forecast
from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.finding import Finding, ObjectiveEvidence, single
from sluice_operator.analysis.forecast import ObjectiveTraffic, Outlook
from sluice_operator.api.run import Run
from sluice_operator.api.spec import Judge, Objective, OnFail, WhenNoLabels
from sluice_operator.api.status import ObjectiveVerdict
from sluice_operator.counting.tick_log import TickLog
from sluice_operator.counting.ticks import Tick
from sluice_operator.evalues import budget
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.objective import Margin
from sluice_operator.evalues.silence import Silence

_SLOW_FACTOR = 2.0  # a request hangs only if it takes so many times as long as nearly all of stable's requests
_RECENT_TICKS = 60  # whose requests give the present rate
_ENOUGH_REQUESTS = 100  # for an outlook


@dataclass(frozen=True, slots=True)
class RunFindings:
    """All that a verdict depends on. Counts are of requests that the canary finished, unless they say otherwise."""

    objectives: tuple[Finding, ...] = ()
    silent: float = 0.0  # log e-value of the step's weight, against "the canary answers what it is sent"
    finished: int = 0
    in_step: int = 0
    answered_at_weight: int = 0  # at the step's weight, in ticks in which both revisions were scraped
    both_answered_at_weight: int = 0  # the same of both revisions
    overdue: int = 0  # canary requests that began long enough ago to be finished, and are not
    outlook: Outlook | None = None
    baseline: Baseline | None = field(default=None, compare=False)  # its arrays have no equality
    queries: tuple[tuple[Objective, ObjectiveVerdict], ...] = ()  # judged by a plain rule

    def of(self, on_fail: OnFail) -> Self:
        """The findings on objectives whose failure does this. A dry run is shown, and never fails a run."""
        return replace(
            self,
            objectives=tuple(finding for finding in self.objectives if finding.objective.does(on_fail)),
            queries=tuple((objective, result) for objective, result in self.queries if objective.does(on_fail)),
        )


@dataclass
class RunEvidence:
    """Mutable: `update` it with the ticks of a run in their order, ask for `findings` at any time."""

    objectives: Sequence[Objective]
    steps: int
    baseline: Baseline
    pods: Pods
    tick_seconds: float
    ticks: TickLog = field(default_factory=TickLog)  # the newest ones
    dropped_ticks: int = 0  # the number of older ones
    least_ticks: int = 10_000  # the newest ticks that always stay; with ticks of 5 seconds: 14 hours

    def __post_init__(self) -> None:
        self._objective_evidence = [
            ObjectiveEvidence(
                objective,
                self.steps,
                self.baseline.by_objective[objective.name],
                self.baseline.bounds,
                self.pods,
                self.tick_seconds,
            )
            for objective in self.objectives
        ]
        self._at_weight: dict[int, _AtWeight] = defaultdict(_AtWeight)
        # Running totals of requests: before the first of `ticks`, and after each of them.
        self._canary_started, self._canary_finished, self._both_finished = (array("q", [0]) for _ in range(3))

    def update(self, tick: Tick, run: Run) -> None:
        """Add the next tick of `run`."""
        if len(self.ticks) >= 2 * self.least_ticks:
            self._drop_oldest(self.least_ticks)
        self.ticks.append(tick)
        self._canary_started.append(self._canary_started[-1] + tick.canary.started)
        self._canary_finished.append(self._canary_finished[-1] + tick.canary.finished)
        self._both_finished.append(self._both_finished[-1] + tick.canary.finished + tick.stable.finished)
        proven = _begins_after(tick, run.first_live_at) and not _is_disturbed(tick, run)
        watched = _begins_after(tick, run.swapped_at or run.promoted_at)
        for evidence in self._objective_evidence:
            evidence.update(tick, proven=proven, watched=watched)
        weight = self._weight_throughout(tick, run)
        if tick.both_scraped and weight is not None:
            self._at_weight[weight].update(weight, tick)

    def _drop_oldest(self, most: int) -> None:
        """They stay in the evidence, but a run that is held for days has more ticks than a run record can store."""
        dropped = self.ticks.drop_oldest(most)
        self.dropped_ticks += dropped
        for totals in (self._canary_started, self._canary_finished, self._both_finished):
            del totals[:dropped]

    def findings(self, run: Run, now: float, overdue_after: float) -> RunFindings:
        """What is known at `now` (unix seconds).

        A request that is not finished `overdue_after` seconds after it began hangs, unless stable's requests take
        nearly as long.
        """
        finished = self._canary_finished[-1]
        started_by = now - max(overdue_after, _SLOW_FACTOR * self.baseline.nearly_all_within)
        started = self._canary_started[self.ticks.ended_by(started_by)]
        at_weight = self._at_weight[run.strategy.weight if run.strategy else 0]
        objectives = self.objective_findings
        return RunFindings(
            objectives,
            silent=at_weight.log_silent,
            finished=finished,
            in_step=finished - self._canary_finished[self._ticks_before(run.step_started_at)],
            answered_at_weight=at_weight.by_canary,
            both_answered_at_weight=at_weight.by_both,
            overdue=max(0, started - finished),
            outlook=self.outlook(run, objectives),
            baseline=self.baseline,
        )

    @property
    def objective_findings(self) -> tuple[Finding, ...]:
        """What the ticks so far say of each objective."""
        return tuple(evidence.finding() for evidence in self._objective_evidence)

    def silent(self, weight: int) -> float:
        """Log e-value against "the canary answers what it is sent at this weight"."""
        return self._at_weight[weight].log_silent

    def outlook(self, run: Run, findings: Sequence[Finding]) -> Outlook | None:
        """What to expect of a canary as good as stable; None without steps, and with too few requests to know.

        `findings`: the objective findings of these ticks.
        """
        ticks, past = min(len(self.ticks), _RECENT_TICKS), self.baseline.requests
        requests = self._both_finished[-1]
        if past + requests < _ENOUGH_REQUESTS or not ticks or not run.steps:
            return None
        rate = (requests - self._both_finished[-1 - ticks]) / (ticks * self.tick_seconds)
        bad_promotion, deadline = run.confidence.bad_promotion, run.rollout.deadline
        passes = budget.log_threshold(bad_promotion, 1.0)
        needed = [
            self._traffic(evidence, past + requests)
            for evidence, finding in zip(self._objective_evidence, findings, strict=True)
            if _is_needed(evidence.objective) and finding.in_favour(len(run.steps) - 1) < passes
        ]
        expected = forecast.of_run(needed, run.steps, rate, bad_promotion)
        wider = forecast.provable(needed, run.steps, rate, bad_promotion, deadline.total_seconds())
        slowest = self.baseline.by_objective.get(expected.slowest)
        return Outlook(rate, expected, deadline, wider, float(slowest.judged.divisor) if slowest else 1.0)

    def _traffic(self, evidence: ObjectiveEvidence, requests: int) -> ObjectiveTraffic:
        """What an objective counts of `requests`, which are those of the past and of the run."""
        objective, past = evidence.objective, self.baseline.by_objective[evidence.objective.name]
        (_, canary_counted), (bad, stable_counted) = evidence.judged
        bad, stable_counted = bad + int(past.bad), stable_counted + int(past.requests)
        margins = evidence.criterion.margins
        if objective.needed is Judge.BEFORE_PROMOTION:
            margins = (*(Margin() for _ in margins[:-1]), margins[-1])
        bad_share = bad / stable_counted if stable_counted else 0.0
        counted = stable_counted + canary_counted if stable_counted else 0  # without stable's nothing is compared
        clumps = counted / float(past.judged.divisor)
        return ObjectiveTraffic(objective.name, margins, bad_share, clumps / requests)

    def _ticks_before(self, moment: datetime | None) -> int:
        """The number of ticks that began before `moment`; all of them if it has not come."""
        if moment is None:
            return len(self.ticks)
        return self.ticks.begun_before(moment.timestamp())

    def _weight_throughout(self, tick: Tick, run: Run) -> int | None:
        """The weight under which all requests of the tick began; None if it is not known.

        The counts of a tick begin with the scrape before it, and a request begins before it is counted.
        """
        for live in run.live_weights:
            ended = live.until is not None and live.until.timestamp() < tick.end
            if not ended and _begins_after(tick, live.since, self.tick_seconds + self.baseline.nearly_all_within):
                return live.weight
        return None


@dataclass
class _AtWeight:
    """Mutable: the requests that were answered at one weight, and the evidence that the canary is silent there.

    All requests count, not only predictions. A gateway that takes turns may send every prediction to one revision and
    every label to the other, if a client sends one after the other.
    """

    by_canary: int = 0
    by_both: int = 0
    _silence: Silence = field(default_factory=Silence)

    def update(self, weight: int, tick: Tick) -> None:
        canary, stable = tick.canary.answered, tick.stable.answered
        self.by_canary += canary
        self.by_both += canary + stable
        self._silence.update(*(np.array([float(value)]) for value in (weight / 100, canary, stable)))

    @property
    def log_silent(self) -> float:
        return single(self._silence.log_evalue)


def _begins_after(tick: Tick, moment: datetime | None, seconds: float = 0.0) -> bool:
    """Whether the tick begins at least `seconds` after `moment`; False if that has not come."""
    return moment is not None and tick.start >= moment.timestamp() + seconds


def _is_disturbed(tick: Tick, run: Run) -> bool:
    """Whether the tick has a moment in which nobody knows which weight was live, because somebody else changed it."""
    for live, following in zip_longest(run.live_weights, run.live_weights[1:]):
        if live.disturbed and live.until is not None and live.until.timestamp() < tick.end:
            proven_again = following.since if following else run.promoted_at
            if proven_again is None or tick.start < proven_again.timestamp():
                return True
    return False


def _is_needed(objective: Objective) -> bool:
    """Whether a promotion waits for the objective."""
    return objective.needed is not Judge.AFTER_PROMOTION and objective.when_no_labels is not WhenNoLabels.SKIP
