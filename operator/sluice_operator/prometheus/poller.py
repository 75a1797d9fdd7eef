"""Fetches new samples for all runs together: few queries, and one timeout for all if Prometheus does not answer.

What it answers is in part up to the pods of users. If the answer for many runs cannot be used, it is asked for in
halves, and only the run that spoils it has no metrics.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.reader import MetricsLostError, Reader, UnusableAnswerError
from sluice_operator.prometheus.selection import Selection

_RUNS_PER_QUERY = 25
_SLICE_SECONDS = 3600.0  # of samples per query: a day of a run with many pods would be hundreds of megabytes
_TOO_LONG_SECONDS = 60.0  # until a run whose answer was too long is asked for again: it may be as long once more
_CLOCK_SECONDS, _SKEW_SECONDS = 60.0, 5.0  # between two checks of the clocks, and the difference that is allowed


@dataclass(frozen=True, slots=True)
class _Trouble:
    """When there was no usable answer (unix seconds), and why."""

    at: float
    message: str
    too_long: bool = False


@dataclass(eq=False)
class PolledRun:
    """Mutable: the counters of one run, with all samples up to `fetched_until` (unix seconds).

    `expected`: when Prometheus should have the samples that end the next tick (unix seconds); -inf if that is unknown.
    `trouble`: why the answer for this run alone could not be used. Then it is asked for alone, until it can be.
    """

    selection: Selection
    fetched_until: float
    counters: Counters = field(default_factory=Counters)
    busy: bool = False  # another thread reads the counters, so they must not change
    trouble: _Trouble | None = None
    expected: float = -math.inf

    def is_due(self, now: float, intervals: Intervals) -> bool:
        """Whether to ask for new samples: once for each tick, or now and then while a scrape is late.

        In a tick that is much longer than a scrape interval, before the samples that are there would be too old.
        """
        if self.fetched_until < self.expected:
            return now >= min(self.expected, self.fetched_until + intervals.stale_after / 2)
        return now >= self.fetched_until + intervals.evaluation / 2


class Poller:
    """Asks one Prometheus for new samples. The first run that is evaluated also asks for all others that are due."""

    def __init__(self, reader: Reader, intervals: Intervals) -> None:
        self.reader = reader
        self._intervals = intervals
        self._asking, self._asking_alone = asyncio.Lock(), asyncio.Lock()
        self._trouble: _Trouble | None = None
        self._ahead, self._clock_checked = 0.0, -math.inf  # of Prometheus's clock, in seconds

    async def refresh(self, run: PolledRun, all_runs: Iterable[PolledRun], now: float) -> None:
        """Fetch the new samples of `run`, and of those of `all_runs` that are due. Raises MetricsLostError."""
        if run.trouble is not None:
            await self._refresh_alone(run, run.trouble, now)
            return
        trouble_before = self._trouble
        async with self._asking:
            if not run.is_due(now, self._intervals):
                return
            trouble = self._trouble
            # Another run got no answer while this one waited for the lock, or just before: do not wait again.
            if trouble and (trouble is not trouble_before or now < trouble.at + self._intervals.evaluation / 2):
                raise MetricsLostError(trouble.message)
            together = self._due_with(run, all_runs, now)
            try:
                await self._check_clock(now)
                for first in range(0, len(together), _RUNS_PER_QUERY):
                    await self._ask_and_blame(together[first : first + _RUNS_PER_QUERY], now)
            except MetricsLostError as error:
                self._trouble = _Trouble(now, str(error))
                raise
        if run.trouble is not None:
            raise MetricsLostError(run.trouble.message)

    async def _refresh_alone(self, run: PolledRun, before: _Trouble, now: float) -> None:
        """The others do not wait for it. Raises MetricsLostError."""
        async with self._asking_alone:
            if before.too_long and now < before.at + _TOO_LONG_SECONDS:
                raise MetricsLostError(before.message)
            await self._check_clock(now)
            await self._ask_and_blame([run], now)
        if run.trouble is not before and run.trouble is not None:
            raise MetricsLostError(run.trouble.message)
        run.trouble = None

    async def _ask_and_blame(self, runs: Sequence[PolledRun], now: float) -> None:
        """Ask for them together; if that answer cannot be used, for each half, down to the runs that spoil it."""
        try:
            await self._ask(runs, now)
        except UnusableAnswerError as error:
            if len(runs) == 1:
                runs[0].trouble = _Trouble(now, str(error), error.too_long)
                return
            middle = len(runs) // 2
            await self._ask_and_blame(runs[:middle], now)
            await self._ask_and_blame(runs[middle:], now)

    async def up_to(self, run: PolledRun, until: float) -> None:
        """Fetch the samples of one run up to a moment of the past (unix seconds). Raises MetricsLostError."""
        async with self._asking:
            await self._ask([run], until)

    def _due_with(self, run: PolledRun, all_runs: Iterable[PolledRun], now: float) -> list[PolledRun]:
        """`run`, and all others that are due; only `run` if it is far behind, because it needs many samples."""
        recent = now - self._intervals.tick - 3 * self._intervals.evaluation
        due = [
            other
            for other in all_runs
            if other.trouble is None and recent <= other.fetched_until and other.is_due(now, self._intervals)
        ]
        return [run, *(other for other in due if other is not run)] if run in due else [run]

    async def _check_clock(self, now: float) -> None:
        """Raises MetricsLostError if the clocks differ: samples would be counted for the wrong weight."""
        if now >= self._clock_checked + _CLOCK_SECONDS:
            self._ahead, self._clock_checked = await self.reader.ahead(), now
        if abs(self._ahead) > max(_SKEW_SECONDS, self._intervals.scrape):
            side = "ahead of" if self._ahead > 0 else "behind"
            raise MetricsLostError(
                f"Prometheus's clock is {abs(self._ahead):.0f} s {side} the operator's: set the clocks of both by NTP"
            )

    async def _ask(self, runs: Sequence[PolledRun], now: float) -> None:
        since = min(run.fetched_until for run in runs) - 2 * self._intervals.scrape  # some samples arrive late
        while since < now:
            until = min(now, since + _SLICE_SECONDS)
            answer = await self.reader.raw(Selection.joined(run.selection for run in runs), since, until)
            by_object = defaultdict(list)
            for labels, samples in answer:
                by_object[labels.get("namespace"), labels.get("model_deployment")].append((labels, samples))
            for run in runs:
                if not run.busy:  # one that is busy asks again in its next evaluation
                    run.counters.add(by_object[run.selection.objects[0]])
                    run.fetched_until = max(run.fetched_until, until)
            since = until
