"""New samples for all runs together: few queries for many runs, and one timeout for all if Prometheus is in trouble."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import Selection

_RUNS_PER_QUERY = 25
_SLICE_SECONDS = 3600.0  # asked for at once: a day of a run with many pods would take hundreds of megabytes
_CLOCK_SECONDS, _SKEW_SECONDS = 60.0, 5.0  # how often clocks are compared, and what they may differ by


@dataclass(eq=False)
class PolledRun:
    """The counters of one run, known up to `asked_until` (unix seconds)."""

    selection: Selection
    asked_until: float
    counters: Counters = field(default_factory=Counters)
    busy: bool = False  # a thread reads the counters


@dataclass(frozen=True, slots=True)
class _Trouble:
    """When Prometheus gave no answer, and what it was about."""

    at: float
    message: str


class Poller:
    """Asks Prometheus for what is new. Whoever looks first asks for everybody whose look is due."""

    def __init__(self, reader: Reader, intervals: Intervals) -> None:
        self.reader = reader
        self._intervals = intervals
        self._asking = asyncio.Lock()
        self._trouble: _Trouble | None = None
        self._ahead, self._clock_checked = 0.0, -math.inf  # of Prometheus's clock, in seconds

    async def refresh(self, mine: PolledRun, everyone: Iterable[PolledRun], now: float) -> None:
        """What is new of `mine`, and of those of `everyone` that are due. Raises MetricsLostError."""
        before = self._trouble
        async with self._asking:
            if now < mine.asked_until + self._intervals.evaluation / 2:
                return
            trouble = self._trouble  # of somebody who asked while this one waited, or just before
            if trouble is not None and (trouble is not before or now < trouble.at + self._intervals.evaluation / 2):
                raise MetricsLostError(trouble.message)
            recent = now - 3 * self._intervals.evaluation
            due = [one for one in everyone if recent <= one.asked_until <= now - self._intervals.evaluation / 2]
            together = [mine, *(one for one in due if one is not mine)] if mine in due else [mine]
            try:
                await self._check_clock(now)
                for first in range(0, len(together), _RUNS_PER_QUERY):
                    await self._ask(together[first : first + _RUNS_PER_QUERY], now)
            except MetricsLostError as error:
                self._trouble = _Trouble(now, str(error))
                raise

    async def up_to(self, mine: PolledRun, until: float) -> None:
        """What there is of one run up to a moment of the past. Raises MetricsLostError."""
        async with self._asking:
            await self._ask([mine], until)

    async def _check_clock(self, now: float) -> None:
        """Raises MetricsLostError where samples and weights are not told in the same time."""
        if now >= self._clock_checked + _CLOCK_SECONDS:
            self._ahead, self._clock_checked = await self.reader.ahead(), now
        if abs(self._ahead) > max(_SKEW_SECONDS, self._intervals.scrape):
            side = "ahead of" if self._ahead > 0 else "behind"
            raise MetricsLostError(
                f"Prometheus's clock is {abs(self._ahead):.0f} s {side} the operator's: set the clocks of both by NTP"
            )

    async def _ask(self, runs: Sequence[PolledRun], now: float) -> None:
        since = min(one.asked_until for one in runs) - 2 * self._intervals.scrape
        while since < now:
            until = min(now, since + _SLICE_SECONDS)
            answer = await self.reader.raw(Selection.joined(one.selection for one in runs), since, until)
            by_object = defaultdict(list)
            for labels, samples in answer:
                by_object[labels.get("namespace"), labels.get("model_deployment")].append((labels, samples))
            for one in runs:
                if not one.busy:  # it will ask for itself again
                    one.counters.add(by_object[one.selection.objects[0]])
                    one.asked_until = max(one.asked_until, until)
            since = until
