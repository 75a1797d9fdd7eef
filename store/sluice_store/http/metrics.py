"""The metrics of the service: requests, bytes of models, labels. Every child is there from the start, at 0."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPERATIONS = {
    "models": ("DELETE", "GET", "HEAD", "PUT"),
    "labels": ("GET", "POST"),
    "predictions": ("GET", "POST"),
    "runs": ("GET", "PUT"),
}
RESULTS = ("ok", "refused", "failed")
DIRECTIONS = ("received", "sent")
LABEL_RESULTS = ("counted", "repeat", "expired")
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Kept(Protocol):
    """What is kept of a collection, as `Space` counts it."""

    @property
    def collection(self) -> str: ...

    @property
    def kept(self) -> Mapping[str, int]: ...

    @property
    def limit(self) -> int: ...


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sluice_store_requests",
            "Requests answered; `result` is ok, refused (4xx) or failed (5xx, and answers that were cut).",
            ("collection", "method", "result"),
            registry=self.registry,
        )
        self.duration = Histogram(
            "sluice_store_request_duration_seconds",
            "Time until the last byte of the answer.",
            ("collection", "method"),
            registry=self.registry,
            buckets=_BOUNDS,
        )
        self.model_bytes = Counter(
            "sluice_store_model_bytes", "Bytes of models, by direction.", ("direction",), registry=self.registry
        )
        self.label_results = Counter(
            "sluice_store_labels", "Labels, by what became of them.", ("result",), registry=self.registry
        )
        for collection, methods in OPERATIONS.items():
            for method in methods:
                self.duration.labels(collection, method)
                for result in RESULTS:
                    self.requests.labels(collection, method, result)
        for direction in DIRECTIONS:
            self.model_bytes.labels(direction)
        for result in LABEL_RESULTS:
            self.label_results.labels(result)
        ProcessCollector(registry=self.registry)

    def watch(self, *spaces: Kept) -> None:
        """From now on the bytes that each namespace has in these spaces are shown, and their limits."""
        self.registry.register(_SpaceCollector(spaces))

    def labels(self, counted: int, repeats: int, expired: int) -> None:
        """What became of the labels of a request."""
        for result, number in zip(LABEL_RESULTS, (counted, repeats, expired), strict=True):
            self.label_results.labels(result).inc(number)

    def received(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same bytes, counted."""
        return self._counted(chunks, "received")

    def sent(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same bytes, counted."""
        return self._counted(chunks, "sent")

    async def _counted(self, chunks: AsyncIterator[bytes], direction: str) -> AsyncIterator[bytes]:
        counter = self.model_bytes.labels(direction)
        async for chunk in chunks:
            counter.inc(len(chunk))
            yield chunk


class _SpaceCollector(Collector):
    """How full the store is, as it was counted last."""

    def __init__(self, spaces: Sequence[Kept]) -> None:
        self._spaces = spaces

    def collect(self) -> Iterator[Metric]:
        kept = GaugeMetricFamily("sluice_store_kept_bytes", "Bytes of a namespace.", labels=("collection", "namespace"))
        limit = GaugeMetricFamily(
            "sluice_store_kept_limit_bytes", "The limit of each namespace; absent without one.", labels=("collection",)
        )
        for space in self._spaces:
            for namespace, size in space.kept.items():
                kept.add_metric((space.collection, namespace), size)
            if space.limit:
                limit.add_metric((space.collection,), space.limit)
        yield from (kept, limit)


class Measured:
    """ASGI: counts and times the requests to the collections."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        collection = scope["path"].lstrip("/").partition("/")[0] if scope["type"] == "http" else ""
        if scope["type"] != "http" or scope["method"] not in OPERATIONS.get(collection, ()):
            await self._app(scope, receive, send)
            return
        began, status, ended = time.perf_counter(), 0, False

        async def watched(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                ended = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            result = "failed" if not ended or status >= 500 else "refused" if status >= 400 else "ok"
            self._metrics.requests.labels(collection, scope["method"], result).inc()
            self._metrics.duration.labels(collection, scope["method"]).observe(time.perf_counter() - began)
