"""Reads a run's raw counter samples from Prometheus and turns them into evidence.

Each look asks only for what is newer than the last one; after a restart the whole run is asked for once. So nothing is
lost or counted twice, and what Prometheus has to send does not grow with the run.
"""

import asyncio
import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util import Retry

from sluice_operator.evidence import Evidence, Sample, Series, Tally, seen_between, tally
from sluice_operator.latency import bound_below
from sluice_operator.spec import Objective
from sluice_operator.status import Revision, Run

_COUNTERS = (
    "ml_requests_started_total|ml_requests_total|"
    "ml_request_duration_seconds_bucket|ml_feedback_total|ml_feedback_correct_total"
)
_IDENTITY = ("__name__", "pod_uid", "revision", "code", "le")  # whatever else relabelling adds, it is the same counter
_QUERY_TIMEOUT_SECONDS = 10
_DISCOVERY_SECONDS = 30.0  # until Prometheus has found new pods, their silence says nothing
_OVERDUE_SECONDS = 30.0  # a request that is not finished after this, or two scrapes if that is longer, hangs


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
    series: dict[tuple[str, ...], list[Sample]] = field(default_factory=dict)


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
            identity = tuple(one["metric"].get(label, "") for label in _IDENTITY)
            _merge(known.series.setdefault(identity, []), one["values"])
        known.asked_until = until
        self.forget(namespace, name)
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
        labelled = [
            Series(dict(zip(_IDENTITY, identity, strict=True)), found) for identity, found in known.series.items()
        ]
        series = [one for one in labelled if one.labels["pod_uid"]]
        stale_after = max(3 * self._interval, 10.0)
        seen = seen_between(series, canary.revision, stale_after)
        if seen is None and len(series) < len(labelled):
            return Lost("the model servers' series have no label pod_uid: check the relabelling of the scrape job")
        if seen is None and now - _unix(run.traffic_started_at) < max(_DISCOVERY_SECONDS, stale_after):
            return Evidence(against=Tally(), favour=Tally(), step=Tally())
        if seen is None:
            return Lost(f"Prometheus has no series of revision {canary.revision}: are its pods scraped?")
        if now - seen[1] > stale_after:
            return Lost(f"the newest sample of revision {canary.revision} is {now - seen[1]:.0f} s old")
        return self._windows(series, run, canary, stable, seen, now)

    def _windows(
        self,
        series: list[Series],
        run: Run,
        canary: Revision,
        stable: Revision | None,
        seen: tuple[float, float],
        now: float,
    ) -> Evidence:
        def counted(since: datetime | None) -> Tally:
            return Tally() if since is None else tally(series, canary.revision, since.timestamp(), now)

        against, began = counted(run.traffic_started_at), _unix(run.traffic_started_at)
        patience = max(_OVERDUE_SECONDS, 2 * self._interval)
        overdue = tally(series, canary.revision, began, now - patience).started - against.finished
        evidence = Evidence(against, counted(run.proven_at), counted(run.step_started_at), overdue=max(0, overdue))
        if stable is None or run.step_started_at is None:
            return evidence
        step_began = _unix(run.step_started_at)
        # Before both arms were seen, stable's requests prove nothing against the canary.
        both_seen = max(step_began + self._interval, seen[0])
        return replace(
            evidence,
            canary_widest=tally(series, canary.revision, step_began - self._interval, now).finished,
            stable_step=tally(series, stable.revision, both_seen, seen[1]).finished,
        )


def _unix(moment: datetime | None) -> float:
    assert moment is not None
    return moment.timestamp()


def _merge(known: list[Sample], values: list[tuple[float, str]]) -> None:
    """Add what is newer. What is no number is a missed scrape; of a stretch without growth only the ends are kept."""
    for at, value in ((float(at), float(value)) for at, value in values):
        if not math.isfinite(value) or (known and at <= known[-1][0]):
            continue
        if len(known) > 1 and known[-2][1] == known[-1][1] == value:
            known.pop()
        known.append((at, value))


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
