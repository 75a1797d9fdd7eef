"""Two shapes of waiting: work that goes on beside a block, and asking until there is an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Cancels `work` when the block ends. An error of the work is raised then: it explains what the block missed."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, Exception):
            raise result


async def first_answer(ask: Callable[[], Awaitable[T | None]], every: float = 0.3) -> T:
    """Asks every `every` seconds until the answer is not None. The caller limits the time."""
    while True:
        answer = await ask()
        if answer is not None:
            return answer
        await asyncio.sleep(every)
