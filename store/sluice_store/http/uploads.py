"""Models that come in: a few at a time, shared fairly by the namespaces, and none over the limit of its namespace."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from sluice_store.files import Files
from sluice_store.http.errors import bad, busy
from sluice_store.models.slots import Slots, Upload
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
        if (upload := self._slots.take(namespace)) is None:
            raise busy(f"the store takes in as many models as it can, or as is fair for {namespace} now: send it again")
        try:
            replaced = 0
            if self._space.limit:
                await self._space.look(namespace)
                replaced = await self._files.size(path) or 0
            await self._write(upload, path, body, replaced)
        finally:
            self._slots.give(upload)

    async def _write(self, upload: Upload, path: str, body: AsyncIterator[bytes], replaced: int) -> None:
        namespace = upload.namespace

        async def counted() -> AsyncIterator[bytes]:
            began = time.monotonic()
            async for chunk in body:
                upload.waited += time.monotonic() - began
                upload.came += len(chunk)
                self._space.come(namespace, len(chunk), replaced)
                if upload.ends_for:
                    raise busy(
                        "a namespace that sends no model has its turn now, and this one comes slowly or is one of "
                        f"several of {namespace}: send it again"
                    )
                yield chunk
                began = time.monotonic()

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
            self._space.end(namespace, upload.came, kept=kept, replaced=replaced)
