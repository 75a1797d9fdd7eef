"""`kubectl sluice history NAME`: the runs that have a run record, and the commands that people gave in them."""

import argparse
from typing import Any

from sluice_operator.cli import cluster, text_table


def add(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser("history", help="the runs that there are records of")
    parser.add_argument("name", help="name of the ModelDeployment")
    parser.add_argument("-n", "--namespace", help="default: that of the current context")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print one line per run record, the newest first; then one per command."""
    commands = list[str]()
    rows = [("RECORD", "ENDED", "MODEL", "STABLE", "OUTCOME", "REASON", "MESSAGE")]
    for config_map in cluster.records(options.name, options.namespace):
        data = config_map["data"]
        cells = (data[key] for key in ("model", "stable", "outcome", "reason", "message"))
        rows.append((config_map["metadata"]["name"], data["endedAt"][:19] + "Z", *cells))
        commands += map(
            text_table.plain, data.get("commands", "").splitlines()
        )  # a record of an older operator has none
    print(*text_table.lines(rows), *commands, sep="\n")
    return 0
