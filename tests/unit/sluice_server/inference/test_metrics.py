"""The shape of the metrics that rollouts are judged by."""

from __future__ import annotations

from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client import Counter as PrometheusCounter

from sluice_server.http.dialects import CODES
from sluice_server.inference.metrics import ENTRIES, Metrics
from sluice_server.inference.request_metrics import LATENCY_BOUNDS
from sluice_server.model.identity import Identity


def test_latency_bounds_are_fine_and_exact_where_people_set_limits() -> None:
    """From 0.25 ms to 60 s, never more than 1.25 apart, exactly at the usual limits."""
    assert (LATENCY_BOUNDS[0], LATENCY_BOUNDS[-1]) == (0.00025, 60.0)
    assert all(1 < upper / lower <= 1.25 for lower, upper in pairwise(LATENCY_BOUNDS))
    assert {0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0} <= set(LATENCY_BOUNDS)


@pytest.mark.parametrize("entry", ENTRIES)
def test_children_are_at_zero_from_the_start(entry: str) -> None:
    """The first error of a code must be an increase, not a new series."""
    metrics = Metrics(Identity("iris", "3", "abcdefghij"), CODES)
    request = {"model": "iris", "version": "3", "revision": "abcdefghij", "entry": entry}
    feedback = {"model": "iris", "revision": "abcdefghij", "entry": entry}
    read = metrics.registry.get_sample_value
    assert [read("ml_requests_total", request | {"code": str(code)}) for code in CODES] == [0] * len(CODES)
    for name in ("ml_requests_started_total", "ml_requests_in_progress", "ml_request_duration_seconds_count"):
        assert read(name, request) == 0
    for name in ("ml_feedback_total", "ml_feedback_correct_total", "ml_feedback_repeats_total"):
        assert read(name, feedback) == 0


def test_requests_are_exported_as_prometheus_client_exports_them() -> None:
    """The text is that of its own histogram and counter, with a request at a bound counted within it."""
    ours, theirs = Metrics(Identity("iris", "3", "abcdefghij"), (200, 500)), CollectorRegistry()
    names, values = ("model", "version", "revision", "entry"), ("iris", "3", "abcdefghij", "gateway")
    duration = Histogram("ml_request_duration_seconds", "x", names, registry=theirs, buckets=LATENCY_BOUNDS)
    requests = PrometheusCounter("ml_requests", "x", (*names, "code"), registry=theirs)
    requests.labels(*values, "500")
    for seconds in (0.0001, 0.05, 0.050001, 61.0):
        ours.meters["gateway"].finish(200, seconds)
        duration.labels(*values).observe(seconds)
        requests.labels(*values, "200").inc()
    expected = {line for line in generate_latest(theirs).decode().splitlines() if not line.startswith("#")}
    assert expected <= set(generate_latest(ours.registry).decode().splitlines())


@pytest.mark.parametrize(("name", "rest"), [("rose", "other"), ("other", "(other)")])
def test_a_class_may_be_called_other(name: str, rest: str) -> None:
    """Its predictions are not counted with those of the classes beyond the first twenty."""
    metrics = Metrics(Identity("iris", "3", "abcdefghij"), CODES)
    metrics.expect_classes((name, *map(str, range(30))))
    metrics.meters["gateway"].predicted([0, 25, 26])
    labels = {"model": "iris", "version": "3", "revision": "abcdefghij", "entry": "gateway"}
    read = metrics.registry.get_sample_value
    assert [read("ml_predictions_total", labels | {"class": each}) for each in (name, rest)] == [1, 2]


def test_classes_beyond_the_first_twenty_share_one_child() -> None:
    """The number of series is bounded however many classes a model has."""
    metrics = Metrics(Identity("iris", "3", "abcdefghij"), CODES)
    metrics.expect_classes(tuple(range(30)))
    metrics.meters["gateway"].predicted([0, 19, 20, 29])
    labels = {"model": "iris", "version": "3", "revision": "abcdefghij", "entry": "gateway"}
    names = ("0", "1", "19", "20", "other")
    values = [metrics.registry.get_sample_value("ml_predictions_total", labels | {"class": name}) for name in names]
    assert values == [1, 0, 1, None, 2]


def test_a_wrong_label_of_another_revision_starts_both_series() -> None:
    """Total without correct would read as missing data, not as an accuracy of 0."""
    metrics = Metrics(Identity("iris", "3", "abcdefghij"), CODES)
    metrics.labelled("zzzzzzzzzz", "cluster", correct=False)
    labels = {"model": "iris", "revision": "zzzzzzzzzz", "entry": "cluster"}
    assert metrics.registry.get_sample_value("ml_feedback_total", labels) == 1
    assert metrics.registry.get_sample_value("ml_feedback_correct_total", labels) == 0
