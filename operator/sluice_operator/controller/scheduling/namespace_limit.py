"""A limit for each namespace: whatever one of them asks for, however slow it is, the others do not wait for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class NamespaceLimit:
    """At most `most` pieces of work at the same time in each namespace. The others wait for their turn, in order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limits = WeakValueDictionary[str, asyncio.Semaphore]()  # only while somebody works or waits

    @asynccontextmanager
    async def turn(self, namespace: str) -> AsyncIterator[None]:
        """What is done inside counts."""
        limit = self._limits.get(namespace)
        if limit is None:
            limit = self._limits[namespace] = asyncio.Semaphore(self._most)
        async with limit:
            yield
