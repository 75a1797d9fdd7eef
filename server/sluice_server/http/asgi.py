"""What the prediction endpoints and the FastAPI part share of ASGI: reading a head and a body, sending a response."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from enum import Enum
from typing import Any, TypeAlias

import msgspec
from starlette.types import Message, Receive, Scope, Send

from sluice_server.http.intake import Place

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

BODY_SECONDS = 30.0  # for a body: a client that sends half of one must not count as a request under way for ever
_JSON_BYTES = b"inference-header-content-length"  # of the Open Inference Protocol
PROBE_HEADER = b"x-sluice-probe"
CLOSE = (b"connection", b"close")
RETRY = (b"retry-after", b"1")  # seconds: another pod may have room at once
WHOLE_BODY = "sluice.whole_body"  # an ASGI extension: the body has come as a whole, so nobody has to wait for it
ADMITTED = "sluice.admitted"  # likewise: it has taken its token of the rate limit
_SAFE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_DIGITS = 18  # of a length; no body is larger
_encode = msgspec.json.Encoder().encode


class Unread(Enum):
    """Why a body could not be read."""

    TOO_LARGE = "too large"
    TOO_SLOW = "too slow"
    GONE = "the client went away"
    NO_ROOM = "too many bodies are here already"


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """The headers that matter here; `length` is None unless it is a number.

    `json_bytes`: how much of the body is JSON, if the request says that there is something behind it. `client`: the key
    that the rate limit is for; it may be a secret. `traceparent`: of W3C Trace Context, as it came. `whole`: the body
    has come already. `admitted`: the rate limit has let it pass.
    """

    content_type: str
    encoding: str
    length: int | None
    json_bytes: int | None
    probe: bool
    correlation_id: str
    client: bytes
    traceparent: bytes
    whole: bool
    admitted: bool


def read_head(scope: Scope, correlation_header: bytes, client_header: bytes = b"") -> RequestHead:
    """The head of a request. A correlation id that is absent or could not be logged safely is replaced by a new one."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    correlation = headers.get(correlation_header)
    extensions = scope.get("extensions") or ()
    return RequestHead(
        headers.get(b"content-type", b"").decode("latin-1"),
        headers.get(b"content-encoding", b"").decode("latin-1"),
        _length(headers.get(b"content-length")),
        _length(headers.get(_JSON_BYTES)),
        PROBE_HEADER in headers,
        correlation.decode() if correlation and _SAFE_ID.fullmatch(correlation) else new_id(),
        headers.get(client_header, b""),
        headers.get(b"traceparent", b""),
        WHOLE_BODY in extensions,
        ADMITTED in extensions,
    )


def new_id() -> str:
    """A correlation id. It tells requests apart and keeps no secret."""
    return f"{random.getrandbits(128):032x}"


def _length(digits: bytes | None) -> int | None:
    return int(digits) if digits and digits.isdigit() and len(digits) <= _DIGITS else None


async def read_body(receive: Receive, limit: int, place: Place, within: float = BODY_SECONDS) -> bytes | Unread:
    """The whole body, if it is at most `limit` bytes, has room in its place, and comes within some seconds."""
    try:
        async with asyncio.timeout(within):
            return await read_whole_body(receive, limit, place)
    except TimeoutError:
        return Unread.TOO_SLOW


async def read_whole_body(receive: Receive, limit: int, place: Place) -> bytes | Unread:
    """The same for a body that has come already, or is waited for without an end."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return Unread.GONE
    body: bytes = message.get("body", b"")
    parts, size = [body], len(body)
    while size <= limit and place.take(len(parts[-1])):
        if not message.get("more_body", False):
            return body if len(parts) == 1 else b"".join(parts)  # nearly always: one message
        message = await receive()
        if message["type"] == "http.disconnect":
            return Unread.GONE
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    return Unread.TOO_LARGE if size > limit else Unread.NO_ROOM


async def send_json(send: Send, code: int, content: Any, headers: Headers) -> None:
    """One complete JSON response."""
    await send_body(send, code, _encode(content), headers)


async def send_body(
    send: Send, code: int, body: bytes, headers: Headers, content_type: bytes = b"application/json"
) -> None:
    """One complete response."""
    start: Message = {
        "type": "http.response.start",
        "status": code,
        "headers": [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            *headers,
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
