"""Counts the requests of the stream: totals by version and status, rates over time, failures. Pure."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dev.demo.traffic import Request

NO_VERSION = "-"  # there was no answer, or it did not name a version


@dataclass(frozen=True, slots=True)
class VersionTotals:
    version: str
    statuses: tuple[tuple[str, int], ...]  # status (or "none") and count, predictions and feedback together
    predictions: int
    correct: int
    failed: int
    p50: float  # seconds, of answered predictions
    p95: float

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.predictions if self.predictions else None


def failures(requests: Iterable[Request]) -> tuple[Request, ...]:
    return tuple(request for request in requests if request.failure)


def totals(requests: Iterable[Request]) -> tuple[VersionTotals, ...]:
    """One entry per version that answered, in order of version; requests without a version come last."""
    versions: defaultdict[str, list[Request]] = defaultdict(list)
    for request in requests:
        versions[request.version or NO_VERSION].append(request)
    return tuple(_totals(version, versions[version]) for version in sorted(versions, key=_order))


def rates(requests: Sequence[Request], now: float, seconds: int) -> dict[str, tuple[int, ...]]:
    """Answered predictions per second and version, of the last `seconds` full seconds, oldest first."""
    first = int(now) - seconds
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for request in reversed(requests):
        if request.at + request.latency < first:
            break  # requests are in the order of their answers: all answers before this one came earlier
        if request.kind == "predict" and not request.failure:
            counts[request.version][int(request.at)] += 1
    return {
        version: tuple(counts[version][second] for second in range(first, int(now)))
        for version in sorted(counts, key=_order)
    }


def answered_by(requests: Iterable[Request], since: float) -> Counter[str]:
    """Predictions that started at or after `since`, by version."""
    return Counter(
        request.version or NO_VERSION for request in requests if request.kind == "predict" and request.at >= since
    )


def _totals(version: str, requests: list[Request]) -> VersionTotals:
    statuses = Counter("none" if request.status is None else str(request.status) for request in requests)
    answered = [request for request in requests if request.kind == "predict" and not request.failure]
    latencies = [request.latency for request in answered]
    return VersionTotals(
        version=version,
        statuses=tuple(sorted(statuses.items())),
        predictions=len(answered),
        correct=sum(request.correct is True for request in answered),
        failed=len(failures(requests)),
        p50=_quantile(latencies, 50),
        p95=_quantile(latencies, 95),
    )


def _quantile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _order(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (1 << 30, version)
