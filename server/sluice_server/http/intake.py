"""How bodies come in: how large one may be, and how many bytes of all of them may be here at the same time.

A body counts from its first byte until it is parsed. A small one is always taken, and so is one that is alone.
"""

from __future__ import annotations

from sluice_server.http.aside import Aside
from sluice_server.inference.rejection import Cause, Rejection

SMALL_BODY = 16 * 1024  # bytes; it is parsed by the loop itself: even CSV of so many takes only some milliseconds


class Intake:
    """For all endpoints of a process together. Sizes are in bytes; `aside`: where larger bodies are parsed."""

    def __init__(self, max_body: int, max_together: int) -> None:
        self.max_body = max_body
        self.aside = Aside()
        self.no_room = Rejection(
            Cause.CROWDED,
            f"bodies of {max_together} bytes are here already, or too many wait to be read: send again later, or add "
            "replicas",
        )
        self._max_together = max_together
        self._taken = 0

    def place(self) -> Place:
        """A place for one body."""
        return Place(self)

    def take(self, more: int, had: int) -> bool:
        """Whether a body that has `had` bytes so far may have `more`."""
        fits = had + more <= SMALL_BODY or self._taken + more <= self._max_together or self._taken == had
        if fits:
            self._taken += more
        return fits

    def give_back(self, size: int) -> None:
        """So many bytes are not here any longer."""
        self._taken -= size


class Place:
    """Where the bytes of one body count until the end of the block."""

    __slots__ = ("_intake", "_size")

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._size = 0

    def take(self, more: int) -> bool:
        """Whether there is room for some more bytes of the body."""
        if not self._intake.take(more, self._size):
            return False
        self._size += more
        return True

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self._intake.give_back(self._size)
