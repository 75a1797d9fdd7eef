"""`kubectl sluice replay`: judges a run again from its run record, or tries a policy on the past (a backtest)."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sluice_operator import report
from sluice_operator.api.status import Result
from sluice_operator.cli import files, run_sources, text_table, tick_table, times
from sluice_operator.cli.cluster import CommandError
from sluice_operator.cli.run_sources import Past
from sluice_operator.records.backtest import Backtest, backtested
from sluice_operator.records.replay import Replay, replayed
from sluice_operator.records.run_record import RunRecord

_EPILOG = """\
Exit code 0: the replayed verdict is the recorded one; 1: it is not, with the difference; 2: nothing could be replayed.
With --prometheus a policy is judged on the past, without any run; the exit code is 0 unless it would have failed."""


def add(verbs: Any) -> None:
    """Add the verb and its options."""
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


def run(options: argparse.Namespace) -> int:
    """Print the ticks at which something changed, or all of them, and the verdict."""
    files.check_writable(options.report)
    if options.prometheus:
        replay = replayed(_record_from_prometheus(options))
        backtest = backtested(replay)
        conclusion = _backtest_lines(replay, backtest)
        code = int(backtest.verdict.result is Result.FAIL)
    else:
        replay, backtest = replayed(_stored_record(options)), None
        differences = list(replay.differences())
        conclusion = _comparison_lines(replay, differences)
        code = int(bool(differences))
    if options.ticks:
        rows = [*tick_table.every(replay, backtest), "", *map(text_table.plain, tick_table.divisors(replay))]
    else:
        rows = tick_table.changed(replay)
    print(*rows, "", *map(text_table.plain, conclusion), sep="\n")
    if options.report:
        files.write(options.report, report.page(replay))
        print(f"report: {options.report}")
    return code


def _stored_record(options: argparse.Namespace) -> RunRecord:
    """The run record of a file, or of the cluster. Raises CommandError."""
    if options.record:
        return run_sources.of_file(options.record)
    if not options.name:
        raise CommandError("name a ModelDeployment, or a file with --record")
    return run_sources.of_cluster(options.name, options.namespace, options.chosen)


def _record_from_prometheus(options: argparse.Namespace) -> RunRecord:
    """The record of a run that did not happen, for a backtest. Raises CommandError."""
    for option in ("filename", "canary", "stable", "since"):
        if not getattr(options, option):
            raise CommandError(f"--prometheus needs --{option}: see kubectl sluice replay --help")
    namespace, name, policy = run_sources.policy_of(options.filename)
    run_sources.check_has_steps(options.filename, policy)
    now = datetime.now(UTC)
    scrape = times.interval(options.scrape_interval)
    past = Past(
        options.namespace or namespace,
        options.name or name,
        options.canary,
        options.stable,
        times.moment(options.since, now),
        times.moment(options.until, now),
        scrape.total_seconds(),
    )
    if past.until <= past.since:
        raise CommandError(f"--until {past.until} is not after --since {past.since}")
    return run_sources.of_prometheus(run_sources.connected(options), past, policy)


def _comparison_lines(replay: Replay, differences: list[str]) -> Iterator[str]:
    """How the run ended, its verdict, and whether that is the recorded one."""
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


def _backtest_lines(replay: Replay, backtest: Backtest) -> Iterator[str]:
    """When each step would have been passed, and the verdict."""
    run = replay.record.run
    for step, passed in zip(run.steps, backtest.passed, strict=False):
        at = passed.timestamp()
        clock, after = text_table.clock(at), text_table.span(at - replay.record.started)
        yield f"step of weight {step.weight} would have been passed at {clock}, after {after}"
    verdict, clock = backtest.verdict, text_table.clock(backtest.at.timestamp())
    yield f"verdict at {clock}: {verdict.result} ({verdict.reason}): {verdict.message}"
