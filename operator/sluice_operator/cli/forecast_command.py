"""`kubectl sluice forecast NAME`: how long the present run will take, or one that would begin now."""

import argparse
import asyncio
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from sluice_operator.analysis import baseline, criteria, wording
from sluice_operator.analysis.forecast import Outlook
from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Run, Status
from sluice_operator.cli import kubectl, run_sources, text_table, times
from sluice_operator.cli.kubectl import CommandError
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import Tally, Tick, tally
from sluice_operator.evalues.chain import Pods
from sluice_operator.prometheus.connection import Prometheus
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import Selection
from sluice_operator.records import backtest
from sluice_operator.records.backtest import StableTraffic
from sluice_operator.rollout import automatic_steps

_BIN_SECONDS = 15.0
_INTERVALS = Intervals(_BIN_SECONDS, _BIN_SECONDS)
_PAST_SECONDS = 3600.0  # of which stable's shares are told
_RECENT_SECONDS = 300.0  # of which the rate is told


def add(verbs: Any) -> None:
    """The verb and its options."""
    parser = verbs.add_parser("forecast", help="how long the present run will take, or one that would begin now")
    parser.add_argument("name", help="name of the ModelDeployment")
    parser.add_argument("-n", "--namespace", help="default: that of the current context")
    parser.add_argument("--prometheus", required=True, help="address of Prometheus, such as http://localhost:9090")
    run_sources.add_credentials(parser)
    parser.add_argument(
        "--at", default="0s", help="as of a time such as 2026-03-01T12:00:00Z, or so long ago, such as 2h"
    )
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Prints requests and time by step, and whether the deadline allows for them."""
    namespace, wanted, current = kubectl.model_deployment(asked.name, asked.namespace)
    if current.stable is None:
        raise CommandError(f"{asked.name} has no stable revision yet: its first one is not compared with anything")
    at = times.moment(asked.at, datetime.now(UTC))
    try:
        steps, outlook = asyncio.run(
            expected(run_sources.connected(asked), (namespace, asked.name), wanted, current, at)
        )
    except MetricsLostError as error:
        raise CommandError(f"{error}: check --prometheus") from error
    if outlook is None:
        raise CommandError("Prometheus knows less than 100 requests of that hour: that is too little to tell")
    print(*_told(steps, outlook), sep="\n")
    return 0


async def expected(
    prometheus: Prometheus, key: tuple[str, str], wanted: Spec, current: Status, now: datetime
) -> tuple[Run, Outlook | None]:
    """The run that goes on, or one under the present spec, and what it may expect."""
    reader, stable = Reader(prometheus), current.stable
    assert stable is not None
    canary = current.canary.revision if current.canary else ""
    run = current.run
    going_on = run is not None and run.outcome is None and bool(run.steps) and run.started_at <= now
    if not going_on or run is None:
        found = await Evaluator(reader, _INTERVALS).latency_thresholds(key, stable.revision, wanted.objectives, now)
        lately, began = StableTraffic(0.0, run_sources.known(wanted.objectives, found)), now - timedelta(hours=1)
        run = backtest.hypothetical_run(wanted, lately, canary or "none", stable.revision, began, now)
    bounds = criteria.bounds(run.judged, ())
    until = now.timestamp()
    edges = [until - _PAST_SECONDS + _BIN_SECONDS * index for index in range(int(_PAST_SECONDS / _BIN_SECONDS) + 1)]
    revisions = tuple(one for one in (stable.revision, canary) if one)
    counters = Counters()
    counters.add(await reader.grid(Selection((key,), revisions, bounds), edges[0], until, _BIN_SECONDS))
    recent = [edge for edge in edges if edge >= until - _RECENT_SECONDS]
    ticks = [_tick(counters, stable.revision, canary, *ends) for ends in pairwise(recent)]
    if not going_on:
        rate = sum(one.stable.finished + one.canary.finished for one in ticks) / _RECENT_SECONDS
        run = replace(run, steps=wanted.rollout.canary.steps or automatic_steps.steps_for(rate))
    past = edges[: len(edges) - len(ticks)]
    learned = await asyncio.to_thread(baseline.learn, run.judged, bounds, counters, stable.revision, past)
    pods = Pods(run.replicas, run.replicas)
    trial = RunEvidence(run.judged, len(run.steps), learned, pods, _BIN_SECONDS)
    for tick in ticks:
        trial.update(tick, replace(run, live_weights=()))
    return run, trial.outlook(run)


def _tick(counters: Counters, stable: str, canary: str, since: float, until: float) -> Tick:
    of_canary = tally(counters, canary, since, until) if canary else Tally()
    return Tick(since, until, of_canary, tally(counters, stable, since, until))


def _told(run: Run, outlook: Outlook) -> Iterator[str]:
    rows = [("STEP", "WEIGHT", "REQUESTS", "TIME")]
    found = outlook.forecast
    for index, (step, requests, seconds) in enumerate(zip(run.steps, found.requests, found.seconds, strict=True)):
        rows.append((str(index + 1), f"{step.weight}%", text_table.number(requests), text_table.span(seconds)))
    yield from text_table.lines(rows)
    yield ""
    yield wording.unreachable(outlook, run.judged) or f"{wording.forecast(outlook)}; the deadline is {outlook.deadline}"
    if math.isinf(outlook.wider):
        yield "Send more requests, set rollout.deadline higher, or write wider limits."
