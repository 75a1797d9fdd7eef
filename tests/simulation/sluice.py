"""Sluice's policies: how the weight rises, and what ends a run, with the operator's own evidence and bars."""

from collections.abc import Sequence

import numpy as np

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.rollout.automatic_steps import steps_for
from tests.simulation.evidence import OBJECTIVES, Evidence
from tests.simulation.runner import Bools, Verdicts, ramp, reached
from tests.simulation.world import Answers, Random, World

Steps = Sequence[tuple[float, float]]  # weight, minutes

RAMP: Steps = tuple((share, 6.0) for share in (0.1, 0.2, 0.3, 0.4, 0.5))
HEAVY: Steps = ((0.8, 30.0),)
BEFORE_WATCH: Steps = tuple((share, 2.0) for share, _ in RAMP)
WATCH_MINUTES = 15.0


class Timed:
    """What was not rolled back when the last step is over is promoted (`PromoteIfClean`), and then watched alone for
    some `watch` minutes."""

    def __init__(self, steps: Steps, watch: float, world: World, runs: int, random: Random) -> None:
        self._evidence = Evidence(world, runs, len(steps), random)
        self._steps, self._runs, self._tick, self._seconds = steps, runs, world.tick, 0.0
        self._alone_from = 60 * sum(minutes for _, minutes in steps)
        self._ends = self._alone_from + 60 * watch

    def weights(self) -> Floats:
        alone = self._seconds >= self._alone_from
        return np.full(self._runs, 1.0 if alone else ramp(self._steps, self._seconds))

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        failed = self._watched(canary, stable) if self._seconds >= self._alone_from else self._beside(canary, stable)
        self._seconds += self._tick
        return Verdicts(failed, np.full(self._runs, self._seconds >= self._ends))

    def _beside(self, canary: Answers, stable: Answers) -> Bools:
        step = np.full(self._runs, float(reached(self._steps, self._seconds)))
        self._evidence.update(canary, stable)
        self._evidence.observe_silence(step, self.weights(), canary, stable)
        return self._evidence.failed() | self._evidence.silent(step)

    def _watched(self, canary: Answers, stable: Answers) -> Bools:
        self._evidence.update(canary, stable)
        self._evidence.update_watch(canary)
        return self._evidence.failed()


class Automatic:
    """The operator's own steps for the rate: the next one comes when this one's margins are ruled out."""

    def __init__(self, world: World, runs: int, random: Random) -> None:
        steps = steps_for(world.rate)
        self._weights = np.array([step.weight / 100 for step in steps])
        self._evidence = Evidence(world, runs, len(steps), random)
        self._least = (steps[0].min_requests, steps[0].min_duration.total_seconds())  # the same for all
        self._tick, self._step = world.tick, np.zeros(runs, int)
        self._requests, self._seconds = np.zeros(runs), np.zeros(runs)  # of the step

    @property
    def _at(self) -> Floats:
        """The step that each run is in; runs that are promoted stay in the last one."""
        return np.minimum(self._step, len(self._weights) - 1).astype(float)

    def weights(self) -> Floats:
        return np.asarray(self._weights[self._at.astype(int)])

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        at = self._at
        self._evidence.update(canary, stable)
        self._evidence.observe_silence(at, self.weights(), canary, stable)
        failed = self._evidence.failed() | self._evidence.silent(at)
        self._requests += canary.requests
        self._seconds += self._tick
        steps = len(self._weights)
        cleared = np.stack([self._evidence.non_inferior(step) for step in range(steps)])
        at_step = np.arange(steps)[:, None] == self._step
        requests, seconds = self._least
        passed = (at_step & cleared).any(0) & (self._requests >= requests) & (self._seconds >= seconds)
        self._step += passed
        self._requests, self._seconds = np.where(passed, 0.0, self._requests), np.where(passed, 0.0, self._seconds)
        return Verdicts(failed, self._step == steps)


class ClearsOnly:
    """One objective's own margin at a weight of 10 %, and no rollback: how often, and when, it says "safe"."""

    def __init__(self, objective: str, world: World, runs: int, random: Random) -> None:
        self._evidence = Evidence(world, runs, 1, random, [one for one in OBJECTIVES if one.name == objective])
        self._runs = runs

    def weights(self) -> Floats:
        return np.full(self._runs, 0.1)

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        self._evidence.update(canary, stable)
        return Verdicts(np.zeros(self._runs, bool), self._evidence.non_inferior(0))
