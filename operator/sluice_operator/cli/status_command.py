"""`kubectl sluice status NAME [--watch]`: what a rollout does, once or live."""

import argparse
import contextlib
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.live import Live

from sluice_operator.api.owner import Manifest
from sluice_operator.cli import cluster, status_view
from sluice_operator.report import status_words


def add(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser("status", help="what the rollout does, and why")
    parser.add_argument("name", help="name of the ModelDeployment")
    parser.add_argument("-n", "--namespace", help="default: that of the current context")
    parser.add_argument(
        "-w", "--watch", action="store_true", help="show it live; without a terminal, a line per change"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the status, or each change of it until Ctrl-C."""
    console = Console()
    if not options.watch:
        console.print(_drawn(cluster.found(options.name, options.namespace)))
        return 0
    with contextlib.suppress(KeyboardInterrupt):
        _follow(console, options)
    return 0


def _follow(console: Console, options: argparse.Namespace) -> None:
    cluster.found(options.name, options.namespace)  # raises if there is none
    bodies = cluster.seen_changes(options.name, options.namespace)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for body in bodies:
                live.update(_drawn(body), refresh=True)
    before = ""
    for body in bodies:
        status = cluster.status_of(body)
        if (line := status_words.headline(status)) != before:
            words = f"{datetime.now(UTC):%H:%M:%S}  {line}. {status.message}"
            console.print(status_view.text(words), soft_wrap=True)
        before = line


def _drawn(body: Manifest) -> Any:
    metadata = body["metadata"]
    title = f"{metadata['namespace']}/{metadata['name']}"
    return status_view.render(title, cluster.status_of(body), datetime.now(UTC))
