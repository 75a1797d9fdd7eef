"""What is known of one objective in a run: the counts, and the evidence that follows from them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from sluice_operator.analysis import criteria
from sluice_operator.api.spec import Objective
from sluice_operator.counting.ticks import Tick
from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import over_limit_and_worse
from sluice_operator.evalues.objective import ObjectiveBaseline, ObjectiveEProcesses

Counted = tuple[int, int]  # (bad, all that were counted)


class Family(Enum):
    """What a canary is compared with. Each family of evidence has its part of the error budget."""

    STABLE = auto()  # at the same time
    LIMIT = auto()  # the objective's own, and stable must do better at the same time
    BASELINE = auto()  # stable's past, in the watch: all requests go to the canary


@dataclass(frozen=True, slots=True)
class WorstComparison:
    """The comparison with the strongest evidence. `bound`: the latency in seconds; None for other objectives."""

    bound: float | None
    canary: Counted
    stable: Counted


@dataclass(frozen=True, slots=True)
class WatchFinding:
    """What the canary did in the watch. `worse`: log e-value against "its share of bad requests is at most `limit`"."""

    canary: Counted
    limit: float  # what stable's past allows: its share, and the margin
    worse: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one objective. Evidence is a log e-value, or None where the objective does not ask for it."""

    objective: Objective
    canary: Counted
    stable: Counted
    worst: WorstComparison | None
    worse: float | None  # against "no worse than stable"
    over_limit: float | None  # against "the canary keeps the limit"
    worse_now: float  # against "no worse than stable at the same time"
    watch: WatchFinding | None  # None before the watch
    stable_worse: float | None  # against "stable is as its past says"
    no_burst_probability: float  # chance that no pod burst in the run so far, according to stable's past
    non_inferior: tuple[float, ...]  # by step, against "worse than the step's margin"

    def in_favour(self, step: int) -> float:
        """The log e-value against "worse than the margin of `step`"; in a run without steps 0, which is no evidence."""
        return self.non_inferior[step] if self.non_inferior else 0.0

    def against(self, family: Family) -> float | None:
        """The log e-value of a family. For a limit both must be shown: it is broken, and stable does better."""
        match family:
            case Family.STABLE:
                return self.worse
            case Family.LIMIT:
                return None if self.over_limit is None else float(over_limit_and_worse(self.over_limit, self.worse_now))
            case Family.BASELINE:
                return None if self.watch is None else self.watch.worse


class ObjectiveEvidence:
    """Mutable: counts one objective tick by tick. `bounds`: the latencies (seconds) that are compared."""

    def __init__(
        self,
        objective: Objective,
        steps: int,
        baseline: ObjectiveBaseline,
        bounds: Sequence[float],
        pods: Pods,
        tick_seconds: float,
    ) -> None:
        self.objective = objective
        self.criterion = criteria.criterion(objective, steps)
        self._bounds = tuple(bounds)
        self._processes = ObjectiveEProcesses(self.criterion, baseline, pods, tick_seconds)
        # Totals of (bad, counted). The last axis of each is the run.
        self._judged = np.zeros((2, 2, 1))  # canary and stable
        self._compared = np.zeros((2, 2, baseline.compared.any_start.size, 1))  # canary and stable, by column
        self._watched: Floats | None = None  # the canary in the watch; None before it

    def update(self, tick: Tick, *, proven: bool, watched: bool) -> None:
        """Add the next tick. It counts in the canary's favour only if the weight was `proven` before it began.

        `watched`: the tick is in the watch, when all requests are meant for the canary.
        """
        canary, stable = (criteria.counts(self.objective, self._bounds, tally) for tally in (tick.canary, tick.stable))
        self._processes.update(canary, stable, proven=proven)
        self._judged += _stacked(canary.judged, stable.judged)
        self._compared += _stacked(canary.compared, stable.compared)
        if watched:
            self._processes.update_watch(canary)
            before = 0.0 if self._watched is None else self._watched
            self._watched = before + np.array([canary.judged.bad, canary.judged.requests])

    @property
    def judged(self) -> tuple[Counted, Counted]:
        """What was counted of the canary, and of stable."""
        return _shares(self._judged[..., 0])

    def finding(self) -> Finding:
        """What is known after the ticks so far."""
        processes, criterion = self._processes, self.criterion
        stable_worse = processes.log_stable_worse
        return Finding(
            self.objective,
            *self.judged,
            worst=self._worst() if criterion.compared else None,
            worse=single(processes.log_worse) if criterion.compared else None,
            over_limit=None if criterion.limit is None else single(processes.log_over_limit),
            worse_now=single(processes.log_worse_now),
            watch=self._watch(),
            stable_worse=None if stable_worse is None else single(stable_worse),
            no_burst_probability=processes.no_burst_probability,
            non_inferior=tuple(single(processes.log_non_inferior(step)) for step in range(len(criterion.margins))),
        )

    def _watch(self) -> WatchFinding | None:
        if self._watched is None:
            return None
        bad, counted = self._watched[:, 0]
        limit = single(self._processes.watch_limit)
        return WatchFinding((int(bad), int(counted)), limit, single(self._processes.log_worse_in_watch))

    def _worst(self) -> WorstComparison:
        column = int(single(self._processes.worst_column))
        bound = None if self.objective.latency is None else self._bounds[column]
        return WorstComparison(bound, *_shares(self._compared[..., column, 0]))


def single(values: Floats) -> float:
    """The value of the only run. Before the first tick, some values have no axis of runs yet."""
    return float(np.squeeze(values))


def _stacked(canary: Counts, stable: Counts) -> Floats:
    """Shape (canary and stable, (bad, counted), ...)."""
    return np.array([[counts.bad, counts.requests] for counts in (canary, stable)])


def _shares(totals: Floats) -> tuple[Counted, Counted]:
    """From shape (canary and stable, (bad, counted))."""
    canary, stable = ((int(bad), int(counted)) for bad, counted in totals)
    return canary, stable
