"""Reads a run's raw counter samples from Prometheus and turns them into evidence.

Each look asks only for what is newer than the last one; after a restart the whole run is asked for once. So nothing is
lost or counted twice, and a look costs the same in the first minute of a run as in its fourth hour.
"""

import asyncio
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util import Retry

from sluice_operator.evidence import Evidence, Sample, Series, Tally, last_seen, tally
from sluice_operator.latency import bound_below
from sluice_operator.spec import Objective
from sluice_operator.status import Revision, Run

_COUNTERS = (
    "ml_requests_started_total|ml_requests_total|"
    "ml_request_duration_seconds_bucket|ml_feedback_total|ml_feedback_correct_total"
)
_QUERY_TIMEOUT_SECONDS = 10


class Prometheus(Protocol):
    """Answers an instant query at `time` (unix seconds) with the `result` list of the HTTP API."""

    def custom_query(self, query: str, params: dict[str, Any]) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Lost:
    """There is nothing to judge on, and why."""

    message: str


@dataclass(slots=True)
class _RunSamples:
    asked_until: float
    series: dict[tuple[tuple[str, str], ...], list[Sample]] = field(default_factory=dict)


def connect(url: str) -> Prometheus:
    """A client that gives up after one try: the next look is only seconds away."""
    client: Prometheus = PrometheusConnect(url=url, timeout=_QUERY_TIMEOUT_SECONDS, retry=Retry(total=0))
    return client


class Reader:
    """Evidence for runs, one query per look. `interval`: how often Prometheus scrapes, in seconds."""

    def __init__(self, prometheus: Prometheus, interval: float) -> None:
        self._prometheus = prometheus
        self._interval = interval
        self._runs: dict[str, _RunSamples] = {}

    async def look(
        self, namespace: str, name: str, run: Run, canary: Revision, stable: Revision | None, now: datetime
    ) -> Evidence | Lost:
        """What is known now about `canary` in `run` of the ModelDeployment `name`."""
        assert run.traffic_started_at is not None
        began, until = run.traffic_started_at.timestamp(), now.timestamp()
        key = f"{namespace}/{name}/{run.id}/{began}"
        known = self._runs.get(key) or _RunSamples(asked_until=began - 3 * self._interval)
        span = until - known.asked_until + 2 * self._interval
        query = _query(namespace, name, run.objectives, [one.revision for one in (canary, stable) if one], span)
        try:
            answer = await asyncio.to_thread(self._prometheus.custom_query, query, {"time": until})
        except (requests.RequestException, PrometheusApiClientException, ValueError, KeyError) as error:
            return Lost(f"Prometheus gave no answer: {error}")
        for one in answer:
            _merge(known.series.setdefault(tuple(sorted(one["metric"].items())), []), one["values"])
        known.asked_until = until
        self._runs = {
            kept: samples for kept, samples in self._runs.items() if not kept.startswith(f"{namespace}/{name}/")
        }
        self._runs[key] = known
        return self._evidence(known, run, canary, stable, until)

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is kept of an object's runs."""
        self._runs = {
            kept: samples for kept, samples in self._runs.items() if not kept.startswith(f"{namespace}/{name}/")
        }

    def _evidence(
        self, known: _RunSamples, run: Run, canary: Revision, stable: Revision | None, now: float
    ) -> Evidence | Lost:
        series = [Series(dict(labels), samples) for labels, samples in known.series.items()]
        if unlabelled := next((one for one in series if "pod_uid" not in one.labels), None):
            return Lost(
                f"{unlabelled.labels['__name__']} has no label pod_uid: check the relabelling of the scrape job"
            )
        stale_after = max(3 * self._interval, 10.0)
        seen = last_seen(series, canary.revision, stale_after)
        if seen is None:
            return Lost(f"Prometheus has no series of revision {canary.revision}: are its pods scraped?")
        if now - seen > stale_after:
            return Lost(f"the newest sample of revision {canary.revision} is {now - seen:.0f} s old")
        against = tally(series, canary.revision, _unix(run.traffic_started_at), now)
        if run.proven_at is None:
            return Evidence(against, favour=Tally(), step=Tally())
        favour = tally(series, canary.revision, _unix(run.proven_at), now)
        if run.step_started_at is None:
            return Evidence(against, favour, step=Tally())
        step_began = _unix(run.step_started_at)
        return Evidence(
            against=against,
            favour=favour,
            step=tally(series, canary.revision, step_began, now),
            canary_widest=tally(series, canary.revision, step_began - self._interval, now).finished,
            stable_step=tally(series, stable.revision, step_began + self._interval, seen).finished if stable else 0,
        )


def _unix(moment: datetime | None) -> float:
    assert moment is not None
    return moment.timestamp()


def _merge(known: list[Sample], values: list[tuple[float, str]]) -> None:
    """What is no number counts nothing: it is a missed scrape."""
    newest = known[-1][0] if known else 0.0
    samples = ((float(at), float(value)) for at, value in values)
    known.extend((at, value) for at, value in samples if at > newest and math.isfinite(value))


def _query(namespace: str, name: str, objectives: tuple[Objective, ...], revisions: list[str], span: float) -> str:
    """PromQL for the raw samples of the last `span` seconds. `le` is empty on what is no histogram."""
    bounds = sorted({bound_below(one.latency.max.total_seconds()) for one in objectives if one.latency})
    le = "|".join(["", "[+]Inf", *(str(bound).replace(".", "[.]") for bound in bounds)])
    selectors = (
        f'__name__=~"{_COUNTERS}"',
        f'namespace="{namespace}"',
        f'model_deployment="{name}"',
        f'revision=~"{"|".join(revisions)}"',
        'entry="gateway"',
        f'le=~"{le}"',
    )
    return f"{{{','.join(selectors)}}}[{span * 1000:.0f}ms]"
