"""Objects that were found in a list, as after a start, are looked at one after the other and not all at once.

Thousands of looks would keep the event loop busy for minutes, and each of them writes the status after an upgrade.
Rollouts do not wait, and a change wakes its object at once. So these looks find only what was missed before.
"""

import asyncio
from collections.abc import Callable, Container

from sluice_operator.api.owner import Key

_PER_SECOND, _AT_ONCE = 20.0, 50  # looks; those of a small cluster need not wait


class FirstLooks:
    """Passes keys on to `look`, `_AT_ONCE` of them immediately and the others at `_PER_SECOND`.

    `rollouts`: keys that do not wait.
    """

    def __init__(self, look: Callable[[Key], None], rollouts: Container[Key]) -> None:
        self._look = look
        self._rollouts = rollouts
        self._waiting: dict[Key, None] = {}  # in their order, each once
        self._some = asyncio.Event()

    def add(self, key: Key) -> None:
        """Look at `key` when it is its turn."""
        if key in self._rollouts:
            self._waiting.pop(key, None)
            self._look(key)
        else:
            self._waiting[key] = None
            self._some.set()

    def forget(self, key: Key) -> None:
        """It was looked at, or it is gone."""
        self._waiting.pop(key, None)

    async def run(self) -> None:
        """Pass keys on until this is cancelled."""
        clock = asyncio.get_running_loop().time
        full_at = clock()  # when all tokens are there again, each for one look
        while True:
            if not self._waiting:
                self._some.clear()
                await self._some.wait()
            full_at = max(full_at, clock()) + 1 / _PER_SECOND
            await asyncio.sleep(max(0.0, full_at - clock() - _AT_ONCE / _PER_SECOND))
            if self._waiting:
                key = next(iter(self._waiting))
                del self._waiting[key]
                self._look(key)
