"""`python -m dev.bench.reader`: what the evaluation of many runs costs the operator and Prometheus.

The operator's own code runs against the Prometheus program of the cluster, which scrapes six pods per run every two
seconds. It prints the tables of docs/testing.md. It ends everything that it starts, and takes about four minutes.
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
from sluice_operator.analysis.verdict import NO_CRASHES
from sluice_operator.api.quantities import Duration, Ratio, Share
from sluice_operator.api.revision import RevisionRef
from sluice_operator.api.rollout_spec import OnDeadline, Rollout, Step
from sluice_operator.api.run import LiveWeight, Phase, Run
from sluice_operator.api.spec import Accuracy, ErrorRate, Latency, Objective, Source
from sluice_operator.api.status import METRICS_UNAVAILABLE, Status
from sluice_operator.api.traffic import Ingress, Traffic
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.connection import connect
from sluice_operator.prometheus.reader import Reader

EVALUATION_SECONDS = 5.0
_RUNS = (10, 50, 200)
_WARM_UP, _ROUNDS, _REPEATS = 3, 6, 3
_SETTLED_SECONDS = 4 * SCRAPE_SECONDS  # after which all targets were scraped more than once
_IDLE_SECONDS = 10.0  # in which Prometheus scrapes and gets no queries
_PAST_RUN_SECONDS = 300.0  # age of the run that is evaluated after a restart
_LOADED_WITHIN_SECONDS = 90.0  # for Prometheus to scrape the past
_INTERVALS = Intervals(scrape=SCRAPE_SECONDS, evaluation=EVALUATION_SECONDS)
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
class Cost:
    """What an evaluation took, of one run or of many together.

    `cpu`: CPU seconds of the operator. `parts`: the same by part. `prometheus`: CPU seconds of Prometheus.
    `lag`: median age of the newest ticks in seconds. `seconds`: until all verdicts were there.
    """

    queries: float
    ticks: float
    cpu: float
    parts: dict[str, float]
    prometheus: float
    lag: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """The cost of evaluating `runs` runs at the same time: in the first round, and the mean of later rounds."""

    runs: int
    first: Cost
    later: Cost
    worst_lag: float
    sent: float  # bytes of answers in a round
    query_cpu: float  # CPU seconds of Prometheus in a round for queries
    scrape_cpu: float  # and for scrapes
    memory: float  # bytes by which the process of the operator grew


class _Rounds:
    """The times at which evaluations are due. The pace is steady, however long an evaluation takes."""

    def __init__(self) -> None:
        self._due = time.time()

    async def next(self, number: int) -> AsyncIterator[datetime]:
        """The next `number` due times, each of them followed by its pause."""
        for _ in range(number):
            yield datetime.fromtimestamp(self._due, UTC)
            self._due += EVALUATION_SECONDS
            await asyncio.sleep(self._due - time.time())


class Bench:
    """The evaluator of one operator, with one Prometheus."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus, self._clock = prometheus, Clock()
        self._client = Client(connect(prometheus.url), self._clock)

    async def one_run(self, began: datetime) -> tuple[Cost, Cost]:
        """The cost of two evaluations: the first one of a run that has just begun, with a baseline of six hours; and
        one after a restart of the operator, of a run that began at `began`.
        """
        self._prometheus.scrape([PAST])
        await self._until_loaded()
        now = datetime.now(UTC)
        first = [await self._evaluate(self._evaluator(), [_subject(PAST, now)], now) for _ in range(_REPEATS)]
        restarted = [await self._evaluate(self._evaluator(), [_subject(PAST, began)], now) for _ in range(_REPEATS)]
        return _summarized(first, median), _summarized(restarted, median)

    async def many_runs(self, runs: int) -> Stage:
        """The cost of `runs` runs that begin at the same time and are evaluated together, every five seconds."""
        names = [f"run{number}" for number in range(runs)]
        self._prometheus.scrape(names)
        await asyncio.sleep(_SETTLED_SECONDS)
        before, evaluator = _memory(), self._evaluator()
        subjects = [_subject(name, datetime.now(UTC)) for name in names]
        rounds = _Rounds()
        early = [await self._evaluate(evaluator, subjects, now) async for now in rounds.next(_WARM_UP)]
        sent, spent = self._prometheus.bytes_sent(), self._prometheus.cpu_seconds()
        later = [await self._evaluate(evaluator, subjects, now) async for now in rounds.next(_ROUNDS)]
        round_cpu = (self._prometheus.cpu_seconds() - spent) / _ROUNDS
        sent, memory = (self._prometheus.bytes_sent() - sent) / _ROUNDS, _memory() - before
        spent = self._prometheus.cpu_seconds()
        await asyncio.sleep(_IDLE_SECONDS)
        scrape_cpu = (self._prometheus.cpu_seconds() - spent) * EVALUATION_SECONDS / _IDLE_SECONDS
        return Stage(
            runs,
            early[0],
            _summarized(later, fmean),
            max(cost.lag for cost in later),
            sent,
            round_cpu - scrape_cpu,
            scrape_cpu,
            memory,
        )

    async def _evaluate(self, evaluator: Evaluator, subjects: Sequence[Subject], now: datetime) -> Cost:
        """One verdict on each run, all at the same time, at `now`."""
        clock = self._clock
        queries, ticks, parts = clock.queries, clock.ticks, dict(clock.seconds)
        cpu, spent, began = time.process_time(), self._prometheus.cpu_seconds(), time.monotonic()
        verdicts = await asyncio.gather(
            *(evaluator.verdict(subject, Status(phase=Phase.STEPPING), NO_CRASHES, now) for subject in subjects)
        )
        done = time.time()
        if lost := [verdict.message for verdict in verdicts if verdict.reason == METRICS_UNAVAILABLE]:
            raise SystemExit(f"error: {len(lost)} of {len(subjects)} runs got no metrics: {lost[0]}")
        return Cost(
            clock.queries - queries,
            clock.ticks - ticks,
            time.process_time() - cpu,
            {part: seconds - parts[part] for part, seconds in clock.seconds.items()},
            self._prometheus.cpu_seconds() - spent,
            median(done - clock.newest.get(subject.run.id, done) for subject in subjects),
            time.monotonic() - began,
        )

    def _evaluator(self) -> Evaluator:
        """That of an operator that has just started."""
        return Evaluator(Reader(self._client), _INTERVALS)

    async def _until_loaded(self) -> None:
        """Wait until Prometheus has scraped the past up to now."""
        deadline = time.monotonic() + _LOADED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            newest = f'timestamp(ml_requests_started_total{{revision="{revision(PAST, "canary")}",entry="gateway"}})'
            series = await asyncio.to_thread(self._client.custom_query, newest, {})
            if len(series) == PODS and time.time() - float(series[0]["value"][1]) < _SETTLED_SECONDS:
                return
            await asyncio.sleep(1)
        raise SystemExit(f"error: Prometheus did not scrape the past within {_LOADED_WITHIN_SECONDS:.0f} s")


def _subject(name: str, began: datetime) -> Subject:
    run = Run(
        id=f"{name}-1",
        started_at=began,
        traffic=Traffic(Ingress("nginx", f"{name}.example.com")),
        rollout=_ROLLOUT,
        canary=RevisionRef(revision(name, "canary"), f"models:/{name}/2"),
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
    """Bytes of memory that this process uses."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096.0


def _summarized(costs: Sequence[Cost], average: Callable[[Iterable[float]], float]) -> Cost:
    """The average of each number: their mean or median."""
    parts = {part: average([cost.parts.get(part, 0.0) for cost in costs]) for part in (FETCHING, *PARTS)}
    fields = ("queries", "ticks", "cpu", "prometheus", "lag", "seconds")
    return Cost(parts=parts, **{field: average([getattr(cost, field) for cost in costs]) for field in fields})


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _rounds(stages: Sequence[Stage]) -> str:
    """The table of a round: one evaluation of each run."""

    def row(name: str, value: Callable[[Stage], float], form: str = ".0f") -> list[str]:
        return [name, *(format(value(stage), form) for stage in stages)]

    def per_run(name: str, value: Callable[[Stage], float]) -> list[str]:
        return row(name, lambda stage: 1000 * value(stage) / stage.runs, ".2f")

    def rest(stage: Stage) -> float:
        return stage.later.cpu - sum(stage.later.parts.values())

    def of_part(part: str) -> list[str]:
        return per_run(f"- {part}", lambda stage: stage.later.parts[part])

    return _table(
        ["each round", *(f"{stage.runs} runs" for stage in stages)],
        [
            row("queries", lambda stage: stage.later.queries),
            row("kB of answers per run", lambda stage: stage.sent / 1000 / stage.runs, ".1f"),
            row("operator: share of one CPU, %", lambda stage: 100 * stage.later.cpu / EVALUATION_SECONDS, ".1f"),
            per_run("operator: CPU ms per run", lambda stage: stage.later.cpu),
            *map(of_part, (FETCHING, *PARTS)),
            per_run("- the rest", rest),
            per_run("Prometheus: CPU ms per run for queries", lambda stage: stage.query_cpu),
            per_run("Prometheus: CPU ms per run for scrapes", lambda stage: stage.scrape_cpu),
            row("seconds until all verdicts are there", lambda stage: stage.later.seconds, ".2f"),
            row("age of the newest tick, s: median", lambda stage: stage.later.lag, ".1f"),
            row("age of the newest tick, s: worst round", lambda stage: stage.worst_lag, ".1f"),
            per_run("first round: operator's CPU ms per run", lambda stage: stage.first.cpu),
            row("memory of the operator, kB per run", lambda stage: stage.memory / 1000 / stage.runs),
        ],
    )


def _one_run(first: Cost, restarted: Cost) -> str:
    """The table of one run."""

    def row(name: str, cost: Cost) -> list[str]:
        times = (cost.cpu, *cost.parts.values(), cost.prometheus)
        return [name, f"{cost.queries:.0f}", f"{cost.ticks:.0f}", *(f"{1000 * seconds:.0f}" for seconds in times)]

    per_tick = 1000 * (restarted.cpu - first.cpu) / restarted.ticks
    head = ["CPU, ms", "queries", "ticks", "operator", *first.parts, "Prometheus"]
    table = _table(head, [row("first evaluation", first), row("after a restart", restarted)])
    return f"{table}\nA tick that is read again takes the operator {per_tick:.1f} ms.\n"


async def _measured(runs: Sequence[int]) -> None:
    began = datetime.now(UTC) - timedelta(seconds=_PAST_RUN_SECONDS)
    with prometheus.started(began.timestamp()) as server:
        bench = Bench(server)
        print(_one_run(*await bench.one_run(began)))
        print(_rounds([await bench.many_runs(number) for number in runs]))


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.reader", description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=int, default=_RUNS, help="how many at the same time, one stage each")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    asyncio.run(_measured(parser.parse_args(argv).runs))


if __name__ == "__main__":
    main(sys.argv[1:])
