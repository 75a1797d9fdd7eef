"""Bodies in memory: how many, of whom, and for how long."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from fastapi import HTTPException, Request
from starlette.types import Message

from sluice_store.http.bodies import SMALLEST, Bodies

pytestmark = pytest.mark.anyio
LIMIT = 4 * SMALLEST


def asked(*parts: bytes, ends: bool = True, length: int | None = None) -> Request:
    """A request with a body in parts. If it does not end, the client sends no more and stays."""
    left = [*parts, b""] if ends else list(parts)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left) or not ends}

    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


async def code(bodies: Bodies, request: Request, namespace: str = "a") -> int:
    """What the client hears at once."""
    try:
        async with bodies.whole(request, namespace, LIMIT):
            return 200
    except HTTPException as refused:
        return refused.status_code


async def test_half_bodies_of_one_namespace_leave_room_for_others() -> None:
    """They count as they come, and no longer than their clients stay."""
    bodies = Bodies(most=8 * LIMIT)
    half = b"x" * (LIMIT - 1)
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(code(bodies, asked(half, ends=False))) for _ in range(8)]
        for _ in range(10):
            await asyncio.sleep(0)
        refused = [task.result() for task in waiting if task.done()]
        assert refused == [503] * len(refused)
        assert 4 <= len(refused) < 8
        assert await code(bodies, asked(half)) == 503
        assert await code(bodies, asked(half), "b") == 200
        for task in waiting:
            task.cancel()
    assert await code(bodies, asked(half)) == 200


async def test_a_body_counts_until_its_request_is_done() -> None:
    """With what the store makes of it. A small one counts, too, so that there are not thousands."""
    bodies = Bodies(most=4 * SMALLEST)
    async with AsyncExitStack() as under_way:
        for _ in range(2):
            assert await under_way.enter_async_context(bodies.whole(asked(b"x"), "a", LIMIT)) == b"x"
        with pytest.raises(HTTPException, match="send it again") as refused:
            await under_way.enter_async_context(bodies.whole(asked(b"x"), "a", LIMIT))
    assert refused.value.status_code == 503
    assert refused.value.headers == {"Retry-After": "5"}
    assert await code(bodies, asked(b"x")) == 200


async def test_a_body_that_does_not_end_has_a_limit_of_time() -> None:
    """Of which nothing is left when it is over."""
    with pytest.raises(HTTPException, match=r"within 0\.01 s") as slow:
        async with Bodies(seconds=0.01).whole(asked(b"x", ends=False), "a", LIMIT):
            pytest.fail("there is no body")
    assert slow.value.status_code == 408


async def test_what_is_done_with_a_body_has_no_limit_of_time() -> None:
    """And its own errors."""
    with pytest.raises(TimeoutError):
        async with Bodies(seconds=0.01).whole(asked(b"x"), "a", LIMIT):
            raise TimeoutError


@pytest.mark.parametrize("request_", [asked(length=LIMIT + 1, ends=False), asked(b"x" * LIMIT, b"x", ends=False)])
async def test_a_body_over_its_limit_is_refused_before_it_has_come(request_: Request) -> None:
    """Whether its length is told or not."""
    assert await code(Bodies(), request_) == 413
