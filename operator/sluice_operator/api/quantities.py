"""Durations, shares, ratios and numbers as people write them in YAML (`30s`, `"0.1%"`, `"0.70"`, `"1.5"`).

Each keeps the text that it was read from, so that a frozen copy in `status` looks like the `spec` it came from.
"""

import math
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

_MAX_RATIO = 80  # the statistics cannot tell larger ones apart
_LONGEST = timedelta(days=365_250)  # a thousand years: a moment so much later can still be written down
_DIGITS = 15  # more are not read at all
_DURATION = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m(?!s))?(?:(?P<s>\d+)s)?(?:(?P<ms>\d+)ms)?")


class Duration(timedelta):
    """A span of time, written as hours, minutes, seconds and milliseconds: `2h`, `1h30m`, `30s`, `500ms`."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read `text`; raises ValueError with a message that says what to write."""
        match = _DURATION.fullmatch(text)
        if not text or match is None:
            raise ValueError(f"{text!r} is not a duration: write for example 30s, 5m, 1h30m or 500ms")
        digits = [match[part] or "0" for part in ("h", "m", "s", "ms")]
        hours, minutes, seconds, millis = (int(part) if len(part) <= _DIGITS else math.inf for part in digits)
        if hours * 3600 + minutes * 60 + seconds + millis / 1000 > _LONGEST.total_seconds():
            raise ValueError(f"{text[:40]!r} is longer than 1000 years")
        duration = cls(hours=hours, minutes=minutes, seconds=seconds, milliseconds=millis)
        duration.text = text
        return duration

    def __str__(self) -> str:
        return self.text


class Share(float):
    """A share between 0 and 1, written as a percentage or a fraction: `"0.1%"`, `"0.70"`."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Read `text`; raises ValueError with a message that says what to write."""
        try:
            value = float(Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1))
        except ArithmeticError:
            value = -1.0
        if not 0 < value < 1:
            raise ValueError(f'{text!r} is not a share between 0 and 1: write for example "0.1%" or "0.70"')
        share = cls(value)
        share.text = text
        return share

    def __str__(self) -> str:
        return self.text


class Ratio(float):
    """How many times as much, a number above 1: `"2"`, `"1.5"`."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Ratio":
        """Read `text`; raises ValueError with a message that says what to write."""
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 1 < value <= _MAX_RATIO:
            raise ValueError(
                f'{text!r} is not a ratio above 1 and at most {_MAX_RATIO}: write for example "1.5" or "2"'
            )
        ratio = cls(value)
        ratio.text = text
        return ratio

    def __str__(self) -> str:
        return self.text


class Number(float):
    """A finite number without a unit, such as the limit of a measurement: `"10"`, `"-0.5"`."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Number":
        """Read `text`; raises ValueError with a message that says what to write."""
        try:
            number = cls(text)
        except ValueError:
            number = cls("nan")
        if not math.isfinite(number):
            raise ValueError(f'{text!r} is not a number: write for example "10" or "-0.5"')
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text


def decode(kind: type, value: Any) -> Any:
    """msgspec `dec_hook` for the types above."""
    if kind in (Duration, Share, Ratio, Number) and isinstance(value, str):
        return kind.parse(value)
    raise NotImplementedError(f"{kind.__name__} cannot be read from {value!r}")


def encode(value: Any) -> Any:
    """msgspec `enc_hook` for the types above."""
    if isinstance(value, Duration | Share | Ratio | Number):
        return value.text
    raise NotImplementedError(f"{type(value).__name__} has no form in YAML")
