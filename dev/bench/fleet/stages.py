"""The three stages of the benchmark: a fleet at rest, canaries that break, and many rollouts at once."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dev.bench.fleet.fleet import Fleet, Key, Seen, host_of, traffic_started
from dev.bench.fleet.process import Operator
from dev.bench.fleet.prometheus import SCRAPE_SECONDS, Prometheus, Tracked
from dev.bench.fleet.registry import Registry

TICK_SECONDS = SCRAPE_SECONDS  # the longer of the two intervals
_SAMPLE_SECONDS = 1.0  # between two looks at the memory
_BETWEEN_BREACHES = 0.7  # seconds
_REST_SECONDS, _STILL = 20.0, 0.8  # at rest: the share of a core of this time is not a fifth below that of the last one


@dataclass(frozen=True, slots=True)
class Cost:
    """What the operator took over some time: bytes at most, the share of a core, and requests per second."""

    memory: int
    cpu: float
    requests: float
    registry: float
    by_verb: Counter[str]


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds, sorted."""

    seconds: tuple[float, ...]

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Delays":
        return cls(tuple(sorted(seconds)))

    def quantile(self, share: float) -> float:
        if not self.seconds:
            return math.nan
        return self.seconds[max(0, math.ceil(share * len(self.seconds)) - 1)]


class Stages:
    """Runs the stages on one fleet and one operator."""

    def __init__(self, fleet: Fleet, prometheus: Prometheus, registry: Registry, operator: Operator) -> None:
        self._fleet, self._prometheus, self._registry, self._operator = fleet, prometheus, registry, operator

    async def cost(self, seconds: float) -> Cost:
        """What the operator takes while nothing is done to it for some seconds."""
        began, cpu, asked = time.time(), self._operator.cpu_seconds(), self._registry.asked.total()
        memory = 0
        while (elapsed := time.time() - began) < seconds:
            self._operator.check()
            memory = max(memory, self._operator.resident_bytes())
            await asyncio.sleep(_SAMPLE_SECONDS)
        spent = self._operator.cpu_seconds() - cpu
        by_verb = self._operator.requests(began, began + elapsed)
        registry = (self._registry.asked.total() - asked) / elapsed
        return Cost(memory, spent / elapsed, by_verb.total() / elapsed, registry, by_verb)

    async def at_rest(self, least: float, within: float) -> float:
        """Wait for `least` seconds, and until the operator writes nothing and its CPU time no longer falls.

        Returns the seconds in all; SystemExit if it takes `within` seconds more.
        """
        began, before = time.time(), math.inf
        await asyncio.sleep(least)
        while time.time() - began < least + within:
            since, spent = time.time(), self._operator.cpu_seconds()
            await asyncio.sleep(_REST_SECONDS)
            self._operator.check()
            share = (self._operator.cpu_seconds() - spent) / _REST_SECONDS
            if share > _STILL * before and not _writes(self._operator.requests(since, time.time())):
                return time.time() - began
            before = share
        raise SystemExit(f"error: the operator is not at rest after {time.time() - began:.0f} s")

    async def begin_rollouts(self, keys: Sequence[Key], within: float) -> float:
        """Move the aliases to the next version. Returns the seconds until all canaries are judged."""
        began = time.time()
        for key in keys:
            self._prometheus.tracked[key] = Tracked(host_of(key[1]))
        await asyncio.sleep(2 * TICK_SECONDS)  # stable is scraped before the canary comes
        for _, name in keys:
            self._registry.versions[name] += 1
        await self._until(lambda: all(self._seen(key).is_judged for key in keys), within, "canaries to be judged")
        return time.time() - began

    def judged_after(self, keys: Sequence[Key], since: float) -> Delays:
        """How long after its close the newest tick of each verdict was judged, for verdicts after `since`."""
        delays = list[float]()
        for key in keys:
            seen, tracked = self._seen(key), self._prometheus.tracked[key]
            for at, requests in seen.judged:
                if at >= since and (closed := _closed_at(seen, tracked, requests)) is not None:
                    delays.append(at - closed)
        return Delays.of(delays)

    async def break_canaries(self, keys: Sequence[Key], within: float) -> tuple[Delays, Delays]:
        """Let canaries fail, one after the other. From the answer that shows it to weight 0 in the API server, and to
        the end of the run, for which that weight is proven live."""
        answered = dict[Key, float]()

        async def until_back(key: Key) -> tuple[float, float]:
            tracked, weights = self._prometheus.tracked[key], self._seen(key).weights
            tracked.broken = True
            known = len(weights)
            while len(weights) == known or weights[-1][1] != 0 or self._seen(key).phase != "Stable":
                if self._seen(key).phase == "Stepping":
                    answered[key] = tracked.answered
                await asyncio.sleep(0.005)
            written = next(at for at, weight in weights[known:] if weight == 0)
            return written - answered[key], time.time() - answered[key]

        async def later(number: int, key: Key) -> tuple[float, float]:
            await asyncio.sleep(number * _BETWEEN_BREACHES)
            return await until_back(key)

        async with asyncio.timeout(within):
            delays = await asyncio.gather(*(later(number, key) for number, key in enumerate(keys)))
        return Delays.of([written for written, _ in delays]), Delays.of([live for _, live in delays])

    async def settled(self, keys: Sequence[Key], within: float) -> None:
        """Wait until all these are Stable."""
        await self._until(
            lambda: all(self._seen(key).phase == "Stable" for key in keys), within, "objects to be Stable"
        )

    async def _until(self, done: Callable[[], bool], within: float, what: str) -> None:
        deadline = time.time() + within
        while not done():
            self._operator.check()
            if time.time() > deadline:
                phases = Counter(seen.phase for seen in self._fleet.seen.values())
                raise SystemExit(f"error: waited {within:.0f} s for {what}: {dict(phases)}")
            await asyncio.sleep(0.25)

    def _seen(self, key: Key) -> Seen:
        return self._fleet.seen.get(key) or Seen()


def _writes(requests: Counter[str]) -> int:
    """How many of these requests change something but the Lease."""
    reads = ("get ", "list ", "watch ")
    return sum(number for verb, number in requests.items() if not verb.startswith(reads) and verb != "update leases")


def _closed_at(seen: Seen, tracked: Tracked, requests: int) -> float | None:
    """When the newest tick that a verdict counts was closed: each pod was scraped at or after its end.

    `requests`: of the canary, as the verdict has them. None if a pod was not scraped yet.
    """
    began = traffic_started(seen)
    canary = [pod for pod in tracked.pods.values() if pod.revision == seen.status["run"]["canary"]["revision"]]
    ends = [began + number * TICK_SECONDS for number in range(1, math.ceil((time.time() - began) / TICK_SECONDS))]
    counted = [sum(pod.total(end)[0] - pod.total(began)[0] for pod in canary) for end in ends]
    newest = max((end for end, total in zip(ends, counted, strict=True) if total < requests + 0.5), default=math.inf)
    scrapes = [next((at for at in pod.times if at >= newest), None) for pod in tracked.pods.values()]
    return None if None in scrapes else max(at for at in scrapes if at is not None)
