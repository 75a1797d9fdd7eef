"""Waiting for something as long as somebody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def unless_gone(disconnected: Callable[[], Awaitable[object]], pending: asyncio.Future[T]) -> T | None:
    """What `pending` gives; None, and it is cancelled, if the caller goes away first: `disconnected` returns then."""
    leaving = asyncio.ensure_future(disconnected())
    leaving.add_done_callback(lambda _: pending.cancel())
    try:
        return await pending
    except asyncio.CancelledError:
        if leaving.done():
            return None
        raise
    finally:
        leaving.cancel()
