"""When each model was used last, as the time of a small file beside it: `used/NAMESPACE/NAME`.

That works for a volume and for all object stores, and for several processes. A model that was just put counts as used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable

from sluice_store.files import Files, FilesError

FOLDER = "used"
_AGAIN = 12 * 3_600.0  # seconds until the next use of the same model is noted
logger = logging.getLogger("sluice.store")


class Uses:
    """Notes uses. `clock`: seconds that only grow."""

    def __init__(self, files: Files, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._clock = clock
        self._noted: dict[str, float] = {}

    async def note(self, model: str) -> None:
        """The model (`NAMESPACE/NAME`) is in use. If that cannot be written, whoever reads the model gets it anyway."""
        now = self._clock()
        if now - self._noted.get(model, now - _AGAIN) < _AGAIN:
            return
        try:
            await self._files.write(f"{FOLDER}/{model}", _mark())
        except FilesError as error:
            logger.warning("it cannot be noted that the model %s is in use: %s", model, error)
        else:
            self._noted[model] = now

    async def forget(self, model: str) -> None:
        """The model was removed; raises FilesError."""
        self._noted.pop(model, None)
        await self._files.remove(f"{FOLDER}/{model}")

    async def last(self) -> dict[str, float]:
        """The last use of each model that was read once, in seconds since the epoch; raises FilesError."""
        return {entry.path.removeprefix(f"{FOLDER}/"): entry.written async for entry in self._files.entries(FOLDER)}


async def _mark() -> AsyncIterator[bytes]:
    yield b"used\n"
