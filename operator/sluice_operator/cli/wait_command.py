"""`kubectl sluice wait NAME`: waits until a rollout is over, for pipelines, and writes a report of it."""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sluice_operator.api.status import Status, Verdict
from sluice_operator.cli import cluster, ending, files, markdown_report, run_sources, text_table, times
from sluice_operator.cli.cluster import CommandError
from sluice_operator.cli.ending import Ending
from sluice_operator.report import status_words

_EVERY = 5.0  # seconds between two looks
_MOST_FAILURES = 24  # looks in a row that fail: two minutes, in which an API server is replaced
_NOT_OVER = 3
_EPILOG = """Exit code 0: the version serves, and no run is under way; 1: it does not (rejected, withdrawn, or it waits
for a person); 3: it is not over after the timeout. The report is written in each of these cases."""


def add(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser("wait", help="wait until the rollout is over, and report", epilog=_EPILOG)
    parser.add_argument("name", help="name of the ModelDeployment")
    parser.add_argument("-n", "--namespace", help="default: that of the current context")
    parser.add_argument(
        "--model",
        default="",
        help="the version that is waited for, such as models:/iris/3; needed where the spec follows an alias or a"
        " stage, because the operator sees only later where that points. Default: the version in spec.model.uri",
    )
    parser.add_argument("--timeout", default="2h", help="default 2h")
    parser.add_argument("--report", help="write a report as Markdown to this file, for a comment on a pull request")
    parser.set_defaults(run=run)


def run(
    options: argparse.Namespace,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Print each change until the rollout is over. Returns the exit code."""
    if options.model and not ending.pinned(options.model):
        raise CommandError(f"--model {options.model} can name another version later: write models:/NAME/VERSION")
    files.check_writable(options.report)
    until = clock() + times.duration(options.timeout).total_seconds()
    body = cluster.found(options.name, options.namespace)
    namespace = str(body["metadata"]["namespace"])
    model = options.model or ending.pinned(str(body["spec"]["model"]["uri"]))
    before = cluster.status_of(body).history
    printed, judged, failures = "", None, 0
    while True:
        status = cluster.status_of(body)
        judged = status.verdict or judged
        printed = _print_change(status, printed)
        over = ending.ended(int(body["metadata"].get("generation", 0)), status, model, before)
        if over is None and clock() >= until:
            words = f"the phase is {status.phase}; the rollout goes on by itself"
            over = Ending(False, f"not over after {options.timeout}", f"{status.message} ({words})")
            return _told(options, namespace, status, over, judged, _NOT_OVER)
        if over is not None:
            return _told(options, namespace, status, over, judged, int(not over.serves))
        pause(_EVERY)
        try:
            body, failures = cluster.found(options.name, options.namespace), 0
        except CommandError:
            failures += 1
            if failures == _MOST_FAILURES:
                raise


def _print_change(status: Status, before: str) -> str:
    line = status_words.headline(status)
    if line != before:
        print(text_table.plain(f"{datetime.now(UTC):%H:%M:%S}  {line}. {status.message}"), flush=True)
    return line


def _told(
    options: argparse.Namespace, namespace: str, status: Status, over: Ending, judged: Verdict | None, code: int
) -> int:
    """Print how it ended, and write the report. Returns the exit code."""
    print(text_table.plain(f"{over.title}: {over.message or status.message}"))
    if options.report:
        verdict = _recorded(options, status) or judged
        files.write(options.report, markdown_report.page(options.name, namespace, status, over, verdict))
    return code


def _recorded(options: argparse.Namespace, status: Status) -> Verdict | None:
    """The last verdict of the newest run, from its record: status has none any more when a run is over."""
    record = status.history[0].record if status.history and status.run is not None else ""
    if not record or status.run is None or status.run.outcome is None:
        return None
    try:
        return run_sources.of_cluster(options.name, options.namespace, record).last_evaluation.verdict
    except CommandError:
        return None  # without counts, or written later because Prometheus does not answer
