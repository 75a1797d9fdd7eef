"""Reads raw counter samples of model servers from Prometheus, and checks the form of its answers.

What the samples mean is decided in `counting`.
"""

import asyncio
import contextvars
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec
from prometheus_api_client.exceptions import PrometheusApiClientException

from sluice_operator.credentials.entries import CredentialsError
from sluice_operator.prometheus import session
from sluice_operator.prometheus.connection import Prometheus
from sluice_operator.prometheus.selection import COUNTERS, Selection

Answer = list[tuple[Mapping[str, str], Sequence[tuple[float, str]]]]  # labels, and samples of (unix seconds, value)
Series = TypeVar("Series", "_Newest", "_Samples")

POINTS = 10_000  # per range query; Prometheus refuses more than 11,000
_THREADS = 4  # for the queries to one server
_USER_THREADS = 8  # for those of users, which take as long as these like: the samples of others do not wait for them
_AHEAD_SECONDS = 1.0  # by which a sample may be after the end of a range: Prometheus rounds the end


class MetricsLostError(Exception):
    """Prometheus gave no usable answer. The message says what to check."""


class UnusableAnswerError(MetricsLostError):
    """There is an answer, but it is too long, or not what was asked for. That may be because of a part of it."""

    def __init__(self, message: str, *, too_long: bool = False) -> None:
        super().__init__(message)
        self.too_long = too_long


class _Newest(msgspec.Struct, frozen=True):
    """One series in the answer to an instant query: its newest sample."""

    metric: dict[str, str]
    value: tuple[float, str]


class _Samples(msgspec.Struct, frozen=True):
    """One series in the answer to a range query: all of its samples."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


class Reader:
    """Samples from one Prometheus, as it has them. All methods raise MetricsLostError. `clock`: unix seconds."""

    def __init__(self, prometheus: Prometheus, clock: Callable[[], float] = time.time) -> None:
        self._prometheus = prometheus
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, "prometheus")  # a server that hangs holds no other one's threads
        self._user_threads = ThreadPoolExecutor(_USER_THREADS, "user-queries")

    async def raw(self, selection: Selection, since: float, until: float) -> Answer:
        """All samples after `since` and up to `until` (unix seconds)."""
        query = f"{selection.promql()}[{(until - since) * 1000:.0f}ms]"
        series = await self._query(_Samples, self._prometheus.custom_query, query, {"time": until})
        return _answer(series, until)

    async def grid(
        self, selection: Selection, since: float, until: float, step: float, counters: Sequence[str] = COUNTERS
    ) -> Answer:
        """The newest sample of each counter at every `step` seconds from `since` to `until` (unix seconds)."""
        return _answer(await self._range(selection.promql(counters), since, until, step), until)

    async def rate(self, selection: Selection, at: float) -> float | None:
        """Requests per second in the two minutes before `at` (unix seconds), None without such a series.

        It may not be used as evidence, because Prometheus extrapolates it.
        """
        query = f"sum(rate({selection.promql(('ml_requests_total',))}[2m]))"
        series = await self._query(_Newest, self._prometheus.custom_query, query, {"time": at})
        rate = _number(series[0].value[1]) if series else math.nan
        return rate if math.isfinite(rate) else None

    async def ahead(self) -> float:
        """By how many seconds, at least, Prometheus's clock is ahead of the operator's; negative if it is behind.

        0 if its time is between the request and its answer: then a difference cannot be shown.
        """
        asked_at = self._clock()
        series = await self._query(_Newest, self._prometheus.custom_query, "vector(time())", {})
        theirs = _number(series[0].value[1]) if series else math.nan
        if not math.isfinite(theirs):
            raise MetricsLostError("Prometheus does not report its time")
        return min(0.0, theirs - asked_at) + max(0.0, theirs - self._clock())

    async def scraped_pods(self) -> list[Mapping[str, str]]:
        """The labels that the scrape job has given to each pod with a model server."""
        query = "group by (namespace, pod, pod_uid, model_deployment) (ml_requests_started_total)"
        return [series.metric for series in await self._query(_Newest, self._prometheus.custom_query, query, {})]

    async def scrape_times(self, pod: Mapping[str, str]) -> list[float]:
        """When the pod was scraped in the last five minutes (unix seconds), from first to last."""
        labels = ",".join(f"{name}={json.dumps(pod[name])}" for name in ("namespace", "pod"))
        query = f'ml_requests_started_total{{{labels},entry="gateway"}}[5m]'
        series = await self._query(_Samples, self._prometheus.custom_query, query, {})
        return [at for at, _ in series[0].values] if series else []

    async def values(self, query: str, since: float, until: float, step: float) -> list[tuple[float, float]]:
        """The results of a user's `query` at every `step` seconds from `since` to `until`, as (unix seconds, value).

        They are at most POINTS. Raises MetricsLostError also if the query gives more than one series.
        """
        series = await self._range(query, since, until, step, self._user_threads)
        if len(series) > 1:
            hint = "aggregate them into one, such as by sum(...)"
            raise MetricsLostError(f"the query gives {len(series)} series: {hint}")
        return [(at, _number(value)) for single in series for at, value in single.values]

    async def _range(
        self, query: str, since: float, until: float, step: float, threads: ThreadPoolExecutor | None = None
    ) -> list[_Samples]:
        start, end = (datetime.fromtimestamp(moment, UTC) for moment in (since, until))
        asked = partial(self._prometheus.custom_query_range, query, start, end, f"{step:.0f}s")
        return await self._query(_Samples, asked, threads=threads)

    async def _query(
        self,
        kind: type[Series],
        query: Callable[..., Any],
        *arguments: Any,
        threads: ThreadPoolExecutor | None = None,
    ) -> list[Series]:
        """The series in the answer to `query(*arguments)`, which runs in one of `threads`, or of this server.

        Raises MetricsLostError and nothing else, so that no answer of Prometheus can stop a reconcile.
        """
        inside = contextvars.copy_context()
        try:
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(threads or self._threads, partial(inside.run, query, *arguments))
        except CredentialsError as error:
            raise MetricsLostError(str(error)) from error
        except (OSError, PrometheusApiClientException, ValueError, KeyError, TypeError, RecursionError) as error:
            message = f"Prometheus gave no answer: {session.describe(error)}"
            if session.is_too_long(error):
                raise UnusableAnswerError(message, too_long=True) from error
            raise MetricsLostError(message) from error
        try:
            return msgspec.convert(result, list[kind])  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise UnusableAnswerError(f"Prometheus answered with something else than series: {error}") from error


def _answer(series: Iterable[_Samples], until: float) -> Answer:
    """Labels and samples of the series. Raises MetricsLostError for samples after `until`.

    A proxy that gives times in milliseconds would otherwise make a run wait for the year 58,000.
    """
    answer: Answer = [(single.metric, single.values) for single in series]
    latest = max((samples[-1][0] for _, samples in answer if samples), default=until)
    if not latest <= until + _AHEAD_SECONDS:
        raise UnusableAnswerError("Prometheus answered with samples of the future: are its times in seconds?")
    return answer


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
