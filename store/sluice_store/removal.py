"""Removes what is too old, once an hour, and counts what is kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

from sluice_store.files import Files, FilesError
from sluice_store.models.expiry import Expiry
from sluice_store.uses import Uses

EVERY = 3_600.0  # seconds
logger = logging.getLogger("sluice.store")


class Removal:
    """Models that nobody used for `max_age` seconds; 0 keeps them for ever. `kept`: bytes by namespace."""

    def __init__(self, files: Files, uses: Uses, max_age: int) -> None:
        self._files = files
        self._uses = uses
        self._expiry = Expiry(max_age)
        self.kept: Counter[str] = Counter()

    async def for_ever(self) -> None:
        """Until it is cancelled. What fails is tried again an hour later."""
        while True:
            try:
                await self.once(time.time(), time.monotonic())
            except FilesError as error:
                logger.warning("what is too old is not removed: %s", error)
            await asyncio.sleep(EVERY)

    async def once(self, now: float, uptime: float) -> None:
        """Looks at everything; raises FilesError."""
        models = {entry.path.removeprefix("models/"): entry async for entry in self._files.entries("models")}
        last = await self._uses.last()
        used = {model: max(entry.written, last.get(model, 0.0)) for model, entry in models.items()}
        for model in self._expiry.expired(used, now, uptime):
            logger.info("the model %s is removed: nobody used it for %.0f days", model, (now - used[model]) / 86_400)
            await self._files.remove(models.pop(model).path)
            await self._uses.forget(model)
        self.kept.clear()
        for entry in models.values():
            self.kept[entry.path.split("/")[1]] += entry.size
