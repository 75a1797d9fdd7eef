"""What stable did before a run: how its pods burst, and at which latencies a canary is best compared with it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sluice_operator.analysis import criteria
from sluice_operator.api.spec import Objective
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.ticks import tally
from sluice_operator.evalues import bursts
from sluice_operator.evalues.chain import LEVELS, BurstLaw
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.objective import ObjectiveBaseline, ObjectiveCounts

LOOKBACK_SECONDS = 6 * 3600.0  # how far back it goes; three pod-hours are enough
MINIMUM_POD_SECONDS = 3 * 3600.0  # that a shorter past is taken for: else verdicts would take minutes more
_TWICE = int(np.searchsorted(LEVELS, 2.0)) + 1  # a burst is also counted one level up
_TAILS = (0.002, 0.25)  # rarer tails would let a regression pass for quiet time of a stable that bursts
_BOUNDS = 5
RECENT_SECONDS, _PREFERRED_SECONDS = (
    3600.0,
    600.0,
)  # of `recent_latencies`: at most, and if those had enough
_ENOUGH_REQUESTS = 1000
_NEARLY_ALL = 0.995


@dataclass(frozen=True, slots=True)
class Baseline:
    """What stable's past says: by objective, the latency bounds (seconds) that are compared, and how much was found."""

    by_objective: Mapping[str, ObjectiveBaseline]
    bounds: tuple[float, ...]
    pod_seconds: float
    requests: int
    nearly_all_within: float = 0.0  # seconds that nearly all of its requests took at most, lately

    @property
    def most_bursts(self) -> tuple[str, float]:
        """The objective in which stable burst most (to twice its rate or more), and how often a pod did per hour."""
        length = max(self.pod_seconds, MINIMUM_POD_SECONDS)
        often = {
            name: float(np.max(past.compared.starts[..., _TWICE])) * length - 1 / len(LEVELS)
            for name, past in self.by_objective.items()
        }
        name = max(often, key=lambda objective: often[objective], default="")
        return name, max(0.0, often.get(name, 0.0)) / length * 3600


def comparison_bounds(objectives: Sequence[Objective], totals: Mapping[float, float]) -> tuple[float, ...]:
    """Bounds for comparisons: some of those over which stable has a fair share of its requests.

    `totals`: stable's requests within each bound of its histogram. Without requests, the objectives' own bounds.
    """
    requests = totals.get(np.inf, 0.0)
    tail = {bound: 1 - within / requests for bound, within in sorted(totals.items()) if requests and bound < np.inf}
    fair = [bound for bound, share in tail.items() if _TAILS[0] <= share <= _TAILS[1]]
    if not fair:
        return criteria.bounds(objectives, ())
    spread = np.unique(np.linspace(0, len(fair) - 1, _BOUNDS).round().astype(int))
    return tuple(fair[index] for index in spread)


def recent_latencies(counters: Counters, revision: str, until: float) -> Mapping[float, float]:
    """Stable's requests within each bound (seconds), of the minutes before `until` (unix seconds).

    What it did hours ago would choose bounds for another load. Few requests tell little: then it is the whole hour.
    """
    within: Mapping[float, float] = {}
    for seconds in (_PREFERRED_SECONDS, RECENT_SECONDS):
        within = tally(counters, revision, until - seconds, until).within
        if within.get(np.inf, 0) >= _ENOUGH_REQUESTS:
            break
    return within


def nearly_all_within(within: Mapping[float, float]) -> float:
    """The bound (seconds) that nearly all requests keep; 0 without requests, the last bound where it is none."""
    requests, finite = within.get(np.inf, 0.0), [bound for bound in within if bound < np.inf]
    kept = (bound for bound in finite if within[bound] >= _NEARLY_ALL * requests)
    return min(kept, default=max(finite, default=0.0)) if requests else 0.0


def learn(
    objectives: Sequence[Objective],
    chosen: tuple[float, ...],
    counters: Counters,
    revision: str,
    edges: Sequence[float],
) -> Baseline:
    """From stable's counters in bins between `edges` (unix seconds): its pods one after the other, as if one pod."""
    tallies = [
        tally(counters, revision, since, until, name)
        for name, pod in counters.pods.items()
        if pod.revision == revision
        for since, until in pairwise(edges)
        if pod.first <= since and until <= pod.last
    ]
    bin_seconds = edges[1] - edges[0] if len(edges) > 1 else 0.0
    if tallies and objectives:
        counted = {objective.name: criteria.counts(objective, chosen, *tallies) for objective in objectives}
        by_objective = learned(counted, bin_seconds)
    else:
        by_objective = _unknown(objectives, chosen)
    return Baseline(by_objective, chosen, len(tallies) * bin_seconds, sum(bin_.finished for bin_ in tallies))


def _unknown(objectives: Sequence[Objective], chosen: tuple[float, ...]) -> dict[str, ObjectiveBaseline]:
    columns = {each.name: len(chosen) if each.latency is not None else 1 for each in objectives}
    judged = BurstLaw.unknown(MINIMUM_POD_SECONDS)
    return {
        name: ObjectiveBaseline(BurstLaw.unknown(MINIMUM_POD_SECONDS, (number,)), judged)
        for name, number in columns.items()
    }


def learned(counted: Mapping[str, ObjectiveCounts], bin_seconds: float) -> dict[str, ObjectiveBaseline]:
    """By objective, from the counts of its bins. All laws are learned together: the time is that of the bins, hardly
    that of the columns."""
    arms = [
        arm
        for one in counted.values()
        for arm in (Counts(one.judged.requests[None], one.judged.bad[None]), one.compared)
    ]
    requests, bad = np.concatenate([one.requests for one in arms]), np.concatenate([one.bad for one in arms])
    law = bursts.learn(bursts.PodHistory(requests, bad, bin_seconds), MINIMUM_POD_SECONDS)
    found, column = {}, 0
    for name, one in counted.items():
        first, column = column + 1, column + 1 + len(one.compared.requests)
        totals = float(one.judged.requests.sum()), float(one.judged.bad.sum())
        found[name] = ObjectiveBaseline(law.part(slice(first, column)), law.part(first - 1), *totals)
    return found
