"""The entry of `kubectl sluice`, also `python -m sluice_operator.cli`: the list of its verbs."""

import argparse
import sys
from collections.abc import Sequence

from sluice_operator.cli import (
    doctor_command,
    forecast_command,
    history_command,
    replay_command,
    status_command,
    steer_command,
    text_table,
    wait_command,
)
from sluice_operator.cli.cluster import CommandError

_COMMANDS = (
    status_command,
    wait_command,
    steer_command,
    history_command,
    replay_command,
    forecast_command,
    doctor_command,
)

_INTERRUPTED = 130  # as of each program that Ctrl-C ends


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 2 for what cannot be carried out; 1 if the operator refuses it, or as `replay` and `wait` say.

    130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser("kubectl sluice", description="Shows and steers the rollouts of ModelDeployments.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for command in _COMMANDS:
        command.add(verbs)
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except CommandError as error:
        print(text_table.plain(f"kubectl sluice: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
