"""Asks a registry that may never answer: in a thread that nobody waits for, and that ends with the process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeAlias

from sluice_server.fetch.artifacts import Pinned
from sluice_server.fetch.outcome import Unavailable
from sluice_server.model.refusal import Refused

Named: TypeAlias = Pinned | Refused | Unavailable


class Asker:
    """`ask` says which version is named now, and blocks. It is asked one question at a time."""

    def __init__(self, ask: Callable[[], Named]) -> None:
        self._ask = ask
        self._asked: asyncio.Future[Named] | None = None

    async def answer(self, within: float) -> Named:
        """The answer, also one to an earlier question, if it comes within so many seconds. Raises what `ask` raises."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._work, args=(self._asked,), daemon=True).start()
        await asyncio.wait([self._asked], timeout=within)
        if not self._asked.done():
            return Unavailable("RegistryUnavailable", f"the registry has not answered within {within:g} s")
        answered, self._asked = self._asked, None
        return answered.result()

    def _work(self, asked: asyncio.Future[Named]) -> None:
        answer: Named | Exception
        try:
            answer = self._ask()
        except Exception as error:
            answer = error
        with contextlib.suppress(RuntimeError):  # the process is ending
            asked.get_loop().call_soon_threadsafe(_settle, asked, answer)


def _settle(asked: asyncio.Future[Named], answer: Named | Exception) -> None:
    if isinstance(answer, Exception):
        asked.set_exception(answer)
    else:
        asked.set_result(answer)
