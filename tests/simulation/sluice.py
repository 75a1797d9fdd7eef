"""Sluice's policies: how the weight rises and what ends a run, by the operator's own evidence and thresholds."""

from collections.abc import Sequence

import numpy as np

from sluice_operator.api.spec import Objective
from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.rollout.automatic_steps import steps_for
from tests.simulation.evidence import OBJECTIVES, Evidence
from tests.simulation.runner import Bools, Verdicts, ramp, step_at
from tests.simulation.world import Answers, Random, World

Steps = Sequence[tuple[float, float]]  # weight (0 to 1), minutes

RAMP: Steps = tuple((share, 6.0) for share in (0.1, 0.2, 0.3, 0.4, 0.5))
HEAVY: Steps = ((0.8, 30.0),)
BEFORE_WATCH: Steps = tuple((share, 2.0) for share, _ in RAMP)
WATCH_MINUTES = 15.0


class Timed:
    """Steps by the clock. A canary that is not rolled back is promoted after the last step (`PromoteIfClean`).

    `watch`: minutes of the watch after the promotion.
    """

    def __init__(self, steps: Steps, watch: float, world: World, runs: int, random: Random) -> None:
        self._evidence = Evidence(world, runs, len(steps), random)
        self._steps, self._runs, self._tick, self._seconds = steps, runs, world.tick, 0.0
        self._watch_starts = 60 * sum(minutes for _, minutes in steps)
        self._ends = self._watch_starts + 60 * watch

    @property
    def _watching(self) -> bool:
        return self._seconds >= self._watch_starts

    def weights(self) -> Floats:
        return np.full(self._runs, 1.0 if self._watching else ramp(self._steps, self._seconds))

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        failed = self._failed_in_watch(canary, stable) if self._watching else self._failed_in_step(canary, stable)
        self._seconds += self._tick
        return Verdicts(failed, np.full(self._runs, self._seconds >= self._ends))

    def _failed_in_step(self, canary: Answers, stable: Answers) -> Bools:
        step = np.full(self._runs, float(step_at(self._steps, self._seconds)))
        self._evidence.update(canary, stable)
        self._evidence.update_silence(step, self.weights(), canary, stable)
        return self._evidence.failed() | self._evidence.silent(step)

    def _failed_in_watch(self, canary: Answers, stable: Answers) -> Bools:
        self._evidence.update(canary, stable)
        self._evidence.update_watch(canary)
        return self._evidence.failed()


class Automatic:
    """The operator's automatic steps for the rate. A run's next step begins when this step's margins are ruled out."""

    def __init__(self, world: World, runs: int, random: Random, objectives: Sequence[Objective] = OBJECTIVES) -> None:
        steps = steps_for(world.rate)
        self._weights = np.array([step.weight / 100 for step in steps])
        self._evidence = Evidence(world, runs, len(steps), random, objectives)
        self._min_requests = steps[0].min_requests  # the same for all steps, as is the time
        self._min_seconds = steps[0].min_duration.total_seconds()
        self._tick, self._step = world.tick, np.zeros(runs, int)
        self._requests, self._seconds = np.zeros(runs), np.zeros(runs)  # in the step that a run is in

    @property
    def _current_step(self) -> Floats:
        """The step that each run is in. Promoted runs stay in the last one."""
        return np.minimum(self._step, len(self._weights) - 1).astype(float)

    def weights(self) -> Floats:
        return np.asarray(self._weights[self._current_step.astype(int)])

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        current = self._current_step
        self._evidence.update(canary, stable)
        self._evidence.update_silence(current, self.weights(), canary, stable)
        failed = self._evidence.failed() | self._evidence.silent(current)
        self._requests += canary.requests
        self._seconds += self._tick
        steps = len(self._weights)
        non_inferior = np.stack([self._evidence.non_inferior(step) for step in range(steps)])
        in_step = np.arange(steps)[:, None] == self._step
        long_enough = (self._requests >= self._min_requests) & (self._seconds >= self._min_seconds)
        passed = (in_step & non_inferior).any(0) & long_enough
        self._step += passed
        self._requests, self._seconds = np.where(passed, 0.0, self._requests), np.where(passed, 0.0, self._seconds)
        return Verdicts(failed, self._step == steps)


class MarginOnly:
    """The margin of one objective at a weight of 10 %, without rollbacks. A run is promoted when it is ruled out."""

    def __init__(self, name: str, world: World, runs: int, random: Random) -> None:
        objectives = [objective for objective in OBJECTIVES if objective.name == name]
        self._evidence = Evidence(world, runs, 1, random, objectives)
        self._runs = runs

    def weights(self) -> Floats:
        return np.full(self._runs, 0.1)

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        self._evidence.update(canary, stable)
        return Verdicts(np.zeros(self._runs, bool), self._evidence.non_inferior(0))
