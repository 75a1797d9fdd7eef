"""The ticks of a run in their order, in little memory: a run that is held for days has tens of thousands. Pure.

The newest ticks are kept as they are. Older ones are packed: columns of whole numbers, compressed.
"""

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sluice_operator.counting.ticks import Tally, Tick

_LACKING = -1  # stands for a bound that the histogram of a tick lacks
_Row = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Packed:
    """Some ticks: `columns` are those of the canary, those of stable, and whether both were scraped."""

    number: int
    bounds: tuple[float, ...]
    columns: bytes

    @classmethod
    def of(cls, ticks: Sequence[Tick]) -> "_Packed":
        tallies = [tally for tick in ticks for tally in (tick.canary, tick.stable)]
        bounds = tuple(sorted({bound for tally in tallies for bound in tally.within}))
        rows = [(*_row(tick.canary, bounds), *_row(tick.stable, bounds), int(tick.both_scraped)) for tick in ticks]
        return cls(len(ticks), bounds, zlib.compress(np.array(rows, np.int64).T.tobytes()))

    def ticks(self, starts: Sequence[float], ends: Sequence[float]) -> Iterator[Tick]:
        rows = np.frombuffer(zlib.decompress(self.columns), np.int64).reshape(-1, self.number).T.tolist()
        of_one = (len(rows[0]) - 1) // 2
        for start, end, row in zip(starts, ends, rows, strict=True):
            canary, stable = _tally(row[:of_one], self.bounds), _tally(row[of_one:-1], self.bounds)
            yield Tick(start, end, canary, stable, both_scraped=bool(row[-1]))


class TickLog:
    """Mutable: ticks are appended at the end, and dropped at the beginning. `packed_together`: how many at a time."""

    def __init__(self, packed_together: int = 500) -> None:
        self._packed_together = packed_together
        self._starts, self._ends = array("d"), array("d")  # of all ticks
        self._packed: list[_Packed] = []
        self._newest: list[Tick] = []

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Tick]:
        first = 0
        for packed in self._packed:
            part = slice(first, first + packed.number)
            yield from packed.ticks(self._starts[part], self._ends[part])
            first += packed.number
        yield from self._newest

    def append(self, tick: Tick) -> None:
        """Add the next tick."""
        if len(self._newest) >= self._packed_together:
            self._packed.append(_Packed.of(self._newest))
            self._newest = []
        self._starts.append(tick.start)
        self._ends.append(tick.end)
        self._newest.append(tick)

    def begun_before(self, moment: float) -> int:
        """The number of ticks that began before `moment` (unix seconds)."""
        return bisect_left(self._starts, moment)

    def ended_by(self, moment: float) -> int:
        """The number of ticks that ended at `moment` (unix seconds) or before."""
        return bisect_right(self._ends, moment)

    def drop_oldest(self, most: int) -> int:
        """Drop up to `most` ticks, as many as are packed together. Returns how many they were."""
        dropped = 0
        while self._packed and dropped + self._packed[0].number <= most:
            dropped += self._packed.pop(0).number
        del self._starts[:dropped], self._ends[:dropped]
        return dropped


def _row(tally: Tally, bounds: Sequence[float]) -> _Row:
    within = (tally.within.get(bound, _LACKING) for bound in bounds)
    requests = tally.started, tally.finished, tally.errors, tally.refused, tally.others
    return *requests, tally.labels, tally.correct, *within


def _tally(row: Sequence[int], bounds: Sequence[float]) -> Tally:
    started, finished, errors, refused, others, labels, correct, *within = row
    known = {bound: count for bound, count in zip(bounds, within, strict=True) if count != _LACKING}
    return Tally(started, finished, errors, known, labels, correct, refused, others)
