"""A row of a prediction as a pod of the model server sends it, and as people read it: with its label."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from typing import Annotated

import msgspec

MAX_LINE = 2**16  # bytes; it takes some thirty times that while it is checked, and pods send no longer ones
_Text = Annotated[str, msgspec.Meta(max_length=1_000)]


class KeptRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`prediction`: hex digits, of which each prediction has others; `time`: seconds since the epoch.

    `features` by their names, without those that are not to be kept; `predicted`: a class, or what the model answered.
    """

    prediction: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]
    row: Annotated[int, msgspec.Meta(ge=0, lt=64)]
    time: Annotated[float, msgspec.Meta(ge=0, lt=2**40)]
    version: _Text
    revision: _Text
    correlation_id: _Text
    features: dict[str, msgspec.Raw]
    predicted: msgspec.Raw


class _Place(msgspec.Struct, frozen=True):
    """What is asked of a row that is kept already."""

    prediction: str
    row: int


_DECODER = msgspec.json.Decoder(KeptRow)
_PLACES = msgspec.json.Decoder(_Place)


def count(lines: bytes) -> int:
    """How many rows these are; raises msgspec.DecodeError for a line that is none, or too long."""
    rows = 0
    for line in _lines(lines):
        if len(line) > MAX_LINE:
            raise msgspec.DecodeError(f"it has {len(line)} bytes, and {MAX_LINE} is the limit")
        _DECODER.decode(line)
        rows += 1
    return rows


def batches(lines: bytes, size: int) -> Iterator[list[tuple[bytes, tuple[str, int]]]]:
    """The lines of rows that are kept, `size` at a time, with the prediction and the row that each is of."""
    rest = _lines(lines)
    while places := [(line, _PLACES.decode(line)) for line in islice(rest, size)]:
        yield [(line, (place.prediction, place.row)) for line, place in places]


def _lines(lines: bytes) -> Iterator[bytes]:
    """One after the other, so that a body of short ones does not become a long list."""
    return filter(None, (line.strip() for line in BytesIO(lines)))


def with_label(line: bytes, label: str | None) -> bytes:
    """The line with its label, which is JSON already; null for a row that has none yet. Ends with a newline."""
    return line.rstrip()[:-1] + b',"label":' + (label or "null").encode() + b"}\n"
