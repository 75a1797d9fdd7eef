"""How a check ends: with a sentence, or with a CheckError."""


class CheckError(Exception):
    """Something is not well. The text says what to do."""
