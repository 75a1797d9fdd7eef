"""`python -m dev.bench.reader`: what reading the evidence of many runs costs the operator, and Prometheus.

The operator's own code against the cluster's Prometheus program, which scrapes six pods per run every two seconds.
Prints the tables of docs/testing.md. Everything that is started is ended again; it takes about four minutes.
"""

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, median

from dev.bench import prometheus
from dev.bench.clock import FETCHING, PARTS, Client, Clock
from dev.bench.exporter import NAMESPACE, PAST, PODS, SCRAPE_SECONDS, revision
from dev.bench.prometheus import Prometheus
from sluice_operator.api.quantities import Duration, Ratio, Share
from sluice_operator.api.spec import (
    Accuracy,
    ErrorRate,
    Ingress,
    Latency,
    Objective,
    OnDeadline,
    Rollout,
    Source,
    Step,
    Traffic,
)
from sluice_operator.api.status import METRICS_UNAVAILABLE, LiveWeight, Phase, Run, Status
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.controller.run_samples import Subject
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.connection import connect
from sluice_operator.prometheus.reader import Reader

LOOK_SECONDS = 5.0
_RUNS = (10, 50, 200)
_WARM_UP, _ROUNDS, _REPEATS = 3, 6, 3
_SETTLED_SECONDS = 4 * SCRAPE_SECONDS  # until all targets were scraped, and more than once
_IDLE_SECONDS = 10.0  # in which Prometheus scrapes and nobody asks
_PAST_RUN_SECONDS = 300.0  # that the run has been going on which is looked at after a restart
_TOLD_SECONDS = 90.0  # within which Prometheus must know it
_INTERVALS = Intervals(scrape=SCRAPE_SECONDS, evaluation=LOOK_SECONDS)
_WEIGHTS = (10, 25, 50)
_OBJECTIVES = (
    Objective("errors", error_rate=ErrorRate(Share.parse("1%"), Ratio.parse("2"))),
    Objective("p95", latency=Latency(Share.parse("0.95"), Duration.parse("200ms"), Ratio.parse("1.5"))),
    Objective("accuracy", accuracy=Accuracy(Source.FEEDBACK, max_drop=Share.parse("0.05"))),
)
_ROLLOUT = Rollout(
    progress_deadline=Duration.parse("10m"),
    deadline=Duration.parse("4h"),
    on_deadline=OnDeadline.HOLD,
    watch_after_promotion=Duration.parse("15m"),
    scale_down_delay=Duration.parse("30s"),
)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at one run, or at many together, took. CPU in seconds: of the operator by part, and of Prometheus."""

    queries: float
    ticks: float
    cpu: float
    parts: dict[str, float]
    prometheus: float
    lag: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """So many runs at once: the first round, the mean of the later ones, and what was there besides."""

    runs: int
    first: Look
    later: Look
    worst_lag: float
    sent: float  # bytes of answers in a round
    asked: float  # Prometheus's CPU seconds in a round for queries
    scraping: float  # and those while nobody asks
    memory: float  # bytes that the operator's process grew by


class _Rounds:
    """Moments at which looks are due, at a steady pace, however long they take."""

    def __init__(self) -> None:
        self._due = time.time()

    async def next(self, number: int) -> AsyncIterator[datetime]:
        """So many more, each of them followed by its pause."""
        for _ in range(number):
            yield datetime.fromtimestamp(self._due, UTC)
            self._due += LOOK_SECONDS
            await asyncio.sleep(self._due - time.time())


class Bench:
    """One operator's reader before one Prometheus."""

    def __init__(self, of: Prometheus) -> None:
        self._prometheus, self._clock = of, Clock()
        self._client = Client(connect(of.url), self._clock)

    async def one_run(self, began: datetime) -> tuple[Look, Look]:
        """A first look at a run that has just begun, with six hours of record; and one after a restart in a run that
        began at `began`."""
        self._prometheus.scrape([PAST])
        await self._until_told()
        now = datetime.now(UTC)
        fresh = [await self._look(self._evaluator(), [_subject(PAST, now)], now) for _ in range(_REPEATS)]
        again = [await self._look(self._evaluator(), [_subject(PAST, began)], now) for _ in range(_REPEATS)]
        return _middle(fresh, median), _middle(again, median)

    async def many_runs(self, runs: int) -> Stage:
        """As many runs, which begin together and are looked at together, every five seconds."""
        names = [f"run{number}" for number in range(runs)]
        self._prometheus.scrape(names)
        await asyncio.sleep(_SETTLED_SECONDS)
        before, trials = _memory(), self._evaluator()
        subjects = [_subject(name, datetime.now(UTC)) for name in names]
        rounds = _Rounds()
        early = [await self._look(trials, subjects, now) async for now in rounds.next(_WARM_UP)]
        sent, spent = self._prometheus.bytes_sent(), self._prometheus.cpu_seconds()
        later = [await self._look(trials, subjects, now) async for now in rounds.next(_ROUNDS)]
        both = (self._prometheus.cpu_seconds() - spent) / _ROUNDS
        sent, memory = (self._prometheus.bytes_sent() - sent) / _ROUNDS, _memory() - before
        spent = self._prometheus.cpu_seconds()
        await asyncio.sleep(_IDLE_SECONDS)
        scraping = (self._prometheus.cpu_seconds() - spent) * LOOK_SECONDS / _IDLE_SECONDS
        return Stage(
            runs,
            early[0],
            _middle(later, fmean),
            max(one.lag for one in later),
            sent,
            both - scraping,
            scraping,
            memory,
        )

    async def _look(self, trials: Evaluator, subjects: Sequence[Subject], now: datetime) -> Look:
        """One verdict on each run, all at once, at `now`."""
        clock = self._clock
        queries, ticks, parts = clock.queries, clock.ticks, dict(clock.seconds)
        cpu, spent, began = time.process_time(), self._prometheus.cpu_seconds(), time.monotonic()
        verdicts = await asyncio.gather(
            *(trials.verdict(one, Status(phase=Phase.STEPPING), 0, now) for one in subjects)
        )
        done = time.time()
        if lost := [one.message for one in verdicts if one.reason == METRICS_UNAVAILABLE]:
            raise SystemExit(f"error: {len(lost)} of {len(subjects)} runs got no metrics: {lost[0]}")
        return Look(
            clock.queries - queries,
            clock.ticks - ticks,
            time.process_time() - cpu,
            {part: seconds - parts[part] for part, seconds in clock.seconds.items()},
            self._prometheus.cpu_seconds() - spent,
            median(done - clock.newest.get(one.run.id, done) for one in subjects),
            time.monotonic() - began,
        )

    def _evaluator(self) -> Evaluator:
        """Those of an operator that has just been started."""
        return Evaluator(Reader(self._client), _INTERVALS)

    async def _until_told(self) -> None:
        deadline = time.monotonic() + _TOLD_SECONDS
        while time.monotonic() < deadline:
            newest = f'timestamp(ml_requests_started_total{{revision="{revision(PAST, "canary")}",entry="gateway"}})'
            found = await asyncio.to_thread(self._client.custom_query, newest, {})
            if len(found) == PODS and time.time() - float(found[0]["value"][1]) < _SETTLED_SECONDS:
                return
            await asyncio.sleep(1)
        raise SystemExit(f"error: Prometheus was not told the past within {_TOLD_SECONDS:.0f} s")


def _subject(name: str, began: datetime) -> Subject:
    run = Run(
        id=f"{name}-1",
        started_at=began,
        traffic=Traffic(Ingress("nginx", f"{name}.example.com")),
        rollout=_ROLLOUT,
        replicas=PODS,
        objectives=_OBJECTIVES,
        steps=tuple(Step(weight, 100, Duration.parse("10s")) for weight in _WEIGHTS),
        step_started_at=began,
        traffic_started_at=began,
        first_live_at=began,
        live_weights=(LiveWeight(_WEIGHTS[0], began),),
    )
    return Subject(NAMESPACE, name, run, ComparedRevisions(revision(name, "canary"), revision(name, "stable")))


def _memory() -> float:
    """Bytes of this process that are in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096.0


def _middle(looks: Sequence[Look], middle: Callable[[Iterable[float]], float]) -> Look:
    """Of each figure."""
    parts = {part: middle([one.parts.get(part, 0.0) for one in looks]) for part in (FETCHING, *PARTS)}
    fields = ("queries", "ticks", "cpu", "prometheus", "lag", "seconds")
    return Look(parts=parts, **{field: middle([getattr(one, field) for one in looks]) for field in fields})


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _rounds(stages: Sequence[Stage]) -> str:
    """A round: one look at every run."""

    def row(name: str, value: Callable[[Stage], float], form: str = ".0f") -> list[str]:
        return [name, *(format(value(stage), form) for stage in stages)]

    def per_run(name: str, value: Callable[[Stage], float]) -> list[str]:
        return row(name, lambda stage: 1000 * value(stage) / stage.runs, ".2f")

    def other(stage: Stage) -> float:
        return stage.later.cpu - sum(stage.later.parts.values())

    def of_part(part: str) -> list[str]:
        return per_run(f"- {part}", lambda stage: stage.later.parts[part])

    return _table(
        ["each round", *(f"{stage.runs} runs" for stage in stages)],
        [
            row("queries", lambda stage: stage.later.queries),
            row("kB of answers per run", lambda stage: stage.sent / 1000 / stage.runs, ".1f"),
            row("operator: share of one CPU, %", lambda stage: 100 * stage.later.cpu / LOOK_SECONDS, ".1f"),
            per_run("operator: CPU ms per run", lambda stage: stage.later.cpu),
            *map(of_part, (FETCHING, *PARTS)),
            per_run("- the rest", other),
            per_run("Prometheus: CPU ms per run for queries", lambda stage: stage.asked),
            per_run("Prometheus: CPU ms per run for scrapes", lambda stage: stage.scraping),
            row("seconds until all verdicts are there", lambda stage: stage.later.seconds, ".2f"),
            row("age of the newest tick, s: median", lambda stage: stage.later.lag, ".1f"),
            row("age of the newest tick, s: worst round", lambda stage: stage.worst_lag, ".1f"),
            per_run("first round: operator's CPU ms per run", lambda stage: stage.first.cpu),
            row("memory of the operator, kB per run", lambda stage: stage.memory / 1000 / stage.runs),
        ],
    )


def _one_run(fresh: Look, again: Look) -> str:
    def row(name: str, look: Look) -> list[str]:
        times = (look.cpu, *look.parts.values(), look.prometheus)
        return [name, f"{look.queries:.0f}", f"{look.ticks:.0f}", *(f"{1000 * one:.0f}" for one in times)]

    per_tick = 1000 * (again.cpu - fresh.cpu) / again.ticks
    head = ["CPU, ms", "queries", "ticks", "operator", *fresh.parts, "Prometheus"]
    table = _table(head, [row("first evaluation", fresh), row("after a restart", again)])
    return f"{table}\nA tick that is read again takes the operator {per_tick:.1f} ms.\n"


async def _measured(runs: Sequence[int]) -> None:
    began = datetime.now(UTC) - timedelta(seconds=_PAST_RUN_SECONDS)
    with prometheus.started(began.timestamp()) as one:
        bench = Bench(one)
        print(_one_run(*await bench.one_run(began)))
        print(_rounds([await bench.many_runs(number) for number in runs]))


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.reader", description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=int, default=_RUNS, help="how many at once, one stage each")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    asyncio.run(_measured(parser.parse_args(argv).runs))


if __name__ == "__main__":
    main(sys.argv[1:])
