"""A simulated service: two arms that answer requests, some late, some wrong, and that burst together or apart.

The same counts that Prometheus would give: increments per arm and tick. Every array ends in an axis of runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from sluice_operator.counting.latency_buckets import LATENCY_BOUNDS
from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.counts import Counts

BOUNDS = tuple(bound for bound in LATENCY_BOUNDS if 0.07 < bound <= 0.5)  # seconds, of the server's histogram
SPREAD = 0.5  # of the logarithm of the latency
P95 = 0.120
MEDIAN = P95 / np.exp(1.6449 * SPREAD)  # p99 is 169 ms

Random = np.random.Generator


@dataclass(frozen=True)
class Quality:
    """How a model version behaves in quiet time."""

    errors: float = 0.001  # share of requests
    slowness: float = 1.0  # factor of all latencies
    accuracy: float = 0.95  # share of labels
    answered: float = 1.0  # share of requests that it finishes at all


@dataclass(frozen=True)
class Bursts:
    """When pods burst: `every` seconds apart on average, for `seconds` (shortest, longest)."""

    every: float = np.inf
    seconds: tuple[float, float] = (30.0, 90.0)
    errors: float = 20.0  # factor in a burst
    slowness: float = 1.8
    shared: bool = False  # both arms at the same moments


CALM = Bursts()
SHARED = Bursts(every=375, shared=True)
RARE = Bursts(every=3750, seconds=(60, 60))
OFTEN = Bursts(every=600)
TURNS = 600.0  # seconds into the run


@dataclass(frozen=True)
class World:
    """`rate` in requests per second; `pods` of stable and of the canary burst each by themselves."""

    rate: float
    stable: Quality = Quality()
    canary: Quality = Quality()
    bursts: Bursts = CALM
    before: Bursts | None = None  # the bursts in stable's record, if they were others
    later: Quality | None = None  # the canary's from `turns` seconds on until `ends`, if it turns
    stable_later: Quality | None = None  # stable's then
    turns: float = TURNS
    ends: float = np.inf
    pods: tuple[int, int] = (1, 1)
    tick: float = 5.0
    label_delay: int = 0  # ticks
    record_hours: float = 6.0  # what is known of each stable pod when a run begins


@dataclass
class Burster:
    """The pods of one arm, over all runs; it starts as it goes on, so that a run may begin inside a burst."""

    bursts: Bursts
    pods: int
    runs: int
    tick: float
    random: Random
    _left: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        mean = float(np.mean(self.bursts.seconds))
        inside = self.random.random((self.runs, self.pods)) < mean / (mean + self.bursts.every)
        length = self.random.uniform(*self.bursts.seconds, (self.runs, self.pods))
        left = np.ceil(length * self.random.random((self.runs, self.pods)) / self.tick)
        self._left = np.where(inside, left, 0).astype(np.int64)

    def step(self) -> Floats:
        """Share of the arm's pods that burst in the next tick, by run."""
        if not np.isfinite(self.bursts.every):
            return np.zeros(self.runs)
        on = self._left > 0
        self._left = np.maximum(self._left - 1, 0)
        starts = (self._left == 0) & ~on & (self.random.random(self._left.shape) < self.tick / self.bursts.every)
        length = np.round(self.random.uniform(*self.bursts.seconds, self._left.shape) / self.tick)
        self._left = np.where(starts, np.maximum(length, 1).astype(np.int64), self._left)
        return np.asarray(on.mean(1))


@dataclass(frozen=True)
class Answers:
    """One arm in one tick. `over`: requests slower than each of BOUNDS, of shape (bounds, runs)."""

    requests: Floats
    errors: Floats
    over: Floats
    labels: Floats
    wrong: Floats

    def errors_arm(self) -> Counts:
        return Counts(self.requests, self.errors)

    def wrong_arm(self) -> Counts:
        return Counts(self.labels, self.wrong)

    def over_arm(self, bounds: Sequence[int] | int) -> Counts:
        over = self.over[np.asarray(bounds)]
        return Counts(np.broadcast_to(self.requests, over.shape), over)


@cache
def over(seconds: float, slowness: float) -> float:
    """Share of requests that take longer."""
    return float(norm.sf((np.log(seconds) - np.log(MEDIAN * slowness)) / SPREAD))


def answers(expected: Floats, bursting: Floats, quality: Quality, world: World, random: Random) -> Answers:
    """Draws an arm's tick. `expected`: requests sent to it, by run; `bursting`: share of its pods."""
    bursts = world.bursts
    quiet = random.poisson(expected * quality.answered * (1 - bursting))
    burst = random.poisson(expected * quality.answered * bursting)
    errors = random.binomial(quiet, quality.errors) + random.binomial(burst, min(quality.errors * bursts.errors, 0.9))
    slow = _slower(quiet, quality.slowness, random) + _slower(burst, quality.slowness * bursts.slowness, random)
    requests = quiet + burst
    wrong = random.binomial(requests, 1 - quality.accuracy)
    return Answers(*(one.astype(float) for one in (requests, errors, slow, requests, wrong)))


def _slower(requests: NDArray[np.int64], slowness: float, random: Random) -> NDArray[np.int64]:
    """Over the first bound, of these over the second, and so on: the counts of one histogram."""
    left, rows = requests, []
    before = 1.0
    for bound in BOUNDS:
        share = over(bound, slowness)
        left = random.binomial(left, share / before)
        before = share
        rows.append(left)
    return np.stack(rows)


class Traffic:
    """Ticks of a world, for `runs` runs at once."""

    def __init__(self, world: World, runs: int, random: Random) -> None:
        self._world, self._random = world, random
        stable, canary = world.pods
        self._stable = Burster(world.bursts, stable, runs, world.tick, random)
        self._canary = Burster(world.bursts, canary, runs, world.tick, random)
        self._late: list[tuple[Answers, Answers]] = []
        self._seconds = 0.0

    def tick(self, weight: Floats) -> tuple[Answers, Answers]:
        """(canary, stable) at `weight` (0 to 1, by run)."""
        world = self._world
        bursting = self._stable.step()
        canary_bursting = bursting if world.bursts.shared else self._canary.step()
        expected = world.rate * world.tick
        turned = world.turns <= self._seconds < world.ends
        self._seconds += world.tick
        of_canary = world.later if world.later and turned else world.canary
        of_stable = world.stable_later if world.stable_later and turned else world.stable
        canary = answers(expected * weight, canary_bursting, of_canary, world, self._random)
        stable = answers(expected * (1 - weight), bursting, of_stable, world, self._random)
        return self._with_late_labels(canary, stable)

    def _with_late_labels(self, canary: Answers, stable: Answers) -> tuple[Answers, Answers]:
        if not self._world.label_delay:
            return canary, stable
        self._late.append((canary, stable))
        none = np.zeros_like(canary.requests)
        late = self._late.pop(0) if len(self._late) > self._world.label_delay else None

        def labelled(now: Answers, then: Answers | None) -> Answers:
            return Answers(
                now.requests, now.errors, now.over, then.labels if then else none, then.wrong if then else none
            )

        return labelled(canary, late[0] if late else None), labelled(stable, late[1] if late else None)


def record(world: World, bin_seconds: float, random: Random) -> Answers:
    """Stable's past in bins: its pods one after the other, as if they were one. `over` is of shape (bounds, bins)."""
    bursts, pods = world.before or world.bursts, world.pods[0]
    bins = int(world.record_hours * 3600 / bin_seconds) * pods
    fine = 3  # part bins, so that a burst may cover a part of one
    burster = Burster(bursts, 1, 1, bin_seconds / fine, random)
    bursting = np.array([burster.step()[0] for _ in range(bins * fine)]).reshape(bins, fine).mean(1)
    expected = np.full(bins, world.rate / pods * bin_seconds)
    return answers(expected, bursting, world.stable, replace(world, bursts=bursts), random)
