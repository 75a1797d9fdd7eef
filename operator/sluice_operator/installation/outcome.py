"""How a check ends: with a line for a person. What is not well is a CheckError until then."""

from dataclasses import dataclass

OK, FAIL = "ok  ", "FAIL"  # what a line begins with


class CheckError(Exception):
    """Something is not well. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """The result of a check as a person reads it."""

    is_well: bool
    text: str

    def __str__(self) -> str:
        return f"{OK if self.is_well else FAIL}  {self.text}"
