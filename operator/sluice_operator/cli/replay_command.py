"""`kubectl sluice replay`: a run judged again from its record, or a policy on a time of the past."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sluice_operator import report
from sluice_operator.cli import run_sources, text_table, tick_table, times
from sluice_operator.cli.kubectl import CommandError
from sluice_operator.cli.run_sources import Past
from sluice_operator.records.backtest import Backtest, backtested
from sluice_operator.records.replay import Replay, replayed
from sluice_operator.records.run_record import RunRecord

_EPILOG = """\
Exit code 0: the replayed verdict is the recorded one; 1: it is not, with the difference; 2: nothing could be replayed.
With --prometheus a policy is judged on the past, without any run; the exit code is 0 unless it would have failed."""


def add(verbs: Any) -> None:
    """The verb and its options."""
    parser = verbs.add_parser("replay", help="a run judged again, tick by tick", epilog=_EPILOG)
    parser.add_argument("name", nargs="?", help="name of the ModelDeployment")
    parser.add_argument("-n", "--namespace", help="default: that of the current context")
    parser.add_argument(
        "--run", default="newest", dest="chosen", help="a record's name, see `history`; default: newest"
    )
    parser.add_argument("--record", help="read the record from this file: a ConfigMap as kubectl prints it")
    parser.add_argument("--ticks", action="store_true", help="every tick, not only those at which something changed")
    parser.add_argument("--report", help="also write the run as a page of HTML to this file")
    past = parser.add_argument_group("a policy on the past")
    past.add_argument("--prometheus", help="address of Prometheus, such as http://localhost:9090")
    run_sources.add_credentials(past)
    past.add_argument("-f", "--filename", help="the ModelDeployment whose objectives, steps and confidence are tried")
    past.add_argument("--canary", help="revision that is judged")
    past.add_argument("--stable", help="revision that it is compared with")
    past.add_argument("--since", help="a time such as 2026-03-01T12:00:00Z, or how long ago, such as 2h")
    past.add_argument("--until", default="0s", help="likewise; default: now")
    past.add_argument("--scrape-interval", default="15s", help="of Prometheus; default: 15s")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Prints what changed from tick to tick, or every tick, and the verdict."""
    if asked.prometheus:
        replay = replayed(_past(asked))
        tried = backtested(replay)
        rows = (
            tick_table.every(replay, tick_table.imagined(replay, tried)) if asked.ticks else tick_table.changed(replay)
        )
        print(*rows, "", *_told(replay, tried), sep="\n")
        code = int(tried.verdict.result == "Fail")
    else:
        replay = replayed(_recorded(asked))
        differences = list(replay.differences())
        rows = tick_table.every(replay, tick_table.decided(replay)) if asked.ticks else tick_table.changed(replay)
        print(*rows, "", *_compared(replay, differences), sep="\n")
        code = int(bool(differences))
    if asked.report:
        _write(asked.report, report.page(replay))
        print(f"report: {asked.report}")
    return code


def _recorded(asked: argparse.Namespace) -> RunRecord:
    if asked.record:
        return run_sources.of_file(asked.record)
    if not asked.name:
        raise CommandError("name a ModelDeployment, or a file with --record")
    return run_sources.of_cluster(asked.name, asked.namespace, asked.chosen)


def _past(asked: argparse.Namespace) -> RunRecord:
    for option in ("filename", "canary", "stable", "since"):
        if not getattr(asked, option):
            raise CommandError(f"--prometheus needs --{option}: see kubectl sluice replay --help")
    namespace, name, policy = run_sources.policy_of(asked.filename)
    now = datetime.now(UTC)
    scrape = times.duration(asked.scrape_interval)
    past = Past(
        asked.namespace or namespace,
        asked.name or name,
        asked.canary,
        asked.stable,
        times.moment(asked.since, now),
        times.moment(asked.until, now),
        scrape.total_seconds(),
    )
    if past.until <= past.since:
        raise CommandError(f"--until {past.until} is not after --since {past.since}")
    return run_sources.of_prometheus(run_sources.connected(asked), past, policy)


def _compared(replay: Replay, differences: list[str]) -> Iterator[str]:
    run, verdict = replay.record.run, replay.verdict
    yield f"{run.outcome} ({run.reason}): {run.message}"
    at = text_table.clock(replay.record.last_evaluation.at.timestamp())
    message = f": {verdict.message}" if verdict.message else ""
    yield f"verdict at {at}: {verdict.result} ({verdict.reason}){message}"
    if replay.incomparable:
        yield f"not compared with what was recorded: {replay.incomparable}"
    elif differences:
        yield "DIFFERENT from what was recorded:"
        yield from differences
    else:
        yield "the same as recorded"


def _told(replay: Replay, tried: Backtest) -> Iterator[str]:
    run = replay.record.run
    for step, at in zip(run.steps, tried.passed, strict=False):
        after, clock = text_table.span(at.timestamp() - replay.record.started), text_table.clock(at.timestamp())
        yield f"step of weight {step.weight} would have been passed at {clock}, after {after}"
    verdict = tried.verdict
    yield f"verdict at {text_table.clock(tried.at.timestamp())}: {verdict.result} ({verdict.reason}): {verdict.message}"


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error
