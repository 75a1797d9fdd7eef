"""The same canaries in the simulation of verdicts: with the same weights, objectives and rate."""

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from dev.bench.canaries import catalogue
from dev.bench.canaries.catalogue import ERRORS, HANGS, IDENTICAL, INACCURATE, SLOWER, STEPS, WATCH
from sluice_operator.api.quantities import decode
from sluice_operator.api.spec import Objective
from sluice_operator.evalues.arithmetic import Floats
from tests.simulation.evidence import Evidence
from tests.simulation.runner import Outcomes, Verdicts, joined, ramp, simulate
from tests.simulation.world import Answers, Quality, Random, World

SEED = 20260901
BATCHES, RUNS = 4, 50  # the runs of a batch have the same baseline
TICK = 2.0  # seconds; how often the local cluster's Prometheus scrapes
OBJECTIVES = msgspec.convert(catalogue.OBJECTIVES, tuple[Objective, ...], dec_hook=decode)
GOOD = Quality(errors=0.0, accuracy=148 / 150)


@dataclass(frozen=True, slots=True)
class Prediction:
    rolled_back: float  # share of runs that are rolled back in WATCH seconds
    seconds: float  # median until then; infinite when less than half are
    exposed: float  # median of canary requests until then


class BenchmarkPolicy:
    """The steps of the benchmark. The last one is longer than a run, so no run is promoted."""

    def __init__(self, world: World, runs: int, random: Random) -> None:
        self._evidence = Evidence(world, runs, len(STEPS), random, OBJECTIVES)
        self._steps = [(weight / 100, least / 60) for weight, least in STEPS]
        self._runs, self._tick, self._seconds = runs, world.tick, 0.0

    def weights(self) -> Floats:
        return np.full(self._runs, ramp(self._steps, self._seconds))

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        step = np.full(self._runs, float(self._seconds >= STEPS[0][1]))
        self._evidence.update(canary, stable)
        self._evidence.update_silence(step, self.weights(), canary, stable)
        self._seconds += self._tick
        return Verdicts(self._evidence.failed() | self._evidence.silent(step), np.zeros(self._runs, bool))


def predicted(rate: float, baseline_seconds: float) -> dict[str, Prediction]:
    """By name of the kind, without crashes: a plain rule counts them, so there is nothing to simulate."""
    return {name: _of(_outcomes(world)) for name, world in worlds(rate, baseline_seconds).items()}


def worlds(rate: float, baseline_seconds: float) -> dict[str, World]:
    """The simulated service of each kind, by its name. `rate`: requests per second."""
    same = World(rate, GOOD, GOOD, tick=TICK, record_hours=baseline_seconds / 3600)
    first_weight = STEPS[0][0] / 100
    silent = replace(GOOD, answered=0.0)
    return {
        IDENTICAL.name: same,
        ERRORS.name: replace(same, canary=replace(GOOD, errors=0.05)),
        SLOWER.name: replace(same, canary=replace(GOOD, slowness=1.5)),
        INACCURATE.name: replace(same, canary=replace(GOOD, accuracy=132 / 150)),
        HANGS.name: replace(same, later=silent, turns=catalogue.HANGS_AFTER / (rate * first_weight)),
    }


def _outcomes(world: World) -> Outcomes:
    random = np.random.default_rng(SEED)
    return joined([simulate(world, BenchmarkPolicy, RUNS, WATCH / 60, random) for _ in range(BATCHES)])


def _of(outcomes: Outcomes) -> Prediction:
    rolled_back = outcomes.rolled_back
    return Prediction(
        float(rolled_back.mean()), outcomes.median_seconds(rolled_back), outcomes.median_exposed(rolled_back)
    )
