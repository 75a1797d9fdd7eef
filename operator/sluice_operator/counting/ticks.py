"""A run's counts in ticks of equal length. They do not depend on how often, or when, the samples are read. Pure.

Tick k begins k tick lengths after the run's first traffic. A tick is closed when each pod that is still scraped was
scraped after the end of the tick. So a late scrape delays a tick, but never changes its counts.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one revision's requests through the gateway, and of its labels."""

    started: int = 0
    finished: int = 0
    errors: int = 0
    within: Mapping[float, int] = field(default_factory=dict)  # requests that took at most each bound, in seconds
    labels: int = 0
    correct: int = 0
    refused: int = 0  # or abandoned by the caller: status 4xx
    others: int = 0  # answers to other requests than predictions, such as labels

    @property
    def answered(self) -> int:
        """All that the gateway sent to the revision, and that got an answer."""
        return self.finished + self.others

    def slower(self, bound: float) -> tuple[int, int]:
        """(requests, those that took longer than `bound` seconds). (0, 0) where the histogram lacks that bound."""
        total, fast = self.within.get(math.inf), self.within.get(bound)
        return (0, 0) if total is None or fast is None else (total, max(0, total - fast))


@dataclass(frozen=True, slots=True)
class Tick:
    """The counts of both revisions from `start` to `end`, in unix seconds.

    `both_scraped`: both counts are of the same time, give or take one scrape.
    """

    start: float
    end: float
    canary: Tally
    stable: Tally
    both_scraped: bool = True


@dataclass(frozen=True, slots=True)
class ComparedRevisions:
    """The revisions that a run compares. Without a stable revision nothing is compared."""

    canary: str
    stable: str | None


def tally(counters: Counters, revision: str, since: float, until: float, pod: str = "") -> Tally:
    """Counts of `revision` after `since` and up to `until` (unix seconds), in all of its pods unless one is named."""
    counts: dict[str, float] = {}
    errors, refused, within = 0.0, 0.0, dict[float, float]()
    for identity, growth in counters.grown(revision, since, until, pod):
        if identity.name.endswith("_bucket"):
            bound = float(identity.le)
            within[bound] = within.get(bound, 0.0) + growth
            continue
        counts[identity.name] = counts.get(identity.name, 0.0) + growth
        if identity.name == "ml_requests_total":
            errors += growth if identity.code.startswith("5") else 0.0
            refused += growth if identity.code.startswith("4") else 0.0
    return Tally(
        started=round(counts.get("ml_requests_started_total", 0)),
        finished=round(counts.get("ml_requests_total", 0)),
        errors=round(errors),
        within={bound: round(count) for bound, count in sorted(within.items())},
        labels=round(counts.get("ml_feedback_total", 0)),
        correct=round(counts.get("ml_feedback_correct_total", 0)),
        refused=round(refused),
        others=round(counts.get("ml_other_requests_total", 0)),
    )


def closed_ticks(
    counters: Counters, revisions: ComparedRevisions, start: float, length: float, stale_after: float
) -> Iterator[Tick]:
    """The ticks of `length` seconds from `start` (unix seconds) on that no later scrape can change.

    A pod that was not scraped for `stale_after` seconds, while other pods were, is gone.
    """
    complete_until = counted_until(counters, revisions, stale_after)
    while complete_until is not None and start + length <= complete_until:
        end = start + length
        yield Tick(
            start,
            end,
            tally(counters, revisions.canary, start, end),
            tally(counters, revisions.stable, start, end) if revisions.stable else Tally(),
            both_scraped=_both_scraped(counters, revisions, start, end, stale_after),
        )
        start = end


def last_scrape(counters: Counters, revision: str) -> float | None:
    """When a pod of `revision` was last scraped, in unix seconds; None if none was."""
    return max((pod.last for pod in counters.pods.values() if pod.revision == revision), default=None)


def counted_until(counters: Counters, revisions: ComparedRevisions, stale_after: float) -> float | None:
    """The moment (unix seconds) up to which the counts of both revisions are complete; None before the canary's first
    scrape.

    A pod that was not scraped for `stale_after` seconds, while other pods were, is gone: nothing waits for it. If that
    is true of all pods of the canary, the counts end there, because its metrics are lost.
    """
    canary_until = last_scrape(counters, revisions.canary)
    if canary_until is None:
        return None
    return min(canary_until, *_last_scrapes(counters, revisions, stale_after))


def next_close(counters: Counters, revisions: ComparedRevisions, end: float, intervals: Intervals) -> float:
    """When the tick until `end` will be closed, if each pod is scraped as regularly as before. Both in unix seconds.

    -inf before the canary's first scrape.
    """
    if last_scrape(counters, revisions.canary) is None:
        return -math.inf
    scrapes = _last_scrapes(counters, revisions, intervals.stale_after)
    return max(last + intervals.scrape * math.ceil((end - last) / intervals.scrape) for last in scrapes)


def _last_scrapes(counters: Counters, revisions: ComparedRevisions, stale_after: float) -> list[float]:
    """When each pod that is still scraped was last scraped."""
    scrapes = [pod.last for pod in counters.pods.values() if pod.revision in (revisions.canary, revisions.stable)]
    newest = max(scrapes)
    return [last for last in scrapes if last >= newest - stale_after]


def _both_scraped(
    counters: Counters, revisions: ComparedRevisions, start: float, end: float, stale_after: float
) -> bool:
    """Whether each pod that was there was scraped in the tick, and in the time of the tick before it.

    Otherwise the tick lacks requests of that pod, or has the requests of a longer time, and a pod that was not scraped
    would look silent.
    """
    pods = [
        pod
        for pod in counters.pods.values()
        if pod.revision in (revisions.canary, revisions.stable) and pod.newest(end) > end - stale_after
    ]
    previous_start = start - (end - start)
    scraped = all(pod.newest(end) > start and pod.newest(start) > previous_start for pod in pods)
    return scraped and any(pod.revision == revisions.canary for pod in pods)
