"""From raw counter samples to the numbers that a verdict is reached on. Pure.

Increments are differences of raw samples per series, never `rate()` or `increase()`: those extrapolate, and a verdict
must count what happened. Series are told apart by pod, so restarts and pods that come and go need no special case.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Sample = tuple[float, float]  # unix time in seconds, value of the counter


@dataclass(frozen=True, slots=True)
class Series:
    """One counter of one pod, samples in order of time. `labels` include `__name__`, `pod_uid` and `revision`."""

    labels: Mapping[str, str]
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened to one revision's gateway requests in a window. All fields count requests, or labels."""

    started: int = 0
    finished: int = 0
    errors: int = 0
    within: Mapping[float, int] = field(default_factory=dict)  # by latency bound in seconds
    labels: int = 0
    correct: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """The windows of one look at a run. Evidence against counts from earlier than evidence in favour."""

    against: Tally  # canary, from the first write that could let traffic in
    favour: Tally  # canary, from the moment its first weight was seen live
    step: Tally  # canary, from the moment this step's weight was seen live
    overdue: int = 0  # canary requests that began long enough ago to be finished, and are not
    canary_widest: int = 0  # canary requests finished in a window that contains the next one
    stable_step: int = 0  # stable requests finished while this step's weight was live


def tally(series: Iterable[Series], revision: str, since: float, until: float) -> Tally:
    """Counts of `revision` in the window from `since` to `until` (unix seconds)."""
    scraped = [one for one in series if one.samples]
    first_scrape: dict[str, float] = {}
    for one in scraped:
        pod, at = one.labels["pod_uid"], one.samples[0][0]
        first_scrape[pod] = min(first_scrape.get(pod, at), at)
    counts: dict[str, float] = {}
    errors, within = 0.0, dict[float, float]()
    for one in (each for each in scraped if each.labels.get("revision") == revision):
        known = first_scrape[one.labels["pod_uid"]] < one.samples[0][0]
        grown = increment(one.samples, since, until, pod_seen_before=known)
        name = one.labels["__name__"]
        if name.endswith("_bucket"):
            bound = float(one.labels["le"])
            within[bound] = within.get(bound, 0.0) + grown
            continue
        counts[name] = counts.get(name, 0.0) + grown
        if name == "ml_requests_total" and one.labels["code"].startswith("5"):
            errors += grown
    return Tally(
        started=round(counts.get("ml_requests_started_total", 0)),
        finished=round(counts.get("ml_requests_total", 0)),
        errors=round(errors),
        within={bound: round(count) for bound, count in within.items()},
        labels=round(counts.get("ml_feedback_total", 0)),
        correct=round(counts.get("ml_feedback_correct_total", 0)),
    )


def increment(samples: Sequence[Sample], since: float, until: float, *, pod_seen_before: bool) -> float:
    """Growth of one counter from the last sample at or before `since` to the last one at or before `until`.

    Without a sample before `since`, the series began at 0 if its pod was scraped before it had this series
    (`pod_seen_before`); else its first sample is the base, because what it counted earlier is unknown.
    A value that falls is a restart of the process: it counted up from 0 again.
    """
    end = bisect_right(samples, until, key=lambda sample: sample[0])
    start = bisect_right(samples, since, 0, end, key=lambda sample: sample[0])
    if start > 0:
        base = samples[start - 1][1]
    elif end == 0 or pod_seen_before:
        base = 0.0
    else:
        base = samples[0][1]
    grown = 0.0
    for _, value in samples[start:end]:
        grown += value - base if value >= base else value
        base = value
    return grown


def seen_between(series: Iterable[Series], revision: str, stale_after: float) -> tuple[float, float] | None:
    """The time in which all pods of `revision` that are still scraped were seen; None if there is no series.

    Labels are counted by any pod, so only finished requests tell whose pod it is. A pod that was not scraped for
    `stale_after` seconds while others were is gone, and does not hold the rest back.
    """
    pods: dict[str, tuple[float, float]] = {}
    for one in series:
        if one.labels["__name__"] == "ml_requests_total" and one.labels.get("revision") == revision and one.samples:
            first, last = one.samples[0][0], one.samples[-1][0]
            known = pods.get(one.labels["pod_uid"], (first, last))
            pods[one.labels["pod_uid"]] = min(known[0], first), max(known[1], last)
    freshest = max((last for _, last in pods.values()), default=0.0)
    alive = [(first, last) for first, last in pods.values() if last >= freshest - stale_after]
    return (max(first for first, _ in alive), min(last for _, last in alive)) if alive else None
