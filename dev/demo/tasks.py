"""Two helpers for waiting: work that goes on during a block, and a question that is repeated until it has an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` while the block runs, and cancel it at the end. If the work failed, its error is raised then."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, Exception):
            raise result


async def first_answer(ask: Callable[[], Awaitable[T | None]], every: float = 0.3) -> T:
    """Call `ask` every `every` seconds until the answer is not None. The caller limits the time."""
    while True:
        answer = await ask()
        if answer is not None:
            return answer
        await asyncio.sleep(every)
