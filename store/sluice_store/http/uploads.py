"""Models that come in: a few at a time, shared fairly by the namespaces, and none over the limit of its namespace."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sluice_store.files import Files
from sluice_store.http.errors import bad, busy
from sluice_store.models.slots import Slots
from sluice_store.space import NoSpaceError, Space

AT_ONCE = 8  # each takes some 25 MiB; whoever comes then is told to come again


class Uploads:
    """Writes models."""

    def __init__(self, files: Files, space: Space) -> None:
        self._files = files
        self._space = space
        self._slots = Slots(AT_ONCE)

    async def keep(self, namespace: str, path: str, body: AsyncIterator[bytes]) -> None:
        """Writes the body; raises HTTPException 503 where it must wait, 413 where there is no space, and FilesError."""
        if not self._slots.take(namespace):
            raise busy(f"the store takes in as many models as it can, or as is fair for {namespace} now: send it again")
        try:
            replaced = 0
            if self._space.limit:
                await self._space.look(namespace)
                replaced = await self._files.size(path) or 0
            await self._write(namespace, path, body, replaced)
        finally:
            self._slots.give(namespace)

    async def _write(self, namespace: str, path: str, body: AsyncIterator[bytes], replaced: int) -> None:
        came = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal came
            async for chunk in body:
                came += len(chunk)
                self._space.come(namespace, len(chunk), replaced)
                yield chunk

        kept = False
        try:
            await self._files.write(path, counted())
            kept = True
        except NoSpaceError as error:
            raise bad(
                f"{error}, and the model does not fit: remove models that nobody uses (DELETE /models/DIGEST), or set "
                "SLUICE_STORE_MAX_NAMESPACE_BYTES of the store higher",
                413,
            ) from None
        finally:
            self._space.end(namespace, came, kept=kept, replaced=replaced)
