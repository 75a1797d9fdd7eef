"""The operator's own evidence for a batch of runs that share a baseline: its e-processes, margins and thresholds.

The parts that turn counters into ticks are left out. What the operator decides for one run is decided here for many.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from sluice_operator.analysis import baseline as baselines
from sluice_operator.analysis import criteria
from sluice_operator.analysis.default_objectives import default_objectives
from sluice_operator.analysis.finding import ObjectiveEvidence
from sluice_operator.analysis.thresholds import Thresholds
from sluice_operator.api.quantities import decode
from sluice_operator.api.spec import Confidence, Judge, Objective
from sluice_operator.evalues import budget
from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import over_limit_and_worse
from sluice_operator.evalues.objective import ObjectiveCounts, ObjectiveEProcesses
from sluice_operator.evalues.silence import Silence
from tests.simulation.runner import Bools
from tests.simulation.world import BOUNDS, Answers, Random, World, baseline_answers

_BIN_SECONDS = 15.0
_RECENT_SECONDS = 600.0  # the end of the baseline, from which the latency bounds are chosen


def _objectives(errors: dict[str, str], latency: dict[str, str], accuracy: dict[str, str]) -> tuple[Objective, ...]:
    spec = [
        {"name": "errors", "errorRate": {"max": "0.1%", **errors}},
        {"name": "latency", "latency": {"quantile": "0.95", "max": "200ms", **latency}},
        {"name": "accuracy", "accuracy": {"source": "Feedback", "min": "0.70", **accuracy}},
    ]
    return msgspec.convert(spec, tuple[Objective, ...], dec_hook=decode)


OBJECTIVES = _objectives({"maxRatio": "2"}, {"maxRatio": "1.5"}, {"maxDrop": "0.02"})
LIMITS = _objectives({}, {}, {})  # the same without comparisons
WITH_REFUSALS = (*OBJECTIVES, *default_objectives(OBJECTIVES))  # as the operator judges a run with these objectives


class Evidence:
    """The evidence of many runs, each with `steps` steps."""

    def __init__(
        self, world: World, runs: int, steps: int, random: Random, objectives: Sequence[Objective] = OBJECTIVES
    ) -> None:
        baseline = baseline_answers(world, _BIN_SECONDS, random)
        bounds = baselines.comparison_bounds(objectives, _recent(baseline))
        replicas = max(world.pods)
        pods = Pods(replicas, replicas)
        self._columns = [_index(bound) for bound in bounds]
        counted = {objective.name: self._counts(objective, baseline) for objective in objectives}
        learned = baselines.from_counts(counted, _BIN_SECONDS)
        self._objectives = [
            (
                objective,
                ObjectiveEProcesses(criteria.criterion(objective, steps), learned[objective.name], pods, world.tick),
            )
            for objective in objectives
        ]
        self._silence = [Silence() for _ in range(steps)]  # by step
        self._runs = np.arange(runs)
        findings = tuple(
            ObjectiveEvidence(objective, steps, learned[objective.name], bounds, pods, world.tick).finding()
            for objective in objectives
        )
        self._thresholds = Thresholds.of(findings, Confidence(), steps)

    def update(self, canary: Answers, stable: Answers) -> None:
        """The next tick."""
        for objective, processes in self._objectives:
            processes.update(self._counts(objective, canary), self._counts(objective, stable), proven=True)

    def update_silence(self, step: Floats, weight: Floats, canary: Answers, stable: Answers) -> None:
        """The next tick: each run is in its `step` at its `weight`, and its requests count only for this step."""
        for index, silence in enumerate(self._silence):
            in_step = step == index
            silence.update(weight, in_step * canary.requests, in_step * stable.requests)

    def update_watch(self, canary: Answers) -> None:
        """The next tick of the watch."""
        for objective, processes in self._objectives:
            processes.update_watch(self._counts(objective, canary))

    def failed(self) -> Bools:
        """Which runs the objectives fail."""
        objectives, thresholds = [processes for _, processes in self._objectives], self._thresholds
        compared = [processes.log_worse for processes in objectives if processes.criterion.compared]
        limited = [
            over_limit_and_worse(processes.log_over_limit, processes.log_worse_now)
            for processes in objectives
            if processes.criterion.limit is not None
        ]
        watched = [processes.log_worse_in_watch for processes in objectives]
        families = (compared, thresholds.comparison), (limited, thresholds.limits), (watched, thresholds.unpaired)
        reached = (budget.averaged(logs) >= threshold for logs, threshold in families if logs)
        return np.asarray(np.any(np.broadcast_arrays(*reached), axis=0))

    def silent(self, step: Floats) -> Bools:
        """Which canaries do not finish the requests that they get at their step."""
        logs = np.stack([np.broadcast_to(silence.log_evalue, self._runs.shape) for silence in self._silence])
        return np.asarray(logs[step.astype(int), self._runs] >= self._thresholds.unpaired)

    def non_inferior(self, step: int) -> Bools:
        """In which runs all margins that `step` needs are ruled out."""
        last = step + 1 == len(self._silence)
        needed = [
            processes for objective, processes in self._objectives if objective.needed is Judge.EVERY_STEP or last
        ]
        return np.asarray(
            np.all([processes.log_non_inferior(step) >= self._thresholds.non_inferior for processes in needed], axis=0)
        )

    def _counts(self, objective: Objective, answers: Answers) -> ObjectiveCounts:
        if objective.latency is not None:
            limit = criteria.bound_of(objective)
            assert limit is not None
            return ObjectiveCounts(answers.latency_counts(_index(limit)), answers.latency_counts(self._columns))
        if objective.refusals is not None:
            judged = answers.refusal_counts()
        else:
            judged = answers.error_counts() if objective.error_rate is not None else answers.label_counts()
        return ObjectiveCounts(judged, Counts(judged.requests[None], judged.bad[None]))


def _index(bound: float) -> int:
    """The index of a bound of the histogram."""
    return BOUNDS.index(bound)


def _recent(baseline: Answers) -> dict[float, float]:
    """The requests within each bound, at the end of the baseline."""
    bins = slice(-int(_RECENT_SECONDS / _BIN_SECONDS), None)
    if baseline.requests[bins].sum() < 1000:
        bins = slice(-int(baselines.RECENT_SECONDS / _BIN_SECONDS), None)
    requests = float(baseline.requests[bins].sum())
    slower = baseline.slower[:, bins].sum(1)
    within = {bound: requests - float(over_bound) for bound, over_bound in zip(BOUNDS, slower, strict=True)}
    return {**within, np.inf: requests}
