"""A simulated service: two revisions that answer requests, some slowly, some wrongly, and whose pods have bursts.

It gives the counts that Prometheus would give: increments by revision and tick. The last axis of an array is for runs.
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
SPREAD = 0.5  # standard deviation of the logarithm of the latency
P95 = 0.120  # seconds
MEDIAN = P95 / np.exp(1.6449 * SPREAD)  # p99 is 169 ms

Random = np.random.Generator


@dataclass(frozen=True)
class Quality:
    """How a model version behaves when its pods do not burst."""

    errors: float = 0.001  # share of requests
    slowness: float = 1.0  # factor for all latencies
    accuracy: float = 0.95  # share of labels
    answered: float = 1.0  # share of requests that it finishes
    refused: float = 0.0  # share of requests that it refuses, or that callers give up on


@dataclass(frozen=True)
class Bursts:
    """When pods burst: `every` seconds apart on average, for `seconds` (the shortest, the longest)."""

    every: float = np.inf
    seconds: tuple[float, float] = (30.0, 90.0)
    errors: float = 20.0  # factor for the error rate in a burst
    slowness: float = 1.8  # factor for all latencies in a burst
    shared: bool = False  # both revisions burst at the same time


@dataclass(frozen=True)
class Clumps:
    """How many bad requests come together, because one cause makes all of them bad. The mean sizes; 1: each by itself.

    The sizes are geometric, or `fixed`: then all are of that whole number. A clump is in one revision and one tick;
    those of slow requests have one latency. `retried`: the errors are retries, and each may go to either revision.
    """

    errors: float = 1.0
    slow: float = 1.0
    wrong: float = 1.0
    fixed: bool = False
    retried: bool = False

    def drawn(self, expected: NDArray[np.floating], size: float, random: Random) -> NDArray[np.int64]:
        """Numbers of bad requests in clumps of the mean `size`; `expected` on average."""
        clumps = random.poisson(expected / size)
        if self.fixed:
            return np.asarray(clumps * int(size))
        return np.where(clumps > 0, clumps + random.negative_binomial(np.maximum(clumps, 1), 1 / size), 0)


CALM = Bursts()
SHARED = Bursts(every=375, shared=True)
RARE = Bursts(every=3750, seconds=(60, 60))
OFTEN = Bursts(every=600)
TURNS_AT = 600.0  # seconds after the start of the run


@dataclass(frozen=True)
class World:
    """A service and what happens to it in a run. `rate`: requests per second. Each pod bursts independently."""

    rate: float
    stable: Quality = Quality()
    canary: Quality = Quality()
    bursts: Bursts = CALM
    before: Bursts | None = None  # the bursts in the baseline, if they differ from those in the run
    clumps: Clumps = Clumps()
    clumps_before: Clumps | None = None  # in the baseline, if they differ from those in the run
    later: Quality | None = None  # the canary's from second `turns` to second `ends`, if it changes
    stable_later: Quality | None = None  # stable's in the same time, if it changes
    turns: float = TURNS_AT
    ends: float = np.inf
    pods: tuple[int, int] = (1, 1)  # of stable, of the canary
    tick: float = 5.0
    label_delay: int = 0  # ticks
    record_hours: float = 6.0  # the length of each stable pod's baseline


@dataclass
class BurstingPods:
    """The pods of one revision, in all runs. The start of a run may be inside a burst, like any other time."""

    bursts: Bursts
    pods: int
    runs: int
    tick: float
    random: Random
    _ticks_left: NDArray[np.int64] = field(init=False)  # of the burst of each pod, of shape (runs, pods)

    def __post_init__(self) -> None:
        mean = float(np.mean(self.bursts.seconds))
        inside = self.random.random((self.runs, self.pods)) < mean / (mean + self.bursts.every)
        length = self.random.uniform(*self.bursts.seconds, (self.runs, self.pods))
        ticks_left = np.ceil(length * self.random.random((self.runs, self.pods)) / self.tick)
        self._ticks_left = np.where(inside, ticks_left, 0).astype(np.int64)

    def next_tick(self) -> Floats:
        """The share of the pods that burst in the next tick, by run."""
        if not np.isfinite(self.bursts.every):
            return np.zeros(self.runs)
        bursting = self._ticks_left > 0
        left = np.maximum(self._ticks_left - 1, 0)
        starts = (left == 0) & ~bursting & (self.random.random(left.shape) < self.tick / self.bursts.every)
        length = np.round(self.random.uniform(*self.bursts.seconds, left.shape) / self.tick)
        self._ticks_left = np.where(starts, np.maximum(length, 1).astype(np.int64), left)
        return np.asarray(bursting.mean(1))


@dataclass(frozen=True)
class Answers:
    """One revision in one tick. `slower`: requests over each of BOUNDS, of shape (bounds, runs); others: (runs,)."""

    requests: Floats
    errors: Floats
    slower: Floats
    labels: Floats
    wrong: Floats
    refused: Floats

    def refusal_counts(self) -> Counts:
        return Counts(self.requests, self.refused)

    def error_counts(self) -> Counts:
        return Counts(self.requests, self.errors)

    def label_counts(self) -> Counts:
        return Counts(self.labels, self.wrong)

    def latency_counts(self, bounds: Sequence[int] | int) -> Counts:
        """`bounds`: the index or the indices into BOUNDS."""
        slower = self.slower[np.asarray(bounds)]
        return Counts(np.broadcast_to(self.requests, slower.shape), slower)


@cache
def share_slower(seconds: float, slowness: float) -> float:
    """The share of requests that take longer than `seconds`."""
    return float(norm.sf((np.log(seconds) - np.log(MEDIAN * slowness)) / SPREAD))


def drawn_answers(expected: Floats, bursting: Floats, quality: Quality, world: World, random: Random) -> Answers:
    """Draws one revision's tick. `expected`: mean requests sent to it, by run. `bursting`: the share of its pods."""
    bursts, clumps = world.bursts, world.clumps
    quiet = random.poisson(expected * quality.answered * (1 - bursting))
    burst = random.poisson(expected * quality.answered * bursting)
    in_burst = min(quality.errors * bursts.errors, 0.9)
    errors = sum(
        _bad(requests, share, clumps, clumps.errors, random)
        for requests, share in ((quiet, quality.errors), (burst, in_burst))
    )
    slow = sum(
        _slower(requests, slowness, clumps, random)
        for requests, slowness in ((quiet, quality.slowness), (burst, quality.slowness * bursts.slowness))
    )
    requests = quiet + burst
    wrong = _bad(requests, 1 - quality.accuracy, clumps, clumps.wrong, random)
    refused = random.binomial(requests, quality.refused)  # 0 takes no random number
    return Answers(*(np.asarray(counts, float) for counts in (requests, errors, slow, requests, wrong, refused)))


def _bad(requests: NDArray[np.int64], share: float, clumps: Clumps, size: float, random: Random) -> NDArray[np.int64]:
    """How many of the requests are bad, in clumps of the mean `size`."""
    if size == 1:
        return random.binomial(requests, share)
    return np.minimum(clumps.drawn(requests * share, size, random), requests)


def _slower(requests: NDArray[np.int64], slowness: float, clumps: Clumps, random: Random) -> NDArray[np.int64]:
    """The requests over each bound: those over the first bound, of these those over the second, and so on."""
    shares = [share_slower(bound, slowness) for bound in BOUNDS]
    if clumps.slow > 1:
        between = -np.diff([*shares, 0.0])  # shares of requests, from each bound to the next one
        drawn = np.stack([clumps.drawn(requests * share, clumps.slow, random) for share in between])
        return np.minimum(np.flip(np.cumsum(np.flip(drawn, 0), 0), 0), requests)
    over_bound, rows = requests, []
    share_before = 1.0
    for share in shares:
        over_bound = random.binomial(over_bound, share / share_before)
        share_before = share
        rows.append(over_bound)
    return np.stack(rows)


def _with_retries(canary: Answers, stable: Answers, random: Random) -> tuple[Answers, Answers]:
    """Each error of both revisions goes to one of them by chance, as its requests do."""
    errors, requests = canary.errors + stable.errors, canary.requests + stable.requests
    share = canary.requests / np.maximum(requests, 1)
    to_canary = np.minimum(random.binomial(errors.astype(np.int64), share), canary.requests)
    return replace(canary, errors=to_canary), replace(stable, errors=np.minimum(errors - to_canary, stable.requests))


class Traffic:
    """The ticks of a world, for many runs at once."""

    def __init__(self, world: World, runs: int, random: Random) -> None:
        self._world, self._random = world, random
        stable, canary = world.pods
        self._stable = BurstingPods(world.bursts, stable, runs, world.tick, random)
        self._canary = BurstingPods(world.bursts, canary, runs, world.tick, random)
        self._without_labels: list[tuple[Answers, Answers]] = []  # the latest ticks, whose labels are still to come
        self._seconds = 0.0

    def tick(self, weight: Floats) -> tuple[Answers, Answers]:
        """The next tick of the canary and of stable, at `weight` (0 to 1, by run)."""
        world = self._world
        bursting = self._stable.next_tick()
        canary_bursting = bursting if world.bursts.shared else self._canary.next_tick()
        expected = world.rate * world.tick
        turned = world.turns <= self._seconds < world.ends
        self._seconds += world.tick
        of_canary = world.later if world.later and turned else world.canary
        of_stable = world.stable_later if world.stable_later and turned else world.stable
        canary = drawn_answers(expected * weight, canary_bursting, of_canary, world, self._random)
        stable = drawn_answers(expected * (1 - weight), bursting, of_stable, world, self._random)
        if world.clumps.retried:
            canary, stable = _with_retries(canary, stable, self._random)
        return self._with_late_labels(canary, stable)

    def _with_late_labels(self, canary: Answers, stable: Answers) -> tuple[Answers, Answers]:
        if not self._world.label_delay:
            return canary, stable
        self._without_labels.append((canary, stable))
        if len(self._without_labels) > self._world.label_delay:
            earlier_canary, earlier_stable = self._without_labels.pop(0)
            labels = (earlier_canary.labels, earlier_canary.wrong), (earlier_stable.labels, earlier_stable.wrong)
        else:
            none = np.zeros_like(canary.requests)
            labels = (none, none), (none, none)
        return _with_labels(canary, *labels[0]), _with_labels(stable, *labels[1])


def _with_labels(answers: Answers, labels: Floats, wrong: Floats) -> Answers:
    return replace(answers, labels=labels, wrong=wrong)


def baseline_answers(world: World, bin_seconds: float, random: Random) -> Answers:
    """The baseline, with bins in place of runs. Stable's pods follow one after the other, as if they were one pod."""
    bursts, pods = world.before or world.bursts, world.pods[0]
    bins = int(world.record_hours * 3600 / bin_seconds) * pods
    parts = 3  # of a bin, so that a burst may cover only a part of it
    pod = BurstingPods(bursts, 1, 1, bin_seconds / parts, random)
    bursting = np.array([pod.next_tick()[0] for _ in range(bins * parts)]).reshape(bins, parts).mean(1)
    expected = np.full(bins, world.rate / pods * bin_seconds)
    past = replace(world, bursts=bursts, clumps=world.clumps_before or world.clumps)
    return drawn_answers(expected, bursting, world.stable, past, random)
