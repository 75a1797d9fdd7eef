"""A run's counts in ticks of equal length, the same however often and whenever they are read. Pure.

Tick k spans from k to k+1 lengths after the run's first traffic. It is closed when each pod that is still scraped was
scraped after its end, so a late scrape delays a tick and never falsifies it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sluice_operator.counting.counters import Counters


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened to one revision's gateway requests. All fields count requests, or labels."""

    started: int = 0
    finished: int = 0
    errors: int = 0
    within: Mapping[float, int] = field(default_factory=dict)  # by latency bound in seconds
    labels: int = 0
    correct: int = 0

    def slower(self, bound: float) -> tuple[int, int]:
        """(requests, those that took longer than `bound` seconds); none of a histogram without that bound."""
        total, fast = self.within.get(math.inf), self.within.get(bound)
        return (0, 0) if total is None or fast is None else (total, max(0, total - fast))


@dataclass(frozen=True, slots=True)
class Tick:
    """Unix seconds, and the counts of both revisions. `both_scraped`: of the same time, at most a scrape off."""

    start: float
    end: float
    canary: Tally
    stable: Tally
    both_scraped: bool = True


@dataclass(frozen=True, slots=True)
class ComparedRevisions:
    """The revisions that a run compares; without a stable one nothing is compared."""

    canary: str
    stable: str | None


def tally(counters: Counters, revision: str, since: float, until: float, pod: str = "") -> Tally:
    """Counts of `revision` after `since` and up to `until` (unix seconds), of all its pods unless one is named."""
    counts: dict[str, float] = {}
    errors, within = 0.0, dict[float, float]()
    for identity, grown in counters.grown(revision, since, until, pod):
        if identity.name.endswith("_bucket"):
            bound = float(identity.le)
            within[bound] = within.get(bound, 0.0) + grown
            continue
        counts[identity.name] = counts.get(identity.name, 0.0) + grown
        if identity.name == "ml_requests_total" and identity.code.startswith("5"):
            errors += grown
    return Tally(
        started=round(counts.get("ml_requests_started_total", 0)),
        finished=round(counts.get("ml_requests_total", 0)),
        errors=round(errors),
        within={bound: round(count) for bound, count in sorted(within.items())},
        labels=round(counts.get("ml_feedback_total", 0)),
        correct=round(counts.get("ml_feedback_correct_total", 0)),
    )


def closed_ticks(
    counters: Counters, revisions: ComparedRevisions, start: float, length: float, stale_after: float
) -> Iterator[Tick]:
    """The ticks from `start` on that no later scrape can change."""
    seen = seen_until(counters, revisions, stale_after)
    while seen is not None and start + length <= seen:
        end = start + length
        yield Tick(
            start,
            end,
            tally(counters, revisions.canary, start, end),
            tally(counters, revisions.stable, start, end) if revisions.stable else Tally(),
            both_scraped=_both_scraped(counters, revisions, start, end, stale_after),
        )
        start = end


def newest(counters: Counters, revision: str) -> float | None:
    """When a pod of `revision` was scraped last."""
    return max((pod.last for pod in counters.pods.values() if pod.revision == revision), default=None)


def seen_until(counters: Counters, revisions: ComparedRevisions, stale_after: float) -> float | None:
    """The moment up to which all pods of both revisions are known; None before any pod of the canary was scraped.

    A pod that was not scraped for `stale_after` seconds while others were is gone, and does not hold the rest back;
    but when all of the canary's are, it is the canary that is not seen any more.
    """
    of_canary = newest(counters, revisions.canary)
    if of_canary is None:
        return None
    mine = [pod for pod in counters.pods.values() if pod.revision in (revisions.canary, revisions.stable)]
    freshest = max(pod.last for pod in mine)
    return min(of_canary, *(pod.last for pod in mine if pod.last >= freshest - stale_after))


def _both_scraped(
    counters: Counters, revisions: ComparedRevisions, start: float, end: float, stale_after: float
) -> bool:
    """Whether each pod was scraped in the tick and in the one before, unless it was gone, or not there yet.

    Else the tick misses requests of that pod, or has those of a longer time: what was not scraped looks silent.
    """
    there = [
        pod
        for pod in counters.pods.values()
        if pod.revision in (revisions.canary, revisions.stable) and pod.newest(end) > end - stale_after
    ]
    earliest = start - (end - start)
    scraped = all(pod.newest(end) > start and pod.newest(start) > earliest for pod in there)
    return scraped and any(pod.revision == revisions.canary for pod in there)
