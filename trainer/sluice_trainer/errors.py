"""What ends a command with exit code 2."""


class UnusableError(Exception):
    """What was asked for cannot be done. The text is one sentence for the user, with what to do."""
