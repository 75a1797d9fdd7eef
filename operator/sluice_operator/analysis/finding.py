"""What is known of one objective in a run: the shares that were counted, and the evidence they amount to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sluice_operator.analysis import criteria
from sluice_operator.api.spec import Objective
from sluice_operator.counting.ticks import Tick
from sluice_operator.evalues.arm import Arm, Floats
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.objective import Known, ObjectiveEvidence

Share = tuple[int, int]  # (bad, counted)


@dataclass(frozen=True, slots=True)
class Worst:
    """The comparison that shows most. `bound`: of latency, in seconds; None where no latency is compared."""

    bound: float | None
    canary: Share
    stable: Share


@dataclass(frozen=True, slots=True)
class Watched:
    """What the canary did alone. `worse`: log e-value against "not worse than stable was, by the margin of `most`"."""

    canary: Share
    most: float  # share of bad requests
    worse: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One objective. Log e-values, None where the objective does not ask for them."""

    objective: Objective
    canary: Share
    stable: Share
    worst: Worst | None
    worse: float | None  # against "no worse than stable"
    beyond: float | None  # against "the canary keeps the limit"
    beside: float  # against "no worse than stable at the same time"
    watched: Watched | None  # None until the canary serves alone
    stable_unusual: float | None  # against "stable is as its record says"
    calm: float  # the chance that nobody burst in the run so far, by what is known of stable
    cleared: tuple[float, ...]  # by step, against "worse than the step's margin"


class ObjectiveTrial:
    """Mutable: lets ticks speak about one objective. `bounds`: the latencies (seconds) that are compared."""

    def __init__(
        self,
        objective: Objective,
        steps: int,
        known: Known,
        bounds: Sequence[float],
        pods: Pods,
        tick_seconds: float,
    ) -> None:
        self.objective = objective
        self._bounds = tuple(bounds)
        self._steps = steps
        self._evidence = ObjectiveEvidence(criteria.criterion(objective, steps), known, pods, tick_seconds)
        self._judged = np.zeros((2, 2, 1))  # arm, (bad, counted), run
        self._alone: Floats | None = None  # (bad, counted), run; None until the canary is watched
        self._compared = np.zeros((2, 2, known.compared.any_start.size, 1))

    def observe(self, tick: Tick, *, proven: bool, watched: bool) -> None:
        """The next tick. Only from when the weight is `proven` does it count in the canary's favour.

        `watched`: all requests are meant for the canary by now.
        """
        canary, stable = (criteria.counts(self.objective, self._bounds, arm) for arm in (tick.canary, tick.stable))
        self._evidence.observe(canary, stable, proven=proven)
        self._judged += _stacked(canary.judged, stable.judged)
        self._compared += _stacked(canary.compared, stable.compared)
        if watched:
            self._evidence.watch(canary)
            known = 0.0 if self._alone is None else self._alone
            self._alone = known + np.array([canary.judged.bad, canary.judged.requests])

    @property
    def judged(self) -> tuple[Share, Share]:
        """What was counted of the canary, and of stable."""
        return _shares(self._judged[..., 0])

    def finding(self) -> Finding:
        """What is known now."""
        evidence, compared = self._evidence, criteria.is_compared(self.objective)
        limited = criteria.limit(self.objective) is not None
        return Finding(
            self.objective,
            *self.judged,
            worst=self._worst() if compared else None,
            worse=alone(evidence.log_worse) if compared else None,
            beyond=alone(evidence.log_beyond) if limited else None,
            beside=alone(evidence.log_beside),
            watched=self._watched(),
            stable_unusual=None if (unusual := evidence.log_stable_unusual) is None else alone(unusual),
            calm=evidence.calm,
            cleared=tuple(alone(evidence.log_cleared(step)) for step in range(self._steps)),
        )

    def _watched(self) -> Watched | None:
        if self._alone is None:
            return None
        bad, counted = self._alone[:, 0]
        most = alone(self._evidence.watched_share)
        return Watched((int(bad), int(counted)), most, alone(self._evidence.log_watched))

    def _worst(self) -> Worst:
        column = int(alone(self._evidence.worst_column))
        bound = None if self.objective.latency is None else self._bounds[column]
        return Worst(bound, *_shares(self._compared[..., column, 0]))


def alone(values: Floats) -> float:
    """Of the one run that there is; before its first tick some have no axis of runs."""
    return float(np.squeeze(values))


def _stacked(canary: Arm, stable: Arm) -> Floats:
    return np.array([[arm.bad, arm.requests] for arm in (canary, stable)])


def _shares(counted: Floats) -> tuple[Share, Share]:
    """Of shape (arm, (bad, counted))."""
    canary, stable = ((int(bad), int(requests)) for bad, requests in counted)
    return canary, stable
