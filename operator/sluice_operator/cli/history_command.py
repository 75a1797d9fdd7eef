"""`kubectl sluice history NAME`: the runs that there are records of."""

import argparse
from typing import Any

from sluice_operator.cli import kubectl, text_table


def add(verbs: Any) -> None:
    """The verb and its options."""
    parser = verbs.add_parser("history", help="the runs that there are records of")
    parser.add_argument("name", help="name of the ModelDeployment")
    parser.add_argument("-n", "--namespace", help="default: that of the current context")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """One line per record, the newest first."""
    rows = [("RECORD", "ENDED", "MODEL", "STABLE", "OUTCOME", "REASON", "MESSAGE")]
    for one in kubectl.records(asked.name, asked.namespace):
        data = one["data"]
        facts = (data[key] for key in ("model", "stable", "outcome", "reason", "message"))
        rows.append((one["metadata"]["name"], data["endedAt"][:19] + "Z", *facts))
    print(*text_table.lines(rows), sep="\n")
    return 0
