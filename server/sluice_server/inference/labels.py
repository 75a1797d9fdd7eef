"""Labels whose prediction id was checked, and what counts them: this pod alone, or a store for all pods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from sluice_server.inference.metrics import Metrics


@dataclass(frozen=True, slots=True)
class RowLabel:
    """A label for one row of a prediction: who predicted it, when (seconds since the epoch), and whether rightly.

    `value`: the label itself, if the row is kept. `error`: the size of that of a predicted number, else None.
    """

    request: bytes
    row: int
    revision: str
    entry: str
    issued: int
    correct: bool
    value: str | int | float | None = None
    error: float | None = None


class Outcome(Enum):
    """What became of a label. One that is pending is counted when the store answers, if its row has none yet.

    One that the store has refused is never counted.
    """

    COUNTED = auto()
    REPEAT = auto()
    PENDING = auto()
    REFUSED = auto()


class TooManyPendingError(Exception):
    """So many labels wait for the store that no more are taken; nothing of the request was taken."""


class LabelCounter(Protocol):
    """Counts at most one label for each row of a prediction, and tells the metrics."""

    async def count(self, labels: Sequence[RowLabel]) -> list[Outcome]:
        """The outcome of each label, in their order; raises TooManyPendingError."""
        ...

    async def close(self) -> None:
        """The pod stops: a last chance for what is pending."""
        ...


class LabelledRows:
    """Which rows of which predictions have a label; keeps the newest `size` predictions."""

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._rows: dict[bytes, int] = {}

    def add(self, request: bytes, row: int) -> bool:
        """Remembers that the row has a label; False if it had one already."""
        seen = self._rows.get(request, 0)
        if seen >> row & 1:
            return False
        self._rows[request] = seen | 1 << row
        if len(self._rows) > self._size:
            del self._rows[next(iter(self._rows))]
        return True


class PodLabels:
    """Without a store: each pod remembers for itself, and a repeat that reaches another pod counts again."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._labelled = LabelledRows()

    async def count(self, labels: Sequence[RowLabel]) -> list[Outcome]:
        """See `LabelCounter.count`; no label is ever pending."""
        return [tell(self._metrics, label, new=self._labelled.add(label.request, label.row)) for label in labels]

    async def close(self) -> None:
        """Nothing is pending."""


def tell(metrics: Metrics, label: RowLabel, *, new: bool) -> Outcome:
    """Counts the label in the metrics, as what it is."""
    if new:
        metrics.labelled(label.revision, label.entry, label.correct, label.error)
        return Outcome.COUNTED
    metrics.repeated(label.revision, label.entry)
    return Outcome.REPEAT
