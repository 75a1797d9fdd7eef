"""What people read while a command works. stdout is for the result alone."""

import sys


def log(text: str) -> None:
    """Print a line to stderr at once."""
    print(text, file=sys.stderr, flush=True)
