"""The counters that rollouts are judged by, and their Prometheus text.

Requests are counted in `request_metrics`. Here are feedback, what is known of the model, and the registry of them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics

from sluice_server.inference.request_metrics import Meter, RequestCollector
from sluice_server.model.identity import Identity
from sluice_server.model.origin import Origin

ENTRIES = ("cluster", "gateway")


class Metrics:
    """All metrics of the process, in a registry of its own; `codes` are all that a request can end with."""

    def __init__(self, identity: Identity, codes: Iterable[int]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series, and nothing reads them
        self.registry = CollectorRegistry()
        self.labels = (identity.model, identity.version, identity.revision)
        self._model = identity.model
        feedback = ("model", "revision", "entry")
        self.meters = {entry: Meter(codes) for entry in ENTRIES}
        self.registry.register(RequestCollector(self.labels, self.meters))
        self._feedback = self._counter("ml_feedback", "Labels counted, by who predicted.", feedback)
        self._correct = self._counter("ml_feedback_correct", "Labels that say the prediction was right.", feedback)
        self._errors = self._counter(
            "ml_feedback_absolute_error", "Sum of the absolute errors of predicted numbers.", feedback
        )
        self._repeats = self._counter("ml_feedback_repeats", "Labels for rows that had one already.", feedback)
        self._refused = self._counter("ml_feedback_refused", "Labels that the store has refused.", feedback)
        self._kept = self._counter("ml_kept_rows", "Rows for the store.", ("model", "revision", "result"))
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
        self._training_seconds = Gauge(
            "ml_model_training_seconds",
            "How long the training took.",
            ("model", "version", "revision"),
            registry=self.registry,
        )
        for entry in ENTRIES:
            for counter in (self._feedback, self._correct, self._repeats, self._refused):
                counter.labels(identity.model, identity.revision, entry)
        for result in ("sent", "dropped"):
            self._kept.labels(identity.model, identity.revision, result)
        ProcessCollector(registry=self.registry)

    def describe(self, uri: str, flavor: str, runtime: str, origin: Origin) -> None:
        """Sets the series that name what is served and, if that is known, say how its training went."""
        self._info.labels(*self.labels, uri, origin.run_id, flavor, runtime).set(1)
        if origin.accuracy is not None:
            self._accuracy.labels(*self.labels).set(origin.accuracy)
        if origin.training_seconds is not None:
            self._training_seconds.labels(*self.labels).set(origin.training_seconds)

    def expect_classes(self, classes: tuple[Any, ...]) -> None:
        """Sets the counts of a classifier's classes to 0, for both entries."""
        for meter in self.meters.values():
            meter.expect_classes(classes)

    def expect_numbers(self) -> None:
        """Sets the sums of errors to 0, for both entries: from then on they grow with the counts of labels."""
        for entry in ENTRIES:
            self._errors.labels(self._model, self.labels[2], entry)

    def labelled(self, revision: str, entry: str, correct: bool, error: float | None = None) -> None:
        """A label was counted for a prediction of that revision and entry; `error`: the size of that of a number."""
        self._feedback.labels(self._model, revision, entry).inc()
        counter = self._correct.labels(self._model, revision, entry)  # exists from the first label on, right or wrong
        if correct:
            counter.inc()
        if error is not None:
            self._errors.labels(self._model, revision, entry).inc(error)

    def repeated(self, revision: str, entry: str) -> None:
        """A label came again for a row that had one."""
        self._repeats.labels(self._model, revision, entry).inc()

    def refused(self, revision: str, entry: str) -> None:
        """A label was not taken by the store, and is not counted."""
        self._refused.labels(self._model, revision, entry).inc()

    def kept(self, sent: int, dropped: int) -> None:
        """Rows of predictions were taken by the store, or were not sent, because it is down, or does not take them."""
        for result, rows in (("sent", sent), ("dropped", dropped)):
            self._kept.labels(self._model, self.labels[2], result).inc(rows)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)
