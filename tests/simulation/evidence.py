"""The operator's own evidence for a batch of runs that share a record: its e-processes, margins, budget and bars.

Only what turns counters into ticks is left out, and what the operator decides for one run is decided here for many.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from sluice_operator.analysis import baseline as baselines
from sluice_operator.analysis import criteria
from sluice_operator.analysis.finding import ObjectiveEvidence
from sluice_operator.analysis.thresholds import Thresholds
from sluice_operator.api.quantities import decode
from sluice_operator.api.spec import Confidence, Judge, Objective
from sluice_operator.evalues import budget
from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.objective import ObjectiveCounts, ObjectiveEProcesses
from sluice_operator.evalues.silence import Silence
from tests.simulation.runner import Bools
from tests.simulation.world import BOUNDS, Answers, Random, World, record

_BIN_SECONDS = 15.0
_RECENT_SECONDS = 600.0  # in which stable shows at which latencies a canary is best compared with it
_SPEC: list[dict[str, Any]] = [
    {"name": "errors", "errorRate": {"max": "0.1%", "maxRatio": "2"}},
    {"name": "latency", "latency": {"quantile": "0.95", "max": "200ms", "maxRatio": "1.5"}},
    {"name": "accuracy", "accuracy": {"source": "Feedback", "min": "0.70", "maxDrop": "0.02"}},
]
OBJECTIVES = msgspec.convert(_SPEC, tuple[Objective, ...], dec_hook=decode)


class Evidence:
    """Of runs with `steps` steps."""

    def __init__(
        self, world: World, runs: int, steps: int, random: Random, objectives: Sequence[Objective] = OBJECTIVES
    ) -> None:
        past = record(world, _BIN_SECONDS, random)
        bounds = baselines.comparison_bounds(objectives, _recent(past))
        replicas = max(world.pods)
        pods = Pods(replicas, replicas)
        self._columns = [_index(one) for one in bounds]
        known = baselines.learned({one.name: self._counts(one, past) for one in objectives}, _BIN_SECONDS)
        self._of = [
            (one, ObjectiveEProcesses(criteria.criterion(one, steps), known[one.name], pods, world.tick))
            for one in objectives
        ]
        self._silent = [Silence() for _ in range(steps)]
        self._runs = np.arange(runs)
        self._bars = Thresholds.of(
            tuple(
                ObjectiveEvidence(one, steps, known[one.name], bounds, pods, world.tick).finding() for one in objectives
            ),
            Confidence(),
            steps,
        )

    def update(self, canary: Answers, stable: Answers) -> None:
        """One tick."""
        for objective, one in self._of:
            one.update(self._counts(objective, canary), self._counts(objective, stable), proven=True)

    def observe_silence(self, step: Floats, weight: Floats, canary: Answers, stable: Answers) -> None:
        """One tick, by run in its `step` at its `weight`: what the arms finished speaks at that step alone."""
        for index, one in enumerate(self._silent):
            here = step == index
            one.update(weight, here * canary.requests, here * stable.requests)

    def update_watch(self, canary: Answers) -> None:
        """One tick in which the canary serves alone."""
        for objective, one in self._of:
            one.update_watch(self._counts(objective, canary))

    def failed(self) -> Bools:
        """Which runs are to be taken back for what the objectives say."""
        of = [one for _, one in self._of]
        return np.asarray(
            (budget.averaged([one.log_worse for one in of]) >= self._bars.comparison)
            | (budget.averaged([one.log_over_limit_and_worse for one in of]) >= self._bars.limits)
            | (budget.averaged([one.log_worse_than_baseline for one in of]) >= self._bars.unpaired)
        )

    def silent(self, step: Floats) -> Bools:
        """Which canaries do not answer what they are sent at their step."""
        logs = np.stack([np.broadcast_to(one.log_evalue, self._runs.shape) for one in self._silent])
        return np.asarray(logs[step.astype(int), self._runs] >= self._bars.unpaired)

    def non_inferior(self, step: int) -> Bools:
        """Where all that a step needs is ruled out."""
        last = step + 1 == len(self._silent)
        needed = [one for objective, one in self._of if objective.needed is Judge.EVERY_STEP or last]
        return np.asarray(np.all([one.log_non_inferior(step) >= self._bars.non_inferior for one in needed], axis=0))

    def _counts(self, objective: Objective, answers: Answers) -> ObjectiveCounts:
        if objective.latency is not None:
            limit = criteria.bound_of(objective)
            assert limit is not None
            return ObjectiveCounts(answers.over_arm(_index(limit)), answers.over_arm(self._columns))
        arm = answers.errors_arm() if objective.error_rate is not None else answers.wrong_arm()
        return ObjectiveCounts(arm, Counts(arm.requests[None], arm.bad[None]))


def _index(bound: float) -> int:
    """Of one of the histogram's bounds."""
    return BOUNDS.index(bound)


def _recent(past: Answers) -> dict[float, float]:
    """Requests within each bound, at the end of the record."""
    bins = slice(-int(_RECENT_SECONDS / _BIN_SECONDS), None)
    if past.requests[bins].sum() < 1000:
        bins = slice(-int(baselines.RECENT_SECONDS / _BIN_SECONDS), None)
    requests = float(past.requests[bins].sum())
    within = {bound: requests - float(over) for bound, over in zip(BOUNDS, past.over[:, bins].sum(1), strict=True)}
    return {**within, np.inf: requests}
