"""Tells the store each day that this pod serves its model: what nobody uses for long is removed there.

If the store has lost a model that it had, it gets it back. A thread of its own, which ends with the process: reading
the whole folder for its digest, and sending it, take long and concern no request.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sluice_server.model.digest import tree_digest
from sluice_server.store.client import StoreError

FIRST = 3_600.0  # seconds after the start, at most; reading the model must not slow down the start of many pods
DAILY = 86_400.0
RETRY = 3_600.0  # after a failure
logger = logging.getLogger("sluice.store")


class Models(Protocol):
    """The models of a store."""

    def has(self, digest: str) -> bool:
        """Whether it has the model, which then counts as used; raises StoreError."""
        ...

    def put(self, folder: Path, digest: str) -> None:
        """Keeps it; raises StoreError."""
        ...


class ModelUse:
    """Tells of the model in `folder`. `chance`: a number from 0 to 1, so that pods do not come all together."""

    def __init__(self, store: Models, folder: Path, chance: Callable[[], float] = random.random) -> None:
        self._store = store
        self._folder = folder
        self._chance = chance
        self._was_there = False

    def start(self, wait: Callable[[float], object] = time.sleep) -> None:
        """Goes on until the process ends."""
        threading.Thread(target=self._tell_for_ever, args=(wait,), name="model-use", daemon=True).start()

    def _tell_for_ever(self, wait: Callable[[float], object]) -> None:
        wait(FIRST * self._chance())
        digest = tree_digest(self._folder)
        while True:
            wait(self.tell(digest))

    def tell(self, digest: str) -> float:
        """Tells once, and gives the seconds until the next time.

        A model that the store never had is not put there: it was not prepared for it.
        """
        try:
            if self._store.has(digest):
                self._was_there = True
            elif self._was_there:
                self._store.put(self._folder, digest)
                logger.warning("the store had lost %s, which is served here, and has it back", digest)
        except StoreError as error:
            logger.warning("the store is not told that %s is in use: %s", digest, error)
            return RETRY
        return DAILY * (0.5 + self._chance() / 2)
