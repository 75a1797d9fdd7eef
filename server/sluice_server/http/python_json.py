"""JSON by Python's own reader, for the bodies that msgspec does not read, or reads slowly.

msgspec takes up to 40 us for a number near the ends of a double (1e-308, 1e300), and for one with many more digits than
a double has: a hundred times as long as for others. 4 MB of them take seconds, in which no other thread runs. Python's
reader takes a microsecond for any number, and lets other threads run between two of them.
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import Any

import msgspec

_FEW = 100  # slow numbers: they take msgspec some milliseconds at most
_SHORTEST = 5  # bytes of a slow number: 1e300
# An exponent of three digits, or one after more digits than a double has; each sign is searched for by itself, because
# a pattern that begins with one certain character is found ten times as fast.
_SLOW = {
    sign: re.compile(rb"%b(?<=[0-9.]%b)(?:[-+]?[0-9]{3}|(?<=[0-9.]{20}%b))" % (sign, sign, sign))
    for sign in (b"e", b"E")
}
_ZEROS, _RUN = b"0" * 256, 1_000  # of a fraction near the smallest double; digits
_LARGE = 1024 * 1024  # bytes; numbers of so many are read in less than 50 ms at once
_MAY_BE_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F])|.)", re.DOTALL
)


def is_slow(body: bytes) -> bool:
    """Whether msgspec would take long for the numbers of a body. Itself it looks at a megabyte in some milliseconds."""
    if len(body) <= _FEW * _SHORTEST:
        return False
    found = body.count(_ZEROS) + _long_runs(body)
    for sign, pattern in _SLOW.items():
        if sign in body:
            for at in range(0, len(body), _LARGE):  # between two parts others may run
                found += sum(1 for _ in islice(pattern.finditer(body, at, at + _LARGE), _FEW + 1))
    return found > _FEW


def _long_runs(body: bytes) -> int:
    """How many thousands of bytes are digits alone: a whole number takes the square of its length."""
    return sum(body[at : at + _RUN].isdigit() for at in range(0, len(body), _RUN))


def read(body: bytes, nan: bool = False) -> Any:
    """What is in a body. `nan`: whether it may have NaN and Infinity.

    Raises what msgspec does: DecodeError, UnicodeDecodeError and RecursionError.
    """
    text, constant = body.decode(), _special if nan else _refused
    try:
        if len(body) > _LARGE or is_slow(body):  # it lets others run wherever it calls a function of Python
            found = json.loads(text, parse_constant=constant, parse_float=_float, parse_int=_whole)
        else:
            found = json.loads(text, parse_constant=constant)
    except ValueError as error:
        raise msgspec.DecodeError(str(error)) from None
    if _has_half_a_pair(body):
        raise msgspec.DecodeError("a text has half of a surrogate pair")
    return found


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise msgspec.DecodeError("a number is out of range")
    return number


def _whole(text: str) -> int:
    return int(text)  # which the reader would call without letting others run


def _special(name: str) -> float:
    return float(name)


def _refused(name: str) -> float:
    raise msgspec.DecodeError(f"there is no {name} in JSON")


def _has_half_a_pair(body: bytes) -> bool:
    """Python takes half of a surrogate pair for a character, which nothing can write."""
    return bool(_MAY_BE_HALF.search(body)) and any(found["half"] for found in _ESCAPE.finditer(body))
