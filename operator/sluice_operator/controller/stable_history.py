"""Reads from Prometheus what stable did before a run: latencies of the last minutes, and the baseline of hours."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from sluice_operator.analysis import baseline, criteria
from sluice_operator.analysis.baseline import Baseline
from sluice_operator.controller.run_samples import Subject
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.reader import Reader
from sluice_operator.prometheus.selection import BUCKETS, Selection

_BIN_SECONDS, _RECENT_STEP_SECONDS = 15.0, 30.0


async def recent_latencies(
    reader: Reader, stable: Selection, until: float, intervals: Intervals
) -> Mapping[float, float]:
    """How many of stable's requests were within each bound (seconds) of its histogram.

    They are those of the last minutes before `until` (unix seconds). Raises MetricsLostError.
    """
    counters, step = Counters(), max(_RECENT_STEP_SECONDS, intervals.scrape)
    counters.add(await reader.grid(stable, until - baseline.RECENT_SECONDS, until, step, (BUCKETS,)))
    return baseline.recent_latencies(counters, stable.revisions[0], until)


async def baseline_of(reader: Reader, subject: Subject, intervals: Intervals) -> Baseline:
    """The baseline: what stable did in the hours before the run. Raises MetricsLostError."""
    run, stable = subject.run, subject.revisions.stable
    if stable is None:
        return baseline.from_counters(run.judged, baseline.comparison_bounds(run.judged, {}), Counters(), "", ())
    until = run.started_at.timestamp()
    within = await recent_latencies(reader, subject.selection(stable, bounds=None), until, intervals)
    bounds = baseline.comparison_bounds(run.judged, within)
    bin_seconds = max(_BIN_SECONDS, intervals.scrape)
    since = until - baseline.LOOKBACK_SECONDS
    selection = subject.selection(stable, bounds=criteria.bounds(run.judged, bounds))
    counters = Counters()
    counters.add(await reader.grid(selection, since, until, bin_seconds))
    edges = [since + index * bin_seconds for index in range(int(baseline.LOOKBACK_SECONDS / bin_seconds) + 1)]
    learned = await asyncio.to_thread(baseline.from_counters, run.judged, bounds, counters, stable, edges)
    return replace(learned, nearly_all_within=baseline.nearly_all_within(within))
