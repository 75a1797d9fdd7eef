"""JSON bodies: which content types are JSON, and what is said of a body that is none."""

from __future__ import annotations

import re

import msgspec

CONTENT_TYPE = "JSON: send content-type: application/json"
# msgspec reads strings as UTF-8 only when it makes them, and then raises what Python does.
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NOT_A_NUMBER = re.compile(rb"[:,\[\s](NaN|-?Infinity)\b")


def is_json(content_type: str) -> bool:
    """Whether a content-type header names JSON; a body without one may be JSON."""
    if content_type in ("application/json", ""):
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def why(error: Exception, body: bytes) -> str:
    """Why a body is no JSON, from one of the exceptions NOT_JSON."""
    if isinstance(error, RecursionError):
        return "the body is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "the body is not JSON: it is not UTF-8"
    if found := _NOT_A_NUMBER.search(body):
        return f"the body is not JSON, which has no {found[1].decode()}: leave the row out, or send a number"
    return f"the body is not JSON: {error}"
