"""The counters that rollouts are judged by, and their Prometheus text.

Every child of a bounded label exists at 0 from the start, for both entries, so that a first error is an increase and
not a new series. Children are looked up once and kept: the data path only increments.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from sluice_server.model.identity import Identity
from sluice_server.model.origin import Origin

# Geometric, at most 1.25 apart, from 0.25 ms to 60 s; exact at the limits that people write into objectives.
# fmt: off
LATENCY_BOUNDS: tuple[float, ...] = (
    0.00025, 0.0003118, 0.0003888, 0.0004848, 0.0006046, 0.0007539, 0.0009402, 0.001172, 0.001462, 0.001823, 0.002274,
    0.002835, 0.003536, 0.004409, 0.005498, 0.006856, 0.00855, 0.01066, 0.0133, 0.01658, 0.02068, 0.02578, 0.03215,
    0.0401, 0.05, 0.05946, 0.07071, 0.08409, 0.1, 0.1189, 0.1414, 0.1682, 0.2, 0.25, 0.2973, 0.3536, 0.4204, 0.5,
    0.5946, 0.7071, 0.8409, 1.0, 1.189, 1.414, 1.682, 2.0, 2.474, 3.06, 3.784, 4.681, 5.789, 7.161, 8.857, 10.95,
    13.55, 16.76, 20.73, 25.64, 31.71, 39.22, 48.51, 60.0,
)
# fmt: on
ENTRIES = ("cluster", "gateway")
TOP_CLASSES = 20


class Meter:
    """The request metrics of one entry, with every child at hand."""

    def __init__(self, metrics: Metrics, entry: str, codes: Iterable[int]) -> None:
        labels = (*metrics.labels, entry)
        self._started = metrics.started.labels(*labels)
        self._in_progress = metrics.in_progress.labels(*labels)
        self._duration = metrics.duration.labels(*labels)
        self._limited = metrics.limited.labels(*labels)
        self._by_code = {code: metrics.requests.labels(*labels, str(code)) for code in codes}
        self._by_class: list[Counter] = []
        self._predictions = partial(metrics.predictions.labels, *labels)

    def expect_classes(self, classes: tuple[Any, ...]) -> None:
        """Sets the children of a classifier's classes to 0; those after the first 20 share `other`.

        If one of the 20 has that name, the others share `(other)`.
        """
        names = [str(label) for label in classes[:TOP_CLASSES]]
        names += ["(other)" if "other" in names else "other"] * (len(classes) - TOP_CLASSES)
        self._by_class = [self._predictions(name) for name in names]

    def limited(self) -> None:
        """A request was turned away, because its client asks too often."""
        self._limited.inc()

    def start(self) -> None:
        """A request came."""
        self._started.inc()
        self._in_progress.inc()

    def finish(self, code: int, seconds: float) -> None:
        """It was answered, or its client went away."""
        self._in_progress.dec()
        self._duration.observe(seconds)
        self._by_code[code].inc()

    def predicted(self, indexes: list[int]) -> None:
        """Classes that were answered, by index."""
        for index in indexes:
            self._by_class[index].inc()


class Silent:
    """The meter of probes: requests that must leave no trace in the numbers."""

    def start(self) -> None: ...

    def finish(self, code: int, seconds: float) -> None: ...

    def predicted(self, indexes: list[int]) -> None: ...


class Metrics:
    """All metrics of the process, in a registry of its own; `codes` are all that a request can end with."""

    def __init__(self, identity: Identity, codes: Iterable[int]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series, and nothing reads them
        self.registry = CollectorRegistry()
        self.labels = (identity.model, identity.version, identity.revision)
        self._model = identity.model
        request = ("model", "version", "revision", "entry")
        feedback = ("model", "revision", "entry")
        self.started = self._counter("ml_requests_started", "Predictions asked for.", request)
        self.requests = self._counter("ml_requests", "Predictions answered, by status code.", (*request, "code"))
        self.predictions = self._counter("ml_predictions", "Rows predicted, by class.", (*request, "class"))
        self.limited = self._counter("ml_requests_limited", "Requests of clients that ask too often.", request)
        self.in_progress = Gauge(
            "ml_requests_in_progress", "Predictions being worked on.", request, registry=self.registry
        )
        self.duration = Histogram(
            "ml_request_duration_seconds",
            "Time from the first byte read to the answer handed over.",
            request,
            registry=self.registry,
            buckets=LATENCY_BOUNDS,
        )
        self._feedback = self._counter("ml_feedback", "Labels counted, by who predicted.", feedback)
        self._correct = self._counter("ml_feedback_correct", "Labels that equal the prediction.", feedback)
        self._repeats = self._counter("ml_feedback_repeats", "Labels for rows that had one already.", feedback)
        self.pending_labels = Gauge("ml_feedback_pending", "Labels that wait for the store.", registry=self.registry)
        self._info = Gauge(
            "ml_model_info",
            "What is served; always 1.",
            ("model", "version", "revision", "uri", "run_id", "flavor", "runtime"),
            registry=self.registry,
        )
        self._accuracy = Gauge(
            "ml_model_accuracy",
            "The accuracy that the training has measured, from 0 to 1.",
            ("model", "version", "revision"),
            registry=self.registry,
        )
        self.meters = {entry: Meter(self, entry, codes) for entry in ENTRIES}
        for entry in ENTRIES:
            for counter in (self._feedback, self._correct, self._repeats):
                counter.labels(identity.model, identity.revision, entry)
        ProcessCollector(registry=self.registry)

    def describe(self, uri: str, flavor: str, runtime: str, origin: Origin) -> None:
        """Sets the series that name what is served and say how good it was in its training, if that is known."""
        self._info.labels(*self.labels, uri, origin.run_id, flavor, runtime).set(1)
        if origin.accuracy is not None:
            self._accuracy.labels(*self.labels).set(origin.accuracy)

    def expect_classes(self, classes: tuple[Any, ...]) -> None:
        """Sets the children of a classifier's classes to 0, for both entries."""
        for meter in self.meters.values():
            meter.expect_classes(classes)

    def labelled(self, revision: str, entry: str, correct: bool) -> None:
        """A label was counted for a prediction of that revision and entry."""
        self._feedback.labels(self._model, revision, entry).inc()
        counter = self._correct.labels(self._model, revision, entry)  # exists from the first label on, right or wrong
        if correct:
            counter.inc()

    def repeated(self, revision: str, entry: str) -> None:
        """A label came again for a row that had one."""
        self._repeats.labels(self._model, revision, entry).inc()

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)
