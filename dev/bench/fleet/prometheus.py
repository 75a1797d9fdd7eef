"""Stands in for Prometheus: it counts what the pods of some ModelDeployments would count, and answers the operator.

Each tracked ModelDeployment gets a steady stream of requests, split by the weight that the gateway has. Each pod is
scraped at a time of its own in the scrape interval, as Prometheus does. Before it was tracked, stable got the same
stream for hours. It leaves out the time that a real Prometheus takes, and samples that come late.
"""

import asyncio
import math
import re
import time
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from dev.bench.fleet.api import Manifest, labels_of
from dev.bench.fleet.gateway import Gateway
from dev.bench.fleet.nodes import Nodes
from sluice_operator.api import names

SCRAPE_SECONDS = 15.0  # the operator's default
_STEP_SECONDS = 0.25  # between two looks at whose scrape is due
_RATE = 50.0  # requests per second of a ModelDeployment
_FAILED, _FAILED_WHEN_BROKEN = 0.001, 0.5  # shares of requests
_MEAN_SECONDS = 0.04  # of a request; times are exponential
_PAST_SECONDS = 7 * 3600.0  # for which stable was there before
_ROUNDING = 1e-6  # a sum of floats may be a whole number less this
_Key = tuple[str, str]


@dataclass
class Pod:
    """The counts of one pod at each scrape: requests, and those that failed.

    `since`: when it was found. `past`: for how many seconds it had requests before its first scrape.
    """

    uid: str
    revision: str
    since: float
    past: float
    times: list[float] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def add(self, at: float, requests: float, failed: float) -> None:
        self.times.append(at)
        self.requests.append((self.requests[-1] if self.requests else 0.0) + requests)
        self.errors.append((self.errors[-1] if self.errors else 0.0) + requests * failed)

    def due(self, now: float) -> float | None:
        """The time of the scrape that is due; None if there is none."""
        offset = zlib.crc32(self.uid.encode()) % 1000 / 1000 * SCRAPE_SECONDS
        at = math.floor((now - offset) / SCRAPE_SECONDS) * SCRAPE_SECONDS + offset
        return at if at > max([self.since, *self.times[-1:]]) + _ROUNDING else None

    def total(self, at: float) -> tuple[float, float]:
        """Requests and failed ones at the last scrape up to a moment. Before the first one they are a straight line."""
        index = bisect_right(self.times, at) - 1
        if index >= 0:
            return self.requests[index], self.errors[index]
        if not self.was_there(at):
            return 0.0, 0.0
        share = 1 - (self.times[0] - at) / self.past
        return share * self.requests[0], share * self.errors[0]

    def was_there(self, at: float) -> bool:
        """Whether it had requests before this moment."""
        return bool(self.times) and self.times[0] - self.past < at

    def series(self, bounds: list[str]) -> Iterator[tuple[dict[str, str], float, float]]:
        """Labels of each counter, with its share of all requests that succeed and of those that fail."""
        yield {"__name__": "ml_requests_started_total"}, 1.0, 1.0
        yield {"__name__": "ml_requests_total", "code": "200"}, 1.0, 0.0
        yield {"__name__": "ml_requests_total", "code": "500"}, 0.0, 1.0
        for bound in bounds:
            within = 1.0 if bound == "+Inf" else -math.expm1(-float(bound) / _MEAN_SECONDS)
            yield {"__name__": "ml_request_duration_seconds_bucket", "le": bound}, within, within


@dataclass
class Tracked:
    """One ModelDeployment. `broken`: its canary fails. `answered`: when its samples were last sent (unix seconds)."""

    host: str
    pods: dict[str, Pod] = field(default_factory=dict)
    broken: bool = False
    answered: float = 0.0

    def canary(self, stable: str) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.revision != stable]


class Prometheus:
    """`tracked`: the ModelDeployments that get requests."""

    def __init__(self, gateway: Gateway, nodes: Nodes) -> None:
        self.tracked: dict[_Key, Tracked] = {}
        self._gateway, self._nodes = gateway, nodes

    async def scrape(self) -> None:
        """Count and scrape until this is cancelled."""
        while True:
            for key, tracked in self.tracked.items():
                self._scrape(key, tracked, time.time())
            await asyncio.sleep(_STEP_SECONDS)

    def _scrape(self, key: _Key, tracked: Tracked, now: float) -> None:
        namespace, name = key
        pods = self._nodes.ready(namespace, {names.LABEL_OWNER: name})
        serving, weight = self._gateway.serving(*key), self._gateway.weight(tracked.host)
        canary_pods = sum(_revision(pod) != serving for pod in pods)
        for pod in pods:
            is_canary = _revision(pod) != serving
            share = weight / canary_pods if is_canary else (100 - weight) / (len(pods) - canary_pods)
            known = tracked.pods.get(pod["metadata"]["uid"])
            if known is None:
                past = 0.0 if is_canary else _PAST_SECONDS
                known = tracked.pods[pod["metadata"]["uid"]] = Pod(pod["metadata"]["uid"], _revision(pod), now, past)
            if (at := known.due(now)) is None:
                continue
            seconds = SCRAPE_SECONDS if known.times else known.past
            failed = _FAILED_WHEN_BROKEN if is_canary and tracked.broken else _FAILED
            known.add(at, seconds * _RATE * share / 100, failed)

    async def answer(self, request: web.Request) -> web.Response:
        asked = {**request.query, **await request.post()}
        query = str(asked["query"])
        if query == "vector(time())":
            now = time.time()
            return _result([{"metric": {}, "value": [now, str(now)]}])
        if query.startswith("sum(rate("):
            return _result([{"metric": {}, "value": [time.time(), str(_RATE)]}])
        if request.path.endswith("query_range"):
            first, last, step = (float(str(asked[name]).removesuffix("s")) for name in ("start", "end", "step"))
            moments = [first + step * number for number in range(int((last - first) / step) + 1)]
            return _result(list(self._series(query, lambda pod: [at for at in moments if pod.was_there(at)])))
        span = re.search(r"\[(\d+)ms\]$", query)
        assert span is not None, query
        until = float(str(asked["time"]))
        since = until - int(span[1]) / 1000
        return _result(list(self._series(query, lambda pod: [at for at in pod.times if since < at <= until])))

    def _series(self, query: str, moments_of: Any) -> Iterator[dict[str, Any]]:
        wanted = {label: text.split("|") for label, text in re.findall(r'(\w+)=~"([^"]*)"', query)}
        bounds = [text.replace("[.]", ".").replace("[+]", "+") for text in wanted.get("le", _ALL) if text]
        for (namespace, name), tracked in self.tracked.items():
            if namespace not in wanted["namespace"] or name not in wanted["model_deployment"]:
                continue
            tracked.answered = time.time()
            for pod in tracked.pods.values():
                if pod.revision in wanted["revision"] and (moments := moments_of(pod)):
                    totals = [(at, *pod.total(at)) for at in moments]
                    target = {"namespace": namespace, "model_deployment": name, "revision": pod.revision}
                    for labels, good, bad in pod.series(bounds):
                        if labels["__name__"] in wanted["__name__"]:
                            values = [
                                (at, str(int(good * (requests - errors) + bad * errors + _ROUNDING)))
                                for at, requests, errors in totals
                            ]
                            yield {"metric": {**labels, **target, "pod_uid": pod.uid}, "values": values}


_ALL = [str(bound) for bound in (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0)] + ["+Inf"]


def _revision(pod: Manifest) -> str:
    return labels_of(pod).get(names.LABEL_REVISION, "")


def _result(series: list[dict[str, Any]]) -> web.Response:
    return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": series}})
