"""A row of a prediction as a pod of the model server sends it, and as people read it: with its label."""

from __future__ import annotations

from typing import Annotated

import msgspec

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


_DECODER = msgspec.json.Decoder(KeptRow)


def read(lines: bytes) -> list[tuple[KeptRow, bytes]]:
    """The rows with their lines; raises msgspec.DecodeError for a line that is none."""
    return [(_DECODER.decode(line), line) for line in lines.splitlines() if line]


def with_label(line: bytes, label: str | None) -> bytes:
    """The line with its label, which is JSON already; null for a row that has none yet. Ends with a newline."""
    return line.rstrip()[:-1] + b',"label":' + (label or "null").encode() + b"}\n"
