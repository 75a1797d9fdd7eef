"""Which models come in at a time, and which of them must end so that another namespace has its turn. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sluice_store.shares import Shares

GUARANTEED = 60.0  # seconds of waiting for its client that each upload has
FAST = 8 * 2**20  # bytes a second; an upload that comes so is never ended for another one


@dataclass(slots=True, eq=False)
class Upload:
    """A model that comes in: its bytes so far, and the seconds that the store has waited for them.

    `ends_for`: the namespace that needs its slot; it must end.
    """

    namespace: str
    came: int = 0
    waited: float = 0.0
    ends_for: str = ""

    @property
    def is_slow(self) -> bool:
        return self.waited >= GUARANTEED and self.came < FAST * self.waited


class Slots:
    """`total` slots, shared fairly. A namespace that has none when all are taken gets one of the others'."""

    def __init__(self, total: int) -> None:
        self._shares = Shares(total)
        self._uploads: list[Upload] = []  # in the order in which they began

    def take(self, namespace: str) -> Upload | None:
        """A slot; None if the namespace must wait until one is given back.

        If it has none at all, another upload is told to end.
        """
        if self._shares.take(namespace):
            self._uploads.append(upload := Upload(namespace))
            return upload
        if not self._shares.taken(namespace) and (other := self._to_end(namespace)) is not None:
            other.ends_for = namespace
        return None

    def give(self, upload: Upload) -> None:
        """Gives a slot back."""
        self._uploads.remove(upload)
        self._shares.give(upload.namespace)

    def _to_end(self, namespace: str) -> Upload | None:
        """The newest upload of the namespace with most of them; if all have one, the slowest of those that are slow."""
        if any(upload.ends_for == namespace for upload in self._uploads):
            return None
        staying = [upload for upload in self._uploads if not upload.ends_for]
        numbers = Counter(upload.namespace for upload in staying)
        most = max(numbers.values(), default=0)
        if most > 1:
            return next(upload for upload in reversed(staying) if numbers[upload.namespace] == most)
        return min(
            (upload for upload in staying if upload.is_slow), key=lambda each: each.came / each.waited, default=None
        )
