"""Long work beside the loop: one thing after the other, with a rest in which the loop can answer."""

from __future__ import annotations

import asyncio
import contextvars
import time

import pytest

from sluice_server.http.aside import LONG, REST, Aside

WHO = contextvars.ContextVar("who", default="nobody")


def test_it_gives_what_the_work_gives() -> None:
    """In the context of who asks: what is logged there has its correlation id."""

    async def run() -> tuple[str, str]:
        WHO.set("somebody")
        return await Aside().run(lambda name: (name, WHO.get()), "iris")

    assert asyncio.run(run()) == ("iris", "somebody")


def test_it_raises_what_the_work_raises() -> None:
    """And goes on with the next."""

    async def run() -> int:
        aside = Aside()
        with pytest.raises(ZeroDivisionError):
            await aside.run(lambda: 1 // 0)
        return await aside.run(lambda: 1)

    assert asyncio.run(run()) == 1


def test_after_something_long_the_loop_gets_its_turns() -> None:
    """The next one begins only after a rest, also if it waits already."""
    ended: list[float] = []

    def long() -> float:
        began = time.monotonic()
        while time.monotonic() - began <= LONG:
            pass
        ended.append(time.monotonic())
        return began

    async def run() -> list[float]:
        aside = Aside()
        return list(await asyncio.gather(*(aside.run(long) for _ in range(3))))

    began = asyncio.run(run())
    assert all(next_one - before >= REST for before, next_one in zip(ended, began[1:], strict=False))
