"""`kubectl sluice forecast NAME`: how long the present run will take, or one that would begin now."""

import argparse
import asyncio
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from sluice_operator.analysis import criteria, expectations
from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.forecast import Outlook
from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.api.run import Run
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Status
from sluice_operator.cli import cluster, run_sources, text_table, times
from sluice_operator.cli.cluster import CommandError
from sluice_operator.controller.evaluation import stable_history
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions, Tally, Tick, tally
from sluice_operator.evalues.chain import Pods
from sluice_operator.prometheus.connection import Prometheus
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import Selection
from sluice_operator.records import backtest
from sluice_operator.records.backtest import StableTraffic
from sluice_operator.rollout import automatic_steps

_TICK_SECONDS = 15.0
_INTERVALS = Intervals(_TICK_SECONDS, _TICK_SECONDS)
_RECENT_SECONDS = 300.0  # of which the request rate is taken; the hours before are stable's past


def add(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser("forecast", help="how long the present run will take, or one that would begin now")
    parser.add_argument("name", help="name of the ModelDeployment")
    parser.add_argument("-n", "--namespace", help="default: that of the current context")
    parser.add_argument("--prometheus", required=True, help="address of Prometheus, such as http://localhost:9090")
    run_sources.add_credentials(parser)
    parser.add_argument("--at", default="0s", help="a time such as 2026-03-01T12:00:00Z, or how long ago, such as 2h")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print requests and time by step, and whether the deadline is long enough for them."""
    namespace, wanted, current = cluster.model_deployment(options.name, options.namespace)
    if current.stable is None:
        raise CommandError(f"{options.name} has no stable revision yet: its first one is not compared with anything")
    run_sources.check_has_steps(options.name, wanted)
    now = times.moment(options.at, datetime.now(UTC))
    try:
        prometheus = run_sources.connected(options)
        expected_run, outlook = asyncio.run(expected(prometheus, (namespace, options.name), wanted, current, now))
    except MetricsLostError as error:
        raise CommandError(f"{error}: check --prometheus") from error
    if outlook is None:
        raise CommandError("Prometheus has fewer than 100 requests of the six hours before: too few for a forecast")
    print(*map(text_table.plain, _lines(expected_run, outlook)), sep="\n")
    return 0


async def expected(
    prometheus: Prometheus, key: tuple[str, str], wanted: Spec, current: Status, now: datetime
) -> tuple[Run, Outlook | None]:
    """The present run, or one under the present spec, and what it may expect: None if there are too few requests.

    `key`: namespace and name. Raises CommandError and MetricsLostError.
    """
    reader, stable = Reader(prometheus), current.stable
    assert stable is not None  # `run` refuses an object without a stable revision
    canary = current.canary.revision if current.canary else ""
    present = _present_run(current, now)
    run = present or await _new_run(reader, key, wanted, canary, stable.revision, now)
    recent = _recent_edges(now.timestamp())
    past = await _past(reader, key, run, canary, stable.revision, min(run.started_at.timestamp(), recent[0]))
    revisions = tuple(revision for revision in (stable.revision, canary) if revision)
    selection = Selection((key,), revisions, criteria.bounds(run.judged, past.bounds))
    counters = Counters()
    counters.add(await reader.grid(selection, recent[0], now.timestamp(), _TICK_SECONDS))
    ticks = [_tick(counters, stable.revision, canary, start, end) for start, end in pairwise(recent)]
    if present is None:
        rate = sum(tick.stable.finished + tick.canary.finished for tick in ticks) / _RECENT_SECONDS
        run = replace(run, steps=automatic_steps.steps_of(wanted.rollout, rate))
    evidence = RunEvidence(run.judged, len(run.steps), past, Pods(run.replicas, run.replicas), _TICK_SECONDS)
    for tick in ticks:
        evidence.update(tick, replace(run, live_weights=()))
    return run, evidence.outlook(run, evidence.objective_findings)


def _present_run(current: Status, now: datetime) -> Run | None:
    """The run of `status`, if it had begun at `now`, has its steps, and has not ended."""
    run = current.run
    return run if run is not None and run.outcome is None and run.steps and run.started_at <= now else None


async def _new_run(reader: Reader, key: tuple[str, str], wanted: Spec, canary: str, stable: str, now: datetime) -> Run:
    """A run under the present spec. Its automatic steps are set later, when the request rate is known."""
    slow = await Evaluator(reader, _INTERVALS).latency_thresholds(key, stable, wanted.objectives, now)
    traffic = StableTraffic(0.0, run_sources.known_thresholds(wanted.objectives, slow))
    began = now - timedelta(seconds=_RECENT_SECONDS)
    return backtest.hypothetical_run(wanted, traffic, canary or "none", stable, began, now)


async def _past(reader: Reader, key: tuple[str, str], run: Run, canary: str, stable: str, until: float) -> Baseline:
    """What stable did before `until` (unix seconds), as the operator learns it before a run."""
    began = replace(run, started_at=datetime.fromtimestamp(until, UTC))
    return await stable_history.baseline_of(reader, Subject(*key, began, ComparedRevisions(canary, stable)), _INTERVALS)


def _recent_edges(until: float) -> list[float]:
    """Where the last ticks begin and end: unix seconds."""
    ticks = int(_RECENT_SECONDS / _TICK_SECONDS)
    return [until - _RECENT_SECONDS + _TICK_SECONDS * index for index in range(ticks + 1)]


def _tick(counters: Counters, stable: str, canary: str, start: float, end: float) -> Tick:
    canary_tally = tally(counters, canary, start, end) if canary else Tally()
    return Tick(start, end, canary_tally, tally(counters, stable, start, end))


def _lines(run: Run, outlook: Outlook) -> Iterator[str]:
    """The table of steps, then one sentence about all of them, and advice where no deadline is long enough."""
    rows = [("STEP", "WEIGHT", "REQUESTS", "TIME")]
    forecast = outlook.forecast
    for index, (step, requests, seconds) in enumerate(zip(run.steps, forecast.requests, forecast.seconds, strict=True)):
        rows.append((str(index + 1), f"{step.weight}%", text_table.number(requests), text_table.span(seconds)))
    yield from text_table.lines(rows)
    yield ""
    yield (
        expectations.unreachable(outlook, run.judged)
        or f"{expectations.forecast(outlook)}; the deadline is {outlook.deadline}"
    )
    if math.isinf(outlook.margin_factor):
        yield "Send more requests, set rollout.deadline higher, or write wider limits."
        if outlook.divisor >= expectations.CLUMPED:
            yield f"Against clumps: {expectations.AGAINST_CLUMPS}."
