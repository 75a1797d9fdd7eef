"""Runs a policy against a simulated service: many runs at once, each of them until its decision."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sluice_operator.evalues.arithmetic import Floats
from tests.simulation.world import Answers, Random, Traffic, World

Bools = NDArray[np.bool_]

HOUR = 3600.0


class Verdicts(NamedTuple):
    """By run. A run with both verdicts is rolled back."""

    rolled_back: Bools
    promoted: Bools


class Policy(Protocol):
    """Decides over a batch of runs, tick by tick."""

    def weights(self) -> Floats:
        """The canary's share of the requests in the next tick, by run: 0 to 1."""

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        """The verdicts after a tick with these answers."""


PolicyMaker = Callable[[World, int, Random], Policy]


@dataclass(frozen=True)
class Outcomes:
    """How each run ended. `seconds`: until its decision (inf: without one). `exposed`: canary requests until then.

    `exposed_in_hour`: canary requests in the first hour. After its promotion, a canary gets all requests.
    """

    rolled_back: Bools
    promoted: Bools
    seconds: Floats
    exposed: Floats
    exposed_in_hour: Floats

    @property
    def runs(self) -> int:
        return len(self.seconds)

    def median_seconds(self, decided: Bools) -> float:
        """The median of all runs, where the time of a run that is not `decided` is infinite."""
        return float(np.median(np.where(decided, self.seconds, np.inf)))

    def median_exposed(self, decided: Bools) -> float:
        """The median of all runs, where the requests of a run that is not `decided` are infinite."""
        return float(np.median(np.where(decided, self.exposed, np.inf)))


def joined(batches: Sequence[Outcomes]) -> Outcomes:
    return Outcomes(*(np.concatenate([getattr(batch, field.name) for batch in batches]) for field in fields(Outcomes)))


def simulate(world: World, make: PolicyMaker, runs: int, minutes: float, random: Random) -> Outcomes:
    """A batch of runs, for at most `minutes` each."""
    traffic, policy = Traffic(world, runs, random), make(world, runs, random)
    rolled_back, promoted = np.zeros(runs, bool), np.zeros(runs, bool)
    seconds, exposed = np.full(runs, np.inf), np.zeros(runs)
    now = 0.0
    while now < 60 * minutes and not np.all(rolled_back | promoted):
        weights, undecided = policy.weights(), ~(rolled_back | promoted)
        now += world.tick
        exposed += np.where(undecided, weights * world.rate * world.tick, 0.0)
        verdicts = policy.judge(*traffic.tick(weights))
        rolled_back |= undecided & verdicts.rolled_back
        promoted |= undecided & verdicts.promoted & ~verdicts.rolled_back
        seconds = np.where(undecided & (rolled_back | promoted), now, seconds)
    after_promotion = np.where(promoted, world.rate * np.maximum(HOUR - seconds, 0.0), 0.0)
    return Outcomes(rolled_back, promoted, seconds, exposed, exposed + after_promotion)


def ramp(steps: Sequence[tuple[float, float]], seconds: float) -> float:
    """The weight at a time. `steps`: (weight, minutes)."""
    return steps[step_at(steps, seconds)][0]


def step_at(steps: Sequence[tuple[float, float]], seconds: float) -> int:
    """The index of the step at a time; after the last step, its index. `steps`: (weight, minutes)."""
    ends = np.cumsum([60 * minutes for _, minutes in steps])
    return min(int(np.searchsorted(ends, seconds, side="right")), len(steps) - 1)
