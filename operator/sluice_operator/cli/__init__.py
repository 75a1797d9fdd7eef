"""`kubectl sluice`: reads what the operator wrote, and judges it again. It changes nothing in a cluster."""

import argparse
import sys
from collections.abc import Sequence

from sluice_operator.cli import forecast_command, history_command, replay_command
from sluice_operator.cli.kubectl import CommandError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 2 for what cannot be done as asked; `replay` has its own meaning of 0 and 1."""
    parser = argparse.ArgumentParser("kubectl sluice", description="Looks into the runs of ModelDeployments.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for verb in (history_command, replay_command, forecast_command):
        verb.add(verbs)
    asked = parser.parse_args(arguments)
    try:
        code: int = asked.run(asked)
    except CommandError as error:
        print(f"kubectl sluice: {error}", file=sys.stderr)
        return 2
    return code
