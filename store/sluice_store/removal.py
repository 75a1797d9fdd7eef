"""Removes what is too old, once an hour, and counts what is kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass

from sluice_store.files import Entry, Files, FilesError
from sluice_store.labels.label_book import LabelBook, LabelsError
from sluice_store.models.expiry import Expiry
from sluice_store.space import Spaces
from sluice_store.uses import Uses

EVERY = 3_600.0  # seconds
logger = logging.getLogger("sluice.store")


@dataclass(frozen=True, slots=True)
class Ages:
    """Seconds: for which models are kept after their last use, records of runs (0 is for ever), rows of predictions."""

    model: int
    run: int
    prediction: int


class Removal:
    """Looks at all that has an age, and tells the spaces what there is."""

    def __init__(self, files: Files, book: LabelBook, uses: Uses, ages: Ages, spaces: Spaces) -> None:
        self._files = files
        self._book = book
        self._uses = uses
        self._expiry = Expiry(ages.model)
        self._run_age, self._prediction_age = ages.run, ages.prediction
        self._spaces = spaces

    async def for_ever(self) -> None:
        """Until it is cancelled. What fails is tried again an hour later."""
        while True:
            now, uptime = time.time(), time.monotonic()
            await _tried(self.models(now, uptime))
            await _tried(self.runs(now))
            await _tried(self.predictions(now))
            await _tried(asyncio.to_thread(self._book.look))
            await asyncio.sleep(EVERY)

    async def models(self, now: float, uptime: float) -> None:
        """Removes those that nobody uses; raises FilesError."""
        models = {entry.path.removeprefix("models/"): entry async for entry in self._files.entries("models")}
        last = await self._uses.last()
        used = {model: max(entry.written, last.get(model, 0.0)) for model, entry in models.items()}
        for model in self._expiry.expired(used, now, uptime):
            logger.info("the model %s is removed: nobody used it for %.0f days", model, (now - used[model]) / 86_400)
            await self._files.remove(models.pop(model).path)
            await self._uses.forget(model)
        self._spaces.models.listed(models.values())

    async def runs(self, now: float) -> None:
        """Removes records of runs that are too old; raises FilesError."""
        kept: list[Entry] = []
        async for entry in self._files.entries("runs"):
            if self._run_age and entry.written < now - self._run_age:
                await self._files.remove(entry.path)
            else:
                kept.append(entry)
        self._spaces.runs.listed(kept)

    async def predictions(self, now: float) -> None:
        """Removes rows, and labels of rows, that are too old; raises FilesError or LabelsError."""
        kept: list[Entry] = []
        async for entry in self._files.entries("predictions"):
            if entry.written < now - self._prediction_age:
                await self._files.remove(entry.path)
            else:
                kept.append(entry)
        self._spaces.predictions.listed(kept)
        await asyncio.to_thread(self._book.forget_values, now - self._prediction_age)


async def _tried(removed: Awaitable[None]) -> None:
    try:
        await removed
    except (FilesError, LabelsError) as error:
        logger.warning("what is kept cannot be looked through for what is too old: %s", error)
