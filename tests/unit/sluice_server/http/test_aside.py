"""Long work beside the loop: one after the other, the smallest first, with a rest in which the loop can answer."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
import weakref

import pytest

from sluice_server.http.aside import LONG, MOST_WAITING, REST, Aside

WHO = contextvars.ContextVar("who", default="nobody")


def test_it_gives_what_the_work_gives() -> None:
    """In the context of who asks: what is logged there has its correlation id."""

    async def run() -> tuple[str, str]:
        WHO.set("somebody")
        return await Aside().submit(1, lambda name: (name, WHO.get()), "iris")

    assert asyncio.run(run()) == ("iris", "somebody")


def test_it_raises_what_the_work_raises() -> None:
    """And goes on with the next."""

    async def run() -> int:
        aside = Aside()
        with pytest.raises(ZeroDivisionError):
            await aside.submit(1, lambda: 1 // 0)
        return await aside.submit(1, lambda: 1)

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
        return list(await asyncio.gather(*(aside.submit(1, long) for _ in range(3))))

    began = asyncio.run(run())
    assert all(next_one - before >= REST for before, next_one in zip(ended, began[1:], strict=False))


class Held:
    """Work that stands for a body, and begins when it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.go.wait(10)


def test_the_smallest_has_the_next_turn() -> None:
    """Those of one size in the order in which they came."""
    done: list[str] = []

    async def run() -> None:
        aside, first = Aside(), Held()
        jobs = [aside.submit(1_000, first)]
        sizes = [("large", 300), ("small", 20), ("answer", 0), ("small too", 20)]
        jobs += [aside.submit(size, done.append, name) for name, size in sizes]
        first.go.set()
        await asyncio.gather(*jobs)

    asyncio.run(run())
    assert done == ["answer", "small", "small too", "large"]


def test_what_nobody_waits_for_leaves_the_line() -> None:
    """It is not done, and what it holds is forgotten at once: bodies of senders that have gone fill no memory."""
    done: list[str] = []

    async def run() -> None:
        aside, first, body = Aside(), Held(), Held()
        running = aside.submit(1, first)
        left, forgotten = aside.submit(1, lambda held: done.append("left"), body), weakref.ref(body)
        last = aside.submit(1, done.append, "last")
        del body
        left.cancel()
        await asyncio.sleep(0)
        gc.collect()
        assert forgotten() is None
        first.go.set()
        await asyncio.gather(running, last)

    asyncio.run(run())
    assert done == ["last"]


def test_what_is_given_up_while_it_runs_stops_nothing() -> None:
    """Its end is nobody's, and the next one has its turn."""

    async def run() -> int:
        aside, first = Aside(), Held()
        running = aside.submit(1, first)
        assert await asyncio.to_thread(first.begun.wait, 10)
        running.cancel()
        first.go.set()
        return await aside.submit(1, lambda: 1)

    assert asyncio.run(run()) == 1


def test_a_line_has_an_end() -> None:
    """What runs is not in it."""

    async def run() -> tuple[bool, bool]:
        aside, first = Aside(), Held()
        jobs = [aside.submit(1, first) for _ in range(MOST_WAITING)]
        before = aside.is_full
        jobs.append(aside.submit(1, first))
        after = aside.is_full
        first.go.set()
        await asyncio.gather(*jobs)
        return before, after

    assert asyncio.run(run()) == (False, True)
