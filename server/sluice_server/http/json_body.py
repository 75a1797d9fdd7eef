"""JSON bodies: which content types are JSON, and what is said of a body that is none."""

from __future__ import annotations

import codecs
from typing import Any, TypeVar

import msgspec

from sluice_server.http import python_json
from sluice_server.inference.rejection import Cause, Rejection

CONTENT_TYPE = "JSON: send content-type: application/json"
# msgspec reads strings as UTF-8 only when it makes them, and then raises what Python does.
T = TypeVar("T")
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NOT_UTF8, _FIRST = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), 4  # a letter of ASCII has a zero byte there
_PARTS_PER_ROW, _MORE_PARTS = 4, 1_000
_NO_NUMBERS, _BEFORE_A_VALUE = (b"NaN", b"-Infinity", b"Infinity"), frozenset(b":,[ \t\r\n")


def is_json(content_type: str) -> bool:
    """Whether a content-type header names JSON; a body without one may be JSON."""
    if content_type in ("application/json", ""):
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def too_many_parts(body: bytes, rows: int) -> Rejection | None:
    """Rejects a body with more lists and objects than so many rows could need: making them would stop all others."""
    if body.count(b"[") + body.count(b"{") <= _PARTS_PER_ROW * rows + _MORE_PARTS:
        return None
    return Rejection(Cause.TOO_LARGE, f"the body has more lists and objects than {rows} rows need: split the request")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """What the decoder makes of a body, however slowly it would read the numbers in it; raises NOT_JSON."""
    return msgspec.convert(python_json.read(body), decoder.type) if python_json.is_slow(body) else decoder.decode(body)


def with_nan(body: bytes) -> Any:
    """A body of Python's own JSON, which has NaN; raises NOT_JSON."""
    if not _not_a_number(body):
        raise msgspec.DecodeError("there is no NaN in it")
    return python_json.read(body, nan=True)


def why(error: Exception, body: bytes) -> str:
    """Why a body is no JSON, from one of the exceptions NOT_JSON."""
    if isinstance(error, RecursionError):
        return "the body is nested too deeply"
    if isinstance(error, UnicodeDecodeError) or body.startswith(_NOT_UTF8) or b"\0" in body[:_FIRST]:
        return "the body is not JSON: it is not UTF-8"
    if body.startswith(codecs.BOM_UTF8):
        return "the body is not JSON, which has no byte order mark: send UTF-8 without one"
    if name := _not_a_number(body):
        instead = "null where a value may be missing, else a number" if name == "NaN" else "a number"
        return f"the body is not JSON, which has no {name}: send {instead}"
    return f"the body is not JSON: {error}"


def _not_a_number(body: bytes) -> str:
    """NaN or an infinity in the place of a value; empty without one. A search by a pattern stops at each space."""
    for name in _NO_NUMBERS:
        at = body.find(name)
        while at >= 0:
            after = at + len(name)
            if at and body[at - 1] in _BEFORE_A_VALUE and not body[after : after + 1].isalnum():
                return name.decode()
            at = body.find(name, after)
    return ""
