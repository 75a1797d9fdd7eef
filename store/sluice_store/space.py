"""How many bytes each namespace has in a collection, and how many it may have.

They are read from the list of its files, and counted from then on, also while a file comes in. What other processes
write or remove is seen when the list is read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from sluice_store.files import Entry, Files

SMALLEST = 4_096  # bytes that a file counts as at least, so that there are not too many of them


class NoSpaceError(Exception):
    """The namespace is at its limit; the message says so, in bytes."""


class Space:
    """The bytes of `collection/NAMESPACE`. `limit`: of one namespace; 0 is none."""

    def __init__(self, files: Files, collection: str, limit: int) -> None:
        self._files = files
        self.collection = collection
        self._kept: Counter[str] = Counter()
        self._coming: Counter[str] = Counter()
        self.limit = limit

    @property
    def kept(self) -> dict[str, int]:
        """The bytes of each namespace that has any."""
        return {namespace: size for namespace, size in self._kept.items() if size > 0}

    def listed(self, entries: Iterable[Entry]) -> None:
        """All files of the collection, as they were just listed."""
        self._kept.clear()
        for entry in entries:
            self._kept[entry.path.split("/")[1]] += _counted(entry.size)

    async def look(self, namespace: str) -> None:
        """Reads the list of its files; raises FilesError."""
        before = self._kept[namespace]
        listed = 0
        async for entry in self._files.entries(f"{self.collection}/{namespace}"):
            listed += _counted(entry.size)
        # What was kept meanwhile may be in the list or not: then it counts twice until the next look, and never not.
        self._kept[namespace] = listed + max(self._kept[namespace] - before, 0)

    def come(self, namespace: str, size: int, replaced: int = 0) -> None:
        """Bytes come in, which replace others; raises NoSpaceError, and counts them in any case."""
        self._coming[namespace] += size
        if self.limit and self._kept[namespace] + self._coming[namespace] - _counted(replaced) > self.limit:
            raise NoSpaceError(f"the namespace has {self._kept[namespace]} bytes in the store, of {self.limit}")

    async def write(self, namespace: str, path: str, content: bytes, replaced: int) -> None:
        """Writes a file in place of one of `replaced` bytes; raises NoSpaceError or FilesError."""
        kept = False
        try:
            self.come(namespace, len(content), replaced)
            await self._files.write(path, _once(content))
            kept = True
        finally:
            self.end(namespace, len(content), kept=kept, replaced=replaced)

    def end(self, namespace: str, size: int, *, kept: bool, replaced: int = 0) -> None:
        """A file of that many bytes is there, or did not come to its end."""
        self._coming[namespace] -= size
        if kept:
            self._kept[namespace] += _counted(size) - _counted(replaced)


@dataclass(frozen=True, slots=True)
class Spaces:
    """Those of all collections of files."""

    models: Space
    predictions: Space
    runs: Space


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _counted(size: int) -> int:
    """What a file of this size takes; 0 for one that is not there."""
    return max(size, SMALLEST) if size else 0
