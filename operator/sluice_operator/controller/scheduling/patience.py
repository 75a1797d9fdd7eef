"""Waits a moment for an answer, and lets the work on it go on in the background if that takes longer.

So a person's abort, a failed verdict, a crashing canary or a lost pod is acted on while a Prometheus, a gateway or the
pod behind it hangs, and nobody can hold a worker.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sluice_operator.api.owner import Key

PATIENCE = 0.5  # seconds that one look waits for all answers together: they wake the object when they come later
_OLD = 30.0  # seconds, after which an answer is not used any more

T = TypeVar("T")


@dataclass(eq=False)
class _Work(Generic[T]):
    """Mutable: one question under way. `before`: the last answer to the same question, until the new one is there.

    `left`: the look that waited has gone on, so that the answer is for the next one.
    """

    question: object
    task: asyncio.Task[T]
    before: T | None = None
    left: bool = False
    ended: float = 0.0  # by the clock of the event loop


class Patience(Generic[T]):
    """Answers to one kind of question about each object. At most one is worked on for an object.

    `wake`: is called with an object when an answer comes that no look waits for any more.
    """

    def __init__(self, wake: Callable[[Key], None] = lambda key: None) -> None:
        self._wake = wake
        self._work: dict[Key, _Work[T]] = {}

    def forget(self, key: Key) -> None:
        """Drop an object, and what is under way for it."""
        if work := self._work.pop(key, None):
            work.task.cancel()

    async def answer(
        self, key: Key, question: object, ask: Callable[[], Coroutine[Any, Any, T]], until: float = 0.0
    ) -> T | None:
        """The answer that is there at `until`, by the clock of the event loop: the new one, or else the one before.

        None if there is none. Only the look that begins the work waits for it. Another question than the last time ends
        the work on that one.
        """
        loop = asyncio.get_running_loop()
        work = self._work.get(key)
        if work is None or work.question != question:
            self.forget(key)
            work = self._started(key, question, ask)
        elif work.task.done() and not (work.left and loop.time() < work.ended + _OLD):
            before = work.task.result() if loop.time() < work.ended + _OLD else None
            work = self._started(key, question, ask, before)
        else:
            until = 0.0  # it is there already, or wakes the object
        work.left = False
        await asyncio.wait({work.task}, timeout=max(0.0, until - loop.time()))
        work.left = not work.task.done()
        if work.left or work.task.cancelled():  # the object was forgotten meanwhile
            return work.before
        if work.task.exception() is not None:
            self.forget(key)
        return work.task.result()

    def _started(
        self, key: Key, question: object, ask: Callable[[], Coroutine[Any, Any, T]], before: T | None = None
    ) -> _Work[T]:
        work = self._work[key] = _Work(question, asyncio.create_task(ask()), before)
        work.task.add_done_callback(lambda _: self._ended(key, work))
        return work

    def _ended(self, key: Key, work: _Work[T]) -> None:
        work.ended = work.task.get_loop().time()
        if work.left and self._work.get(key) is work:
            self._wake(key)
