"""`python -m sluice_trainer COMMAND`: from data to a version in MLflow. Each command has a module of its own.

Progress goes to stderr. stdout is the result, for scripts. Exit code 2: it cannot be done as asked, and one sentence
says what to do. What the others mean is in each command.
"""

import argparse
import sys
from collections.abc import Sequence

from sluice_trainer import drift_command, evaluate_command, retrain_command, train_command, validate_command
from sluice_trainer.console import log
from sluice_trainer.errors import UnusableError

_COMMANDS = (validate_command, train_command, evaluate_command, retrain_command, drift_command)


def main(argv: Sequence[str]) -> int:
    """Run a command; gives the exit code."""
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except UnusableError as trouble:
        log(str(trouble))
        return 2
    return code


def parser() -> argparse.ArgumentParser:
    """All commands with their flags."""
    made = argparse.ArgumentParser(
        prog="python -m sluice_trainer", description="Checks data; trains, compares and registers models of iris."
    )
    commands = made.add_subparsers(required=True, metavar="command")
    for command in _COMMANDS:
        command.add(commands)
    return made


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
