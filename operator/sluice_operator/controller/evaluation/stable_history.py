"""Reads from Prometheus what stable did before a run: latencies of the last minutes, and the baseline of hours.

Answers are bounded: of a revision with many pods some are read, a few in each query. A single answer with all of them
would be refused as too long, and nothing would ever be judged.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace

from sluice_operator.analysis import baseline, criteria
from sluice_operator.analysis.baseline import Baseline, PodPast
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.reader import Reader
from sluice_operator.prometheus.selection import BUCKETS, Selection

MOST_PODS = 32  # that are read: with six hours of each, bursts that come every week are known
PODS_PER_QUERY = 8  # a pod of the baseline is about a megabyte
_BIN_SECONDS, _RECENT_STEP_SECONDS = 15.0, 30.0
_STEP_TO_FIND_PODS = 300.0  # seconds; a pod that lived for less is found too, because Prometheus looks back so far
_STARTED = "ml_requests_started_total"  # which each pod has once
_UID = re.compile(r"[\w.:-]+")  # it becomes part of a query, so nothing else may be in it


async def recent_latencies(
    reader: Reader, stable: Selection, until: float, intervals: Intervals
) -> Mapping[float, float]:
    """How many of stable's requests were within each bound (seconds) of its histogram.

    They are those of the last minutes before `until` (unix seconds). Raises MetricsLostError.
    """
    since = until - baseline.RECENT_SECONDS
    pods = await _pods(reader, stable, since, until)
    counters, step = Counters(), max(_RECENT_STEP_SECONDS, intervals.scrape)
    counters.add(await reader.grid(replace(stable, pods=pods), since, until, step, (BUCKETS,)))
    return baseline.recent_latencies(counters, stable.revisions[0], until)


async def baseline_of(reader: Reader, subject: Subject, intervals: Intervals) -> Baseline:
    """The baseline: what stable did in the hours before the run had traffic. Raises MetricsLostError."""
    run, stable = subject.run, subject.revisions.stable
    if stable is None:
        return baseline.from_pods(run.judged, baseline.comparison_bounds(run.judged, {}), (), 0.0)
    until = (run.traffic_started_at or run.started_at).timestamp()
    within = await recent_latencies(reader, subject.selection(stable, bounds=None), until, intervals)
    bounds = baseline.comparison_bounds(run.judged, within)
    bin_seconds = max(_BIN_SECONDS, intervals.scrape)
    since = until - baseline.LOOKBACK_SECONDS
    selection = subject.selection(stable, bounds=criteria.bounds(run.judged, bounds))
    edges = [since + index * bin_seconds for index in range(int(baseline.LOOKBACK_SECONDS / bin_seconds) + 1)]
    pods, past = await _pods(reader, selection, since, until), list[PodPast]()
    for first in range(0, max(1, len(pods)), PODS_PER_QUERY):
        few, counters = replace(selection, pods=pods[first : first + PODS_PER_QUERY]), Counters()
        counters.add(await reader.grid(few, since, until, bin_seconds))
        past += await asyncio.to_thread(baseline.pods_past, run.judged, bounds, counters, stable, edges)
    learned = await asyncio.to_thread(baseline.from_pods, run.judged, bounds, past, bin_seconds)
    return replace(learned, nearly_all_within=baseline.nearly_all_within(within))


async def _pods(reader: Reader, stable: Selection, since: float, until: float) -> tuple[str, ...]:
    """The UIDs of the pods to read; none if there are so few that one query can have all of them.

    UIDs are random, so the first ones in their order are a fair sample. A restarted operator finds the same.
    """
    answer = await reader.grid(stable, since, until, _STEP_TO_FIND_PODS, (_STARTED,))
    found = sorted({uid for labels, _ in answer if _UID.fullmatch(uid := labels.get("pod_uid", ""))})
    return () if len(found) <= PODS_PER_QUERY else tuple(found[:MOST_PODS])
