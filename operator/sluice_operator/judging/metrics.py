"""Asks Prometheus for the raw counter samples of model servers. What they mean is decided elsewhere."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Protocol, Self, TypeVar

import msgspec
import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util import Retry

Answer = list[tuple[Mapping[str, str], Sequence[tuple[float, str]]]]  # labels, and samples of (unix seconds, value)
Found = TypeVar("Found", "_Newest", "_Samples")

BUCKETS = "ml_request_duration_seconds_bucket"
COUNTERS = ("ml_requests_started_total", "ml_requests_total", "ml_feedback_total", "ml_feedback_correct_total", BUCKETS)
_QUERY_TIMEOUT_SECONDS = 10


class MetricsLostError(Exception):
    """Prometheus gave no answer that can be read. The text says what to look at."""


class Prometheus(Protocol):
    """The part of the HTTP API that is needed: `result` lists of instant and of range queries."""

    def custom_query(self, query: str, params: dict[str, Any]) -> list[dict[str, Any]]: ...

    def custom_query_range(
        self, query: str, start_time: datetime, end_time: datetime, step: str
    ) -> list[dict[str, Any]]: ...


class _Newest(msgspec.Struct, frozen=True):
    """One series of an instant query's answer."""

    metric: dict[str, str]
    value: tuple[float, str]


class _Samples(msgspec.Struct, frozen=True):
    """One series with all of its samples."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Counters of revisions of ModelDeployments, as the gateway's requests moved them."""

    objects: tuple[tuple[str, str], ...]  # namespace and name of each
    revisions: tuple[str, ...]
    bounds: tuple[float, ...] | None = ()  # of latency, in seconds; None for all that there are

    @classmethod
    def joined(cls, selections: Iterable[Self]) -> Self:
        """All of them in one, and perhaps a little more."""
        found = list(selections)
        return cls(
            tuple(chain.from_iterable(one.objects for one in found)),
            tuple(chain.from_iterable(one.revisions for one in found)),
            tuple(sorted({bound for one in found for bound in one.bounds or ()})),
        )

    def promql(self, counters: Sequence[str] = COUNTERS) -> str:
        """An instant selector. `le` is empty on what is no histogram."""
        le = "" if self.bounds is None else f',le=~"{"|".join(["", "[+]Inf", *map(_escaped, self.bounds)])}"'
        namespaces, names = ("|".join(sorted(set(each))) for each in zip(*self.objects, strict=True))
        return (
            f'{{__name__=~"{"|".join(counters)}",namespace=~"{namespaces}",model_deployment=~"{names}",'
            f'revision=~"{"|".join(self.revisions)}",entry="gateway"{le}}}'
        )


def _escaped(bound: float) -> str:
    return str(bound).replace(".", "[.]")


def connect(url: str) -> Prometheus:
    """A client that gives up after one try: the next look is only seconds away."""
    client: Prometheus = PrometheusConnect(url=url, timeout=_QUERY_TIMEOUT_SECONDS, retry=Retry(total=0))
    return client


class Reader:
    """Raw samples, as Prometheus keeps them."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus

    async def raw(self, selection: Selection, since: float, until: float) -> Answer:
        """Every sample after `since` and up to `until` (unix seconds)."""
        query = f"{selection.promql()}[{(until - since) * 1000:.0f}ms]"
        found = await _asked(_Samples, self._prometheus.custom_query, query, {"time": until})
        return [(one.metric, one.values) for one in found]

    async def grid(
        self, selection: Selection, since: float, until: float, step: float, counters: Sequence[str] = COUNTERS
    ) -> Answer:
        """The newest sample of each counter every `step` seconds."""
        found = await self._range(selection.promql(counters), since, until, step)
        return [(one.metric, one.values) for one in found]

    async def rate(self, selection: Selection, at: float) -> float | None:
        """Requests per second over the last two minutes, None without such a series. No evidence: it extrapolates."""
        query = f"sum(rate({selection.promql(('ml_requests_total',))}[2m]))"
        found = await _asked(_Newest, self._prometheus.custom_query, query, {"time": at})
        rate = float(found[0].value[1]) if found else math.nan
        return rate if math.isfinite(rate) else None

    async def values(self, query: str, since: float, until: float, step: float) -> list[tuple[float, float]]:
        """What `query` was every `step` seconds. Raises MetricsLostError unless it gives one series, or none yet."""
        found = await self._range(query, since, until, step)
        if len(found) > 1:
            raise MetricsLostError(f"the query gives {len(found)} series: aggregate them into one, such as by sum(...)")
        return [(at, float(value)) for one in found for at, value in one.values]

    async def _range(self, query: str, since: float, until: float, step: float) -> list[_Samples]:
        ends = (datetime.fromtimestamp(moment, UTC) for moment in (since, until))
        return await _asked(_Samples, self._prometheus.custom_query_range, query, *ends, f"{step:.0f}s")


async def _asked(kind: type[Found], query: Callable[..., Any], *arguments: Any) -> list[Found]:
    """The series of an answer. What is not JSON, or has no result, is a ValueError, KeyError or TypeError."""
    try:
        found = await asyncio.to_thread(query, *arguments)
    except (requests.RequestException, PrometheusApiClientException, ValueError, KeyError, TypeError) as error:
        raise MetricsLostError(f"Prometheus gave no answer: {error}") from error
    try:
        return msgspec.convert(found, list[kind])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        raise MetricsLostError(f"Prometheus answered with something else than series: {error}") from error
