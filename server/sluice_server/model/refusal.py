"""A model version that will not be served: the same value for every check, whoever makes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """This model version will not be served; the reason is one word for machines, the message says what to do."""

    reason: str
    message: str
