"""Asks Prometheus for the raw counter samples of model servers. What they mean is decided elsewhere."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from prometheus_api_client.exceptions import PrometheusApiClientException

from sluice_operator.prometheus import session
from sluice_operator.prometheus.connection import Prometheus
from sluice_operator.prometheus.credentials import CredentialsError
from sluice_operator.prometheus.selection import COUNTERS, Selection

Answer = list[tuple[Mapping[str, str], Sequence[tuple[float, str]]]]  # labels, and samples of (unix seconds, value)
Found = TypeVar("Found", "_Newest", "_Samples")

_POINTS = 10_000  # that a range query asks for at once; Prometheus gives 11,000
_AHEAD_SECONDS = 1.0  # that ends of ranges are rounded by, and a little more


class MetricsLostError(Exception):
    """Prometheus gave no answer that can be read. The text says what to look at."""


class _Newest(msgspec.Struct, frozen=True):
    """One series of an instant query's answer."""

    metric: dict[str, str]
    value: tuple[float, str]


class _Samples(msgspec.Struct, frozen=True):
    """One series with all of its samples."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


class Reader:
    """Raw samples, as Prometheus keeps them."""

    def __init__(self, prometheus: Prometheus, clock: Callable[[], float] = time.time) -> None:
        self._prometheus = prometheus
        self._clock = clock

    async def raw(self, selection: Selection, since: float, until: float) -> Answer:
        """Every sample after `since` and up to `until` (unix seconds)."""
        query = f"{selection.promql()}[{(until - since) * 1000:.0f}ms]"
        found = await _asked(_Samples, self._prometheus.custom_query, query, {"time": until})
        return _timely(found, until)

    async def grid(
        self, selection: Selection, since: float, until: float, step: float, counters: Sequence[str] = COUNTERS
    ) -> Answer:
        """The newest sample of each counter every `step` seconds."""
        return _timely(await self._range(selection.promql(counters), since, until, step), until)

    async def rate(self, selection: Selection, at: float) -> float | None:
        """Requests per second over the last two minutes, None without such a series. No evidence: it extrapolates."""
        query = f"sum(rate({selection.promql(('ml_requests_total',))}[2m]))"
        found = await _asked(_Newest, self._prometheus.custom_query, query, {"time": at})
        rate = _number(found[0].value[1]) if found else math.nan
        return rate if math.isfinite(rate) else None

    async def ahead(self) -> float:
        """Seconds that Prometheus's clock is ahead of ours at least, negative if it is behind.

        0 if its time lies between our asking and its answer: more cannot be known.
        """
        asked = self._clock()
        found = await _asked(_Newest, self._prometheus.custom_query, "vector(time())", {})
        theirs = _number(found[0].value[1]) if found else math.nan
        if not math.isfinite(theirs):
            raise MetricsLostError("Prometheus does not tell its time")
        return min(0.0, theirs - asked) + max(0.0, theirs - self._clock())

    async def values(self, query: str, since: float, until: float, step: float) -> list[tuple[float, float]]:
        """What `query` was every `step` seconds. Raises MetricsLostError unless it gives one series, or none yet."""
        measured: list[tuple[float, float]] = []
        while since <= until:
            last = min(until, since + _POINTS * step)
            found = await self._range(query, since, last, step)
            if len(found) > 1:
                told = f"the query gives {len(found)} series: aggregate them into one, such as by sum(...)"
                raise MetricsLostError(told)
            measured.extend((at, _number(value)) for one in found for at, value in one.values)
            since = last + step
        return measured

    async def _range(self, query: str, since: float, until: float, step: float) -> list[_Samples]:
        ends = (datetime.fromtimestamp(moment, UTC) for moment in (since, until))
        return await _asked(_Samples, self._prometheus.custom_query_range, query, *ends, f"{step:.0f}s")


async def _asked(kind: type[Found], query: Callable[..., Any], *arguments: Any) -> list[Found]:
    """The series of an answer. Whatever is wrong with it ends as a MetricsLostError: nothing else may stop a look."""
    try:
        found = await asyncio.to_thread(query, *arguments)
    except CredentialsError as error:
        raise MetricsLostError(str(error)) from error
    except (OSError, PrometheusApiClientException, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MetricsLostError(f"Prometheus gave no answer: {session.said(error)}") from error
    try:
        return msgspec.convert(found, list[kind])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        raise MetricsLostError(f"Prometheus answered with something else than series: {error}") from error


def _timely(found: Iterable[_Samples], until: float) -> Answer:
    """What was asked for. A sample of the year 58,000, in milliseconds perhaps, would be waited for forever."""
    answer: Answer = [(one.metric, one.values) for one in found]
    latest = max((samples[-1][0] for _, samples in answer if samples), default=until)
    if not latest <= until + _AHEAD_SECONDS:
        raise MetricsLostError("Prometheus answered with samples of the future: are its times in seconds?")
    return answer


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
