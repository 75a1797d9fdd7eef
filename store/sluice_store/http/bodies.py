"""Bodies that are kept in memory as a whole: how much of it they may take together, and how long one may take to come.

A body counts as it comes, and until its request is done with it. The namespaces share the memory, so that clients of
one that send half a body and wait leave room for those of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from sluice_store.http.errors import bad, busy, chunks, too_large
from sluice_store.shares import Shares

MOST = 32 * 2**20  # bytes of all bodies that are in memory
SMALLEST = 2**16  # bytes that a body counts as at least, because its request takes some, too
SECONDS = 20.0  # in which a body must come


class Bodies:
    """The memory for bodies. `most`: bytes; `seconds`: in which one must come."""

    def __init__(self, most: int = MOST, seconds: float = SECONDS) -> None:
        self._memory = Shares(most)
        self._seconds = seconds

    @asynccontextmanager
    async def whole(self, request: Request, namespace: str, limit: int) -> AsyncIterator[bytes]:
        """The whole body; what is made of it may be large, too, until the context ends.

        Raises HTTPException 413 over `limit` bytes, 408 for a client that is slow, 503 if there is no memory now.
        """
        if int(request.headers.get("content-length", "0")) > limit:
            raise too_large(limit)
        share = _Share(self._memory, namespace)
        try:
            yield await self._read(request, share, limit)
        finally:
            share.give()

    async def _read(self, request: Request, share: _Share, limit: int) -> bytes:
        body = bytearray()
        share.cover(SMALLEST)
        try:
            async with asyncio.timeout(self._seconds):
                async for chunk in chunks(request, limit):
                    share.cover(len(body) + len(chunk))
                    body += chunk
        except TimeoutError:
            raise bad(
                f"the body has not come within {self._seconds:g} s: send it again, or less at a time, from where the "
                "network and the CPU are not the limit",
                408,
            ) from None
        return bytes(body)


class _Share:
    """What one body takes of the memory."""

    def __init__(self, memory: Shares, namespace: str) -> None:
        self._memory = memory
        self._namespace = namespace
        self._taken = 0

    def cover(self, size: int) -> None:
        """It is for so many bytes at least from now on; raises HTTPException 503."""
        missing = size - self._taken
        if missing <= 0:
            return
        if not self._memory.take(self._namespace, missing):
            raise busy(
                f"the store has as many bodies in memory as it can, or as is fair for {self._namespace} now: "
                "send it again"
            )
        self._taken = size

    def give(self) -> None:
        self._memory.give(self._namespace, self._taken)
