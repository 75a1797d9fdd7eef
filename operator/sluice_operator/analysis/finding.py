"""What is known of one objective in a run: the shares that were counted, and the evidence they amount to. Pure."""

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
from sluice_operator.evalues.objective import ObjectiveBaseline, ObjectiveEProcesses

Share = tuple[int, int]  # (bad, counted)


class Family(Enum):
    """What a canary is compared with. Each family of evidence has a part of the error budget."""

    STABLE = auto()  # at the same time
    LIMIT = auto()  # the objective's own, where stable does better at the same time
    BASELINE = auto()  # stable's past, once the canary serves single


@dataclass(frozen=True, slots=True)
class WorstComparison:
    """The comparison that shows most. `bound`: of latency, in seconds; None where no latency is compared."""

    bound: float | None
    canary: Share
    stable: Share


@dataclass(frozen=True, slots=True)
class WatchFinding:
    """What the canary did single. `worse`: log e-value against "its share of bad requests is at most `limit`"."""

    canary: Share
    limit: float  # what stable's past allows: its share, and the margin
    worse: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One objective. Log e-values, None where the objective does not ask for them."""

    objective: Objective
    canary: Share
    stable: Share
    worst: WorstComparison | None
    worse: float | None  # against "no worse than stable"
    over_limit: float | None  # against "the canary keeps the limit"
    worse_now: float  # against "no worse than stable at the same time"
    watch: WatchFinding | None  # None until the canary serves single
    stable_worse: float | None  # against "stable is as its past says"
    no_burst_chance: float  # that no pod burst in the run so far, by what is known of stable
    non_inferior: tuple[float, ...]  # by step, against "worse than the step's margin"

    def against(self, family: Family) -> float | None:
        """The log e-value of one family. For a limit both must hold: it is broken, and stable does better."""
        match family:
            case Family.STABLE:
                return self.worse
            case Family.LIMIT:
                return None if self.over_limit is None else min(self.over_limit, self.worse_now)
            case Family.BASELINE:
                return None if self.watch is None else self.watch.worse


class ObjectiveEvidence:
    """Mutable: counts one objective tick by tick. `bounds`: the latencies (seconds) that are compared."""

    def __init__(
        self,
        objective: Objective,
        steps: int,
        known: ObjectiveBaseline,
        bounds: Sequence[float],
        pods: Pods,
        tick_seconds: float,
    ) -> None:
        self.objective = objective
        self._bounds = tuple(bounds)
        self._steps = steps
        self._processes = ObjectiveEProcesses(criteria.criterion(objective, steps), known, pods, tick_seconds)
        self._judged = np.zeros((2, 2, 1))  # canary and stable, (bad, counted), run
        self._watched: Floats | None = None  # (bad, counted), run; None until the canary is watched
        self._compared = np.zeros((2, 2, known.compared.any_start.size, 1))

    def update(self, tick: Tick, *, proven: bool, watched: bool) -> None:
        """The next tick. Only from when the weight is `proven` does it count in the canary's favour.

        `watched`: all requests are meant for the canary by now.
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
    def judged(self) -> tuple[Share, Share]:
        """What was counted of the canary, and of stable."""
        return _shares(self._judged[..., 0])

    def finding(self) -> Finding:
        """What is known now."""
        processes, compared = self._processes, criteria.is_compared(self.objective)
        stable_worse = processes.log_stable_worse
        return Finding(
            self.objective,
            *self.judged,
            worst=self._worst() if compared else None,
            worse=single(processes.log_worse) if compared else None,
            over_limit=None if criteria.limit(self.objective) is None else single(processes.log_over_limit),
            worse_now=single(processes.log_worse_now),
            watch=self._watch(),
            stable_worse=None if stable_worse is None else single(stable_worse),
            no_burst_chance=processes.no_burst_chance,
            non_inferior=tuple(single(processes.log_non_inferior(step)) for step in range(self._steps)),
        )

    def _watch(self) -> WatchFinding | None:
        if self._watched is None:
            return None
        bad, counted = self._watched[:, 0]
        limit = single(self._processes.watch_limit)
        return WatchFinding((int(bad), int(counted)), limit, single(self._processes.log_worse_than_baseline))

    def _worst(self) -> WorstComparison:
        column = int(single(self._processes.worst_column))
        bound = None if self.objective.latency is None else self._bounds[column]
        return WorstComparison(bound, *_shares(self._compared[..., column, 0]))


def single(values: Floats) -> float:
    """Of the one run that there is; before its first tick some have no axis of runs."""
    return float(np.squeeze(values))


def _stacked(canary: Counts, stable: Counts) -> Floats:
    return np.array([[counts.bad, counts.requests] for counts in (canary, stable)])


def _shares(counted: Floats) -> tuple[Share, Share]:
    """Of shape (canary and stable, (bad, counted))."""
    canary, stable = ((int(bad), int(requests)) for bad, requests in counted)
    return canary, stable
