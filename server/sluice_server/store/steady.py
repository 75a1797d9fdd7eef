"""An answer that is read as long as it comes. A source that sends a byte now and then is given up for another one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

WITHIN = 120.0  # seconds
LEAST = 64 * 1024  # bytes that must come in them


class Source(Protocol):
    """What gives the bytes that are there."""

    def read1(self, amt: int) -> bytes:
        """Up to so many bytes, and none at the end; waits for the first of them."""


class Steady:
    """A file of the bytes of an answer."""

    def __init__(self, source: Source, within: float = WITHIN, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._within = within
        self._clock = clock
        self._since = clock()
        self._came = 0

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer at the end; raises TimeoutError if less than LEAST come in `within` seconds."""
        parts, missing = list[bytes](), size
        while missing and (part := self._source.read1(missing)):
            parts.append(part)
            missing -= len(part)
            self._note(len(part))
        return b"".join(parts)

    def _note(self, size: int) -> None:
        self._came += size
        if self._came >= LEAST:
            self._since, self._came = self._clock(), 0
        elif self._clock() - self._since > self._within:
            raise TimeoutError(f"less than {LEAST // 1024} KiB have come within {self._within:g} s")
