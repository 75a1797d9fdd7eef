"""A request that gets no prediction, and why, in words that belong to no transport.

A dialect gives each cause its status and writes the rejection in its own shape.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

Location: TypeAlias = tuple[str | int, ...]  # the way to a value: field names and positions
_LONGEST_MESSAGE, _LONGEST_NAME = 2_000, 300  # characters


class Cause(Enum):
    """Why there is no prediction."""

    INVALID = "the request does not fit the model's signature"
    TOO_LARGE = "too many rows or bytes"
    TOO_SLOW = "the request did not come in time"
    UNREADABLE = "a format that is not read here"
    NOT_READY = "no model is ready"
    OVERLOADED = "too many rows wait"
    LIMITED = "too many requests of one client"
    CROWDED = "too many bodies at the same time"
    FAILED = "the model failed"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Cause and message; an INVALID request also has the location of the first fault and one word for its kind."""

    cause: Cause
    message: str
    location: Location = ()
    kind: str = ""

    @property
    def located(self) -> str:
        """The message, after the place of the value: `instances[0].petal_width: ...`."""
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.location).lstrip(".")
        return f"{place}: {self.message}" if place else self.message

    def below(self, *location: str | int) -> Rejection:
        """The same rejection for a value that lies deeper in a request."""
        return dataclasses.replace(self, location=(*_cut(location), *self.location))


def invalid(location: Location, kind: str, message: str) -> Rejection:
    """The rejection of a value. What is in it of the request itself is cut: it may be as long as the request."""
    return Rejection(Cause.INVALID, message[:_LONGEST_MESSAGE], _cut(location), kind)


def _cut(location: Location) -> Location:
    return tuple(part[:_LONGEST_NAME] if isinstance(part, str) else part for part in location)
