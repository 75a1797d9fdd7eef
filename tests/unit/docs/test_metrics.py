"""docs/metrics.md and the code name the same metrics, with the same types and labels."""

import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from sluice_operator.telemetry import metrics, rollouts, waiting

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(sluice_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
Described = tuple[str, str, frozenset[str]]  # name, type, labels


def described() -> set[Described]:
    return {(name, kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}


def exported() -> Iterator[Described]:
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            total = "_total" if family.type == "counter" else ""
            yield family.name + total, family.type, frozenset(metric._labelnames)
    for name, (_, labels) in {**rollouts.FAMILIES, **waiting.FAMILIES}.items():
        yield name, "gauge", frozenset(labels)


def test_each_metric_is_described_with_its_type_and_labels() -> None:
    """And nothing is described that is not there."""
    assert described() == set(exported())


def test_each_stage_dependency_and_kind_of_error_is_described() -> None:
    """They are the values of labels, so people write them into queries."""
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert {*metrics.LANES, *metrics.STAGES, *metrics.DEPENDENCIES, *metrics.ERROR_KINDS} <= named


def test_names_follow_the_conventions_of_prometheus() -> None:
    """Seconds, ratios, a prefix; `_total` for counters and nothing else."""
    for name, kind, _ in exported():
        assert re.fullmatch(r"sluice_[a-z_]+", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert kind != "histogram" or name.endswith("_seconds"), name
        assert not re.search(r"_(milliseconds|ms|percent|count|sum|bucket)$", name), name
