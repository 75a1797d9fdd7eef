"""How far a predicted number may be from the true one and still count as right."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_TEXT = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)(?P<percent> ?%)?")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`by`: in the unit of the prediction; if `relative`, a share of the true number."""

    by: float
    relative: bool = False

    def accepts(self, error: float, true: float) -> bool:
        """Whether a prediction that is `error` away from `true` is right. At the tolerance itself it is.

        What the last digit of a sum of decimal fractions gets wrong does not decide: 9.3 is within 3 of 12.3.
        """
        allowed = self.by * abs(true) if self.relative else self.by
        return abs(error) <= allowed or math.isclose(abs(error), allowed)


def tolerance(text: str) -> Tolerance | None:
    """Of a setting such as `3`, `0.5` or `10%`; None for an empty one. Raises ValueError for any other text."""
    if not text.strip():
        return None
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:50]!r} is neither a number such as 3 or 0.5 nor a share such as 10%")
    number = float(found["number"])
    if not math.isfinite(number):
        raise ValueError(f"{text[:50]!r} is too large")
    return Tolerance(number / 100, relative=True) if found["percent"] else Tolerance(number)
