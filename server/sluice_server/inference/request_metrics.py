"""The metrics of requests: numbers that the event loop adds to, and the Prometheus series that are made of them.

Six children of prometheus_client took 4 us of each request, mostly for locks: many threads may use them. One thread
uses these. Every code, entry and class is there with 0 from the start, so that a first error is an increase and not a
new series.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

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
_BOUNDS = (*map(floatToGoString, LATENCY_BOUNDS), "+Inf")
TOP_CLASSES = 20


class Meter:
    """The counts of one entry. Only the event loop may add to them."""

    def __init__(self, codes: Iterable[int]) -> None:
        self.started = self.finished = self.turned_away = self.others = 0
        self.seconds = 0.0
        self.by_code = dict.fromkeys(codes, 0)
        self.by_bound = [0] * len(_BOUNDS)  # how many requests took at most so long, and longer than the bound before
        self._by_class: list[int] = []
        self._names: list[str] = []

    def expect_classes(self, classes: Sequence[Any]) -> None:
        """Sets the counts of a classifier's classes to 0; those after the first 20 share `other`.

        If one of the 20 has that name, the others share `(other)`.
        """
        names = [str(label) for label in classes[:TOP_CLASSES]]
        self._names = names + ["(other)" if "other" in names else "other"] * (len(classes) - TOP_CLASSES)
        self._by_class = [0] * len(classes)

    def limited(self) -> None:
        """A request was turned away, because its client asks too often."""
        self.turned_away += 1

    def other(self) -> None:
        """Something else than a prediction was answered."""
        self.others += 1

    def start(self) -> None:
        """A request came."""
        self.started += 1

    def finish(self, code: int, seconds: float) -> None:
        """It was answered, or its client went away."""
        self.finished += 1
        self.by_code[code] += 1
        self.seconds += seconds
        self.by_bound[bisect_left(LATENCY_BOUNDS, seconds)] += 1

    def predicted(self, indexes: Iterable[int]) -> None:
        """Classes that were answered, by index."""
        for index in indexes:
            self._by_class[index] += 1

    @property
    def by_class(self) -> Mapping[str, int]:
        """How many rows were predicted, by the name of the class."""
        counts = Counter[str]()
        for name, count in zip(self._names, self._by_class, strict=True):
            counts[name] += count
        return counts


class Silent:
    """The meter of probes: requests that must leave no trace in the numbers."""

    def start(self) -> None: ...

    def limited(self) -> None: ...

    def finish(self, code: int, seconds: float) -> None: ...

    def predicted(self, indexes: Iterable[int]) -> None: ...


class RequestCollector(Collector):
    """The series of meters. `labels`: model, version and revision; `meters`: by entry."""

    def __init__(self, labels: tuple[str, str, str], meters: Mapping[str, Meter]) -> None:
        self._labels = labels
        self._meters = meters

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets."""
        names = ("model", "version", "revision", "entry")
        started = CounterMetricFamily("ml_requests_started", "Predictions asked for.", labels=names)
        requests = CounterMetricFamily("ml_requests", "Predictions answered, by status code.", labels=(*names, "code"))
        predictions = CounterMetricFamily("ml_predictions", "Rows predicted, by class.", labels=(*names, "class"))
        limited = CounterMetricFamily("ml_requests_limited", "Requests of clients that ask too often.", labels=names)
        others = CounterMetricFamily("ml_other_requests", "Answers to other requests than predictions.", labels=names)
        progress = GaugeMetricFamily("ml_requests_in_progress", "Predictions being worked on.", labels=names)
        duration = HistogramMetricFamily(
            "ml_request_duration_seconds",
            "Time from the whole request to its answer.",
            labels=names,
        )
        for entry, meter in self._meters.items():
            labels = (*self._labels, entry)
            started.add_metric(labels, meter.started)
            limited.add_metric(labels, meter.turned_away)
            others.add_metric(labels, meter.others)
            progress.add_metric(labels, meter.started - meter.finished)
            duration.add_metric(
                labels, list(zip(_BOUNDS, accumulate(meter.by_bound), strict=True)), sum_value=meter.seconds
            )
            for code, count in meter.by_code.items():
                requests.add_metric((*labels, str(code)), count)
            for name, count in meter.by_class.items():
                predictions.add_metric((*labels, name), count)
        yield from (started, requests, predictions, limited, others, progress, duration)
