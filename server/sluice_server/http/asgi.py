"""What the prediction endpoints and the FastAPI part share of ASGI: reading a head and a body, sending a response."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import msgspec
from starlette.types import Message, Receive, Scope, Send

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

BODY_SECONDS = 30.0  # for a body: a client that sends half of one must not count as a request under way for ever
_JSON_BYTES = b"inference-header-content-length"  # of the Open Inference Protocol
PROBE_HEADER = b"x-sluice-probe"
CLOSE = (b"connection", b"close")
_SAFE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_encode = msgspec.json.Encoder().encode


class Unread(Enum):
    """Why a body could not be read."""

    TOO_LARGE = "too large"
    TOO_SLOW = "too slow"
    GONE = "the client went away"


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The headers that matter here, found in one pass; `length` is None unless it is a number.

    `json_bytes`: how much of the body is JSON, if the request says that there is something behind it. `client`: the key
    that the rate limit is for; it may be a secret. `traceparent`: of W3C Trace Context, as it came.
    """

    content_type: str
    encoding: str
    length: int | None
    json_bytes: int | None
    probe: bool
    correlation_id: str
    client: bytes
    traceparent: bytes


def read_head(scope: Scope, correlation_header: bytes, client_header: bytes = b"") -> RequestHead:
    """The head of a request. A correlation id that is absent or could not be logged safely is replaced by a new one."""
    content_type, encoding, length, json_bytes, probe, correlation = "", "", None, None, False, ""
    client = traceparent = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-length":
            length = int(value) if value.isdigit() else None
        elif name == _JSON_BYTES:
            json_bytes = int(value) if value.isdigit() else None
        elif name == b"content-encoding":
            encoding = value.decode("latin-1")
        elif name == PROBE_HEADER:
            probe = True
        elif name == b"traceparent":
            traceparent = value
        elif name == correlation_header:
            correlation = value.decode("latin-1")
        if name == client_header:  # which may be one of the others, too
            client = value
    if not _SAFE_ID.fullmatch(correlation):
        correlation = secrets.token_hex(16)
    return RequestHead(content_type, encoding, length, json_bytes, probe, correlation, client, traceparent)


async def read_body(receive: Receive, limit: int, within: float = BODY_SECONDS) -> bytes | Unread:
    """The whole body, if it is at most `limit` bytes and comes within some seconds."""
    try:
        async with asyncio.timeout(within):
            return await _read_body(receive, limit)
    except TimeoutError:
        return Unread.TOO_SLOW


async def _read_body(receive: Receive, limit: int) -> bytes | Unread:
    message = await receive()
    if message["type"] == "http.disconnect":
        return Unread.GONE
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):  # nearly always: one message
        return body if len(body) <= limit else Unread.TOO_LARGE
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            return Unread.GONE
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return Unread.TOO_LARGE
    return b"".join(parts)


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
            (b"content-length", str(len(body)).encode()),
            *headers,
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
