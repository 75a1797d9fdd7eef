"""Errors as `{"detail": "..."}`, each with what to do about it; and the body of a request as it comes."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
from fastapi import HTTPException, Request

IDLE = 30.0  # seconds that a client may take for the next bytes of a body
SLOWEST = 256 * 1024  # bytes a second, on the average of some 30 s of waiting for the client
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_RETRY = {"Retry-After": "5"}
Decoded = TypeVar("Decoded", bound=msgspec.Struct)


def bad(message: str, code: int = 422) -> HTTPException:
    """The client has to change something."""
    return HTTPException(code, message)


def unavailable(what: str, error: Exception) -> HTTPException:
    """Something behind the store does not answer; the same request may succeed later."""
    return HTTPException(503, f"{what}: {error}", _RETRY)


def busy(message: str) -> HTTPException:
    """The store does as much as it can; the same request will succeed later."""
    return HTTPException(503, message, _RETRY)


class Pace:
    """How fast a client sends. Only waiting for it counts, and not what the store itself takes to write."""

    def __init__(self) -> None:
        self._size = 0
        self._waited = 0.0

    def came(self, size: int, waited: float) -> None:
        """Bytes, after seconds of waiting for them; raises HTTPException 408 where they come too slowly for long."""
        self._size += size
        self._waited += waited
        if self._waited < IDLE:
            return
        if self._size < SLOWEST * self._waited:
            rate = self._size / self._waited / 1024
            raise bad(
                f"the body comes with {rate:.0f} KiB a second, and {SLOWEST // 1024} is the least, so that others are "
                "not kept waiting: send it again, from where the network and the CPU are not the limit",
                408,
            )
        self._size, self._waited = 0, 0.0


async def chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes; raises HTTPException 413 over `limit` bytes, and 408 for a client that stops or is slow."""
    size, stream, pace = 0, request.stream(), Pace()
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(IDLE):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise bad(f"nothing came for {IDLE:g} s: send the rest of the body, or less at a time", 408) from None
        if chunk is None:
            return
        pace.came(len(chunk), time.monotonic() - began)
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        if chunk:
            yield chunk


def too_large(limit: int) -> HTTPException:
    """The body is over its limit."""
    return bad(f"the body is larger than {limit} bytes, which is the limit here", 413)


def name_of(text: str) -> str:
    """The name of an object, and a safe part of a path."""
    if not _NAME.fullmatch(text):
        raise bad(f"{text[:100]!r} is no name: it has lower-case letters, digits, '-' and '.' only")
    return text


def decoded(body: bytes, decoder: msgspec.json.Decoder[Decoded]) -> Decoded:
    """The body as a value."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad(f"the body does not fit: {str(error)[:300]}") from None
