"""The evidence of one run, tick by tick: what it counts, and how much that says about each objective. Pure.

The same ticks give the same evidence, whenever they come: a restarted operator reads the run's samples again and knows
what the one before it knew.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from sluice_operator.analysis import criteria, forecast
from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.finding import Finding, ObjectiveEvidence, single
from sluice_operator.analysis.forecast import Outlook
from sluice_operator.api.spec import Judge, Objective, WhenNoLabels
from sluice_operator.api.status import ObjectiveVerdict, Run
from sluice_operator.counting.ticks import Tick
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.objective import Margin
from sluice_operator.evalues.silence import Silence

_LONG = 2.0  # times what nearly all of stable's requests take
_RECENT_TICKS = 60  # that tell how many requests there are
_ENOUGH_REQUESTS = 100  # to tell what to expect


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a verdict is reached on. Requests are those that the canary finished."""

    objectives: tuple[Finding, ...] = ()
    silent: float = 0.0  # log e-value of the step's weight, against "the canary finishes what it is sent"
    finished: int = 0
    in_step: int = 0
    answered: int = 0  # at the step's weight, while both revisions were seen
    expected: int = 0  # the same of both revisions
    overdue: int = 0  # canary requests that began long enough ago to be finished, and are not
    outlook: Outlook | None = None
    baseline: Baseline | None = field(default=None, compare=False)  # its arrays have no equality
    queries: tuple[tuple[Objective, ObjectiveVerdict], ...] = ()  # they have a rule of their own

    def without_dry_runs(self) -> "Findings":
        """What decides. A dry run is shown, and neither needed nor a reason to fail."""
        return replace(
            self,
            objectives=tuple(finding for finding in self.objectives if not finding.objective.dry_run),
            queries=tuple(result for result in self.queries if not result[0].dry_run),
        )


@dataclass
class RunEvidence:
    """Mutable: `update` it with the ticks of a run in their order, ask for `findings` at any time."""

    objectives: Sequence[Objective]
    steps: int
    baseline: Baseline
    pods: Pods
    tick_seconds: float
    ticks: list[Tick] = field(default_factory=list)  # the newest ones
    forgotten: int = 0  # before them
    keeps: int = 10_000  # at least: 14 hours of 5 seconds

    def __post_init__(self) -> None:
        self._judged = [
            ObjectiveEvidence(
                one,
                self.steps,
                self.baseline.by_objective[one.name],
                self.baseline.bounds,
                self.pods,
                self.tick_seconds,
            )
            for one in self.objectives
        ]
        self._answered: dict[int, _Finished] = defaultdict(_Finished)
        # Requests up to each tick.
        self._started, self._finished, self._both = [0], [0], [0]

    def update(self, tick: Tick, run: Run) -> None:
        """The next tick of `run`."""
        if len(self.ticks) >= 2 * self.keeps:
            self._forget(self.keeps)
        self.ticks.append(tick)
        self._started.append(self._started[-1] + tick.canary.started)
        self._finished.append(self._finished[-1] + tick.canary.finished)
        self._both.append(self._both[-1] + tick.canary.finished + tick.stable.finished)
        proven, watched = _since(tick, run.first_live_at), _since(tick, run.promoted_at)
        for one in self._judged:
            one.update(tick, proven=proven, watched=watched)
        weight = self._weight_throughout(tick, run)
        if tick.both_scraped and weight is not None:
            self._answered[weight].add(weight, tick)

    def _forget(self, ticks: int) -> None:
        """Drop the oldest: they are in the evidence, and a run that is held for days has more than a record keeps."""
        self.forgotten += ticks
        for each in (self.ticks, self._started, self._finished, self._both):
            del each[:ticks]

    def findings(self, run: Run, now: float, patience: float) -> Findings:
        """What is known.

        A request that is not finished `patience` seconds after it began hangs, unless stable's take nearly as long.
        """
        finished = self._finished[-1]
        begun_by = now - max(patience, _LONG * self.baseline.nearly_all_within)
        begun = self._started[bisect_right(self.ticks, begun_by, key=lambda tick: tick.end)]
        answered = self._answered[run.strategy.weight]
        return Findings(
            self.objective_findings,
            silent=answered.log_silent,
            finished=finished,
            in_step=finished - self._finished[self._ticks_before(run.step_started_at)],
            answered=answered.canary,
            expected=answered.both,
            overdue=max(0, begun - finished),
            outlook=self.outlook(run),
            baseline=self.baseline,
        )

    @property
    def objective_findings(self) -> tuple[Finding, ...]:
        """What the ticks so far say of each objective."""
        return tuple(one.finding() for one in self._judged)

    def _ticks_before(self, moment: datetime | None) -> int:
        """Those that began before it: all of them if it has not come."""
        if moment is None:
            return len(self.ticks)
        return bisect_left(self.ticks, moment.timestamp(), key=lambda tick: tick.start)

    def outlook(self, run: Run) -> Outlook | None:
        """What to expect of a canary that is as good as stable; None while there are too few requests to tell."""
        ticks, past = min(len(self.ticks), _RECENT_TICKS), self.baseline.requests
        requests = self._both[-1]
        if past + requests < _ENOUGH_REQUESTS or not ticks:
            return None
        rate = (requests - self._both[-1 - ticks]) / (ticks * self.tick_seconds)
        streams = [
            self._stream(one, past + requests)
            for one in self._judged
            if one.objective.needed is not Judge.AFTER_PROMOTION
            and one.objective.when_no_labels is not WhenNoLabels.SKIP
        ]
        bad_promotion, deadline = run.confidence.bad_promotion, run.rollout.deadline
        expected = forecast.of_run(streams, run.steps, rate, bad_promotion)
        wider = forecast.provable(streams, run.steps, rate, bad_promotion, deadline.total_seconds())
        return Outlook(rate, expected, deadline, wider)

    def _stream(self, one: ObjectiveEvidence, requests: int) -> forecast.Stream:
        objective, known = one.objective, self.baseline.by_objective[one.objective.name]
        (_, of_canary), (bad, of_stable) = one.judged
        bad, stable = bad + int(known.bad), of_stable + int(known.requests)
        margins = criteria.criterion(objective, self.steps).margins
        if objective.needed is Judge.BEFORE_PROMOTION:
            margins = (*(Margin() for _ in margins[:-1]), margins[-1])
        share = bad / stable if stable else 0.0
        return forecast.Stream(objective.name, margins, share, (stable + of_canary) / requests)

    def _weight_throughout(self, tick: Tick, run: Run) -> int | None:
        """The weight that was live in all of the tick, and before it for as long as requests take.

        Its growth reaches back to the scrape before it.
        """
        for one in run.live_weights:
            ended = one.until is not None and one.until.timestamp() < tick.end
            if _since(tick, one.since, self.tick_seconds + self.baseline.nearly_all_within) and not ended:
                return one.weight
        return None

    def silent(self, weight: int) -> float:
        """Log e-value against "the canary finishes what it is sent at this weight"."""
        return self._answered[weight].log_silent


@dataclass
class _Finished:
    """What canary and stable finished at one weight."""

    canary: int = 0
    both: int = 0
    _silence: Silence = field(default_factory=Silence)

    def add(self, weight: int, tick: Tick) -> None:
        canary, stable = tick.canary.finished, tick.stable.finished
        self.canary, self.both = self.canary + canary, self.both + canary + stable
        self._silence.update(*(np.array([float(one)]) for one in (weight / 100, canary, stable)))

    @property
    def log_silent(self) -> float:
        return single(self._silence.log_evalue)


def _since(tick: Tick, moment: datetime | None, later: float = 0.0) -> bool:
    return moment is not None and tick.start >= moment.timestamp() + later
