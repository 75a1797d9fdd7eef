"""What stable did before a run: how its pods burst, and at which latencies a canary is best compared with it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sluice_operator.analysis import criteria
from sluice_operator.api.spec import Objective
from sluice_operator.counting.bins import Bins
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.ticks import tally
from sluice_operator.evalues import bursts
from sluice_operator.evalues.chain import LEVELS, BurstLaw
from sluice_operator.evalues.clumps import UNKNOWN_DIVISOR
from sluice_operator.evalues.counts import BinnedCounts, Counts
from sluice_operator.evalues.objective import ObjectiveBaseline, ObjectiveCounts

LOOKBACK_SECONDS = 6 * 3600.0  # how far back the baseline goes; three pod-hours are enough
MINIMUM_POD_SECONDS = 3 * 3600.0  # a shorter past counts as this long, else verdicts would take minutes more
RECENT_SECONDS = 3600.0  # the longest time that `recent_latencies` covers

_PREFERRED_SECONDS = 600.0  # the time that `recent_latencies` covers if it has enough requests
_ENOUGH_REQUESTS = 1000  # for that
_TWICE = int(np.searchsorted(LEVELS, 2.0)) + 1  # a burst is also counted one level up
_SHARES_SLOWER = (0.002, 0.25)  # with rarer ones, a regression would look like quiet time of a stable that bursts
_MOST_BOUNDS = 5
_NEARLY_ALL = 0.995


@dataclass(frozen=True, slots=True)
class Baseline:
    """What stable's past says.

    `bounds`: the latencies (seconds) that are compared. `pod_seconds` and `requests`: how much of the past there was.
    `nearly_all_within`: the seconds that nearly all of its recent requests took at most.
    """

    by_objective: Mapping[str, ObjectiveBaseline]
    bounds: tuple[float, ...]
    pod_seconds: float
    requests: int
    nearly_all_within: float = 0.0

    @property
    def most_bursts(self) -> tuple[str, float]:
        """The objective in which stable burst most, and its bursts per pod and hour.

        Only bursts to at least twice the usual rate.
        """
        length = max(self.pod_seconds, MINIMUM_POD_SECONDS)
        # The law of a past without any burst assumes one, spread over the levels.
        bursts_in_length = {
            name: float(np.max(past.compared.starts[..., _TWICE])) * length - 1 / len(LEVELS)
            for name, past in self.by_objective.items()
        }
        name = max(bursts_in_length, key=lambda objective: bursts_in_length[objective], default="")
        return name, max(0.0, bursts_in_length.get(name, 0.0)) / length * 3600

    @property
    def most_clumped(self) -> tuple[str, float, float]:
        """The objective whose bad requests come in the largest clumps, and how many times as many requests a Pass on it
        takes, and a Fail at least: the mean over columns rises first where clumps are smallest.
        """
        times = {
            name: (float(past.judged.divisor), float(min(past.compared.divisor.flat, default=1.0)))
            for name, past in self.by_objective.items()
        }
        name = max(times, key=lambda objective: max(times[objective]), default="")
        return name, *times.get(name, (1.0, 1.0))


def comparison_bounds(objectives: Sequence[Objective], totals: Mapping[float, float]) -> tuple[float, ...]:
    """The latency bounds (seconds) to compare at: some of those that a fair share of stable's requests exceed.

    None is so low that nobody would notice the difference.

    `totals`: stable's requests within each bound of its histogram. Without requests, the objectives' own bounds.
    """
    requests = totals.get(np.inf, 0.0)
    slower = {bound: 1 - within / requests for bound, within in sorted(totals.items()) if requests and bound < np.inf}
    least, (rare, frequent) = criteria.least_compared(objectives), _SHARES_SLOWER
    fair = [bound for bound, share in slower.items() if bound >= least and rare <= share <= frequent]
    if not fair:
        return criteria.bounds(objectives, ())
    spread = np.unique(np.linspace(0, len(fair) - 1, _MOST_BOUNDS).round().astype(int))
    return tuple(fair[index] for index in spread)


def recent_latencies(counters: Counters, revision: str, until: float) -> Mapping[float, float]:
    """Stable's requests within each latency bound (seconds), of the minutes before `until` (unix seconds).

    Latencies of hours ago may belong to another load. If there are few requests, the whole last hour is taken.
    """
    within: Mapping[float, float] = {}
    for seconds in (_PREFERRED_SECONDS, RECENT_SECONDS):
        within = tally(counters, revision, until - seconds, until).within
        if within.get(np.inf, 0) >= _ENOUGH_REQUESTS:
            break
    return within


def nearly_all_within(within: Mapping[float, float]) -> float:
    """The lowest bound (seconds) that nearly all requests keep; the last bound if they keep none, 0 without requests.

    `within`: requests within each bound.
    """
    requests, finite = within.get(np.inf, 0.0), [bound for bound in within if bound < np.inf]
    if not requests:
        return 0.0
    wide_enough = (bound for bound in finite if within[bound] >= _NEARLY_ALL * requests)
    return min(wide_enough, default=max(finite, default=0.0))


@dataclass(frozen=True, slots=True)
class PodPast:
    """What the objectives count in the bins of one pod, by their names, and its requests in all of them.

    `first`: the index of its first bin. Bins of all pods have the same edges.
    """

    counted: Mapping[str, ObjectiveCounts]
    bins: int
    requests: int
    first: int = 0


def pods_past(
    objectives: Sequence[Objective],
    chosen: tuple[float, ...],
    counters: Counters,
    revision: str,
    edges: Sequence[float],
) -> list[PodPast]:
    """The past of each pod of `revision`, in the bins between `edges` (unix seconds) in which it was scraped."""
    pods = [name for name, pod in counters.pods.items() if pod.revision == revision]
    of_pods = (Bins.of_pod(counters, name, revision, edges) for name in pods if len(edges) > 1)
    return [
        PodPast(
            {objective.name: criteria.counts_in_bins(objective, chosen, bins) for objective in objectives},
            bins.number,
            int(bins.finished.sum()),
            bins.first,
        )
        for bins in of_pods
    ]


def from_pods(
    objectives: Sequence[Objective], chosen: tuple[float, ...], pods: Sequence[PodPast], bin_seconds: float
) -> Baseline:
    """The baseline of stable: its pods are put one after the other, as if they were one pod. Only clumps may be larger
    than those of a pod, because a clump may be spread over all pods.

    `chosen`: the latency bounds (seconds) to compare at.
    """
    bins = sum(pod.bins for pod in pods)
    if bins and objectives:
        counted = {objective.name: _joined([pod.counted[objective.name] for pod in pods]) for objective in objectives}
        by_objective = from_counts(counted, bin_seconds)
        if len(pods) > 1:
            by_objective = _with_clumps_over_pods(by_objective, pods, bin_seconds)
    else:
        by_objective = _unknown(objectives, chosen)
    return Baseline(by_objective, chosen, bins * bin_seconds, sum(pod.requests for pod in pods))


def from_counters(
    objectives: Sequence[Objective],
    chosen: tuple[float, ...],
    counters: Counters,
    revision: str,
    edges: Sequence[float],
) -> Baseline:
    """The baseline of stable, from its counters in bins of equal length between `edges` (unix seconds)."""
    bin_seconds = edges[1] - edges[0] if len(edges) > 1 else 0.0
    return from_pods(objectives, chosen, pods_past(objectives, chosen, counters, revision, edges), bin_seconds)


def _joined(pods: Sequence[ObjectiveCounts]) -> ObjectiveCounts:
    """One pod after the other."""

    def one(counts: Sequence[Counts]) -> Counts:
        requests, bad = ([getattr(part, name) for part in counts] for name in ("requests", "bad"))
        return Counts(np.concatenate(requests, -1), np.concatenate(bad, -1))

    return ObjectiveCounts(one([pod.judged for pod in pods]), one([pod.compared for pod in pods]))


def _with_clumps_over_pods(
    by_objective: Mapping[str, ObjectiveBaseline], pods: Sequence[PodPast], bin_seconds: float
) -> dict[str, ObjectiveBaseline]:
    """Counts of one revision are divided by what the sum of all pods shows, if that is more than single pods show.

    A comparison needs it only for single pods: clumps that are spread over pods are spread over both revisions, request
    by request, like all traffic. There they cancel, as do peaks of load that all pods share.
    """
    sums = [_added([(pod.first, pod.counted[name].judged) for pod in pods]) for name in by_objective]
    requests, bad = (np.stack([getattr(counts, part) for counts in sums]) for part in ("requests", "bad"))
    of_sums = bursts.learn(BinnedCounts(requests, bad, bin_seconds), MINIMUM_POD_SECONDS).divisor
    return {
        name: replace(past, judged=replace(past.judged, divisor=np.asarray(max(past.judged.divisor, of_sum))))
        for (name, past), of_sum in zip(by_objective.items(), of_sums, strict=True)
    }


def _added(pods: Sequence[tuple[int, Counts]]) -> Counts:
    """The counts of all pods in each bin, from the first bin and the counts of each of them.

    A pod that was not scraped in a bin has no part in it.
    """
    bins = max(first + len(counts.requests) for first, counts in pods)
    requests, bad = np.zeros(bins), np.zeros(bins)
    for first, counts in pods:
        scraped = slice(first, first + len(counts.requests))
        requests[scraped] += counts.requests
        bad[scraped] += counts.bad
    return Counts(requests, bad)


def _unknown(objectives: Sequence[Objective], chosen: tuple[float, ...]) -> dict[str, ObjectiveBaseline]:
    """The baseline of a past without counts."""
    columns = {objective.name: 1 if objective.latency is None else len(chosen) for objective in objectives}
    judged = BurstLaw.unknown(MINIMUM_POD_SECONDS, divisor=UNKNOWN_DIVISOR)
    return {
        name: ObjectiveBaseline(BurstLaw.unknown(MINIMUM_POD_SECONDS, (number,), UNKNOWN_DIVISOR), judged)
        for name, number in columns.items()
    }


def from_counts(counted: Mapping[str, ObjectiveCounts], bin_seconds: float) -> dict[str, ObjectiveBaseline]:
    """The baseline of each objective, from its counts in bins of `bin_seconds`.

    All burst laws are learned in one call, because the time that it takes hardly grows with the number of columns.
    """
    columns = [
        counts
        for objective in counted.values()
        for counts in (Counts(objective.judged.requests[None], objective.judged.bad[None]), objective.compared)
    ]
    requests = np.concatenate([counts.requests for counts in columns])
    bad = np.concatenate([counts.bad for counts in columns])
    law = bursts.learn(BinnedCounts(requests, bad, bin_seconds), MINIMUM_POD_SECONDS)
    by_objective, end = dict[str, ObjectiveBaseline](), 0
    for name, objective in counted.items():
        judged, first_compared = end, end + 1
        end = first_compared + len(objective.compared.requests)
        totals = float(objective.judged.requests.sum()), float(objective.judged.bad.sum())
        by_objective[name] = ObjectiveBaseline(law.part(slice(first_compared, end)), law.part(judged), *totals)
    return by_objective
