"""Which series there are, with their labels: from the code that exports them, and from the rules that record them."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import promql_parser as promql
from prometheus_client import CollectorRegistry, Metric

from dev.dashboards import alert_rules
from sluice_server.inference.feature_bins import FeatureBinCollector, FeatureBins
from sluice_server.inference.metrics import Metrics
from sluice_server.model.identity import Identity
from sluice_server.model.origin import Origin
from sluice_server.model.reference import FeatureReference, Reference
from sluice_server.model.schema import Column, Kind, Schema
from tests.unit.dashboards.query_labels import Labels, labels_of
from tests.unit.docs.test_metrics import exported as exported_by_operator

TARGET = frozenset({"job", "instance"})  # of each series
OF_OPERATOR = TARGET | {"pod"}  # as the job of docs/metrics.md adds them
OF_PODS = TARGET | {"namespace", "pod", "pod_uid", "model_deployment"}  # as the job of docs/prometheus.md adds them
STORE = Path(__file__).parents[3] / "docs" / "store.md"


def _operator() -> dict[str, Labels]:
    found: dict[str, Labels] = {}
    for name, kind, labels in exported_by_operator():
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    return {name: labels | OF_OPERATOR for name, labels in found.items()}


def _servers() -> dict[str, Labels]:
    """As model servers with reference bins export them, with those of classes and of numbers."""
    served = Metrics(Identity("iris", "1", "r"), codes=(200, 500))
    served.describe("models:/iris/1", "sklearn", "skops", Origin(metrics={"accuracy": 0.9, "training_seconds": 1.0}))
    served.expect_classes(("setosa",))
    served.expect_numbers()
    reference = Reference(10, (FeatureReference("width", (5, 5), edges=(0.0, 1.0, 2.0)),))
    bins = FeatureBins(Schema((Column("width", Kind.NUMBER),)), reference)
    served.registry.register(FeatureBinCollector(bins, served.labels))
    return {name: labels | OF_PODS for name, labels in _series(served.registry).items()}


def _series(registry: CollectorRegistry) -> dict[str, Labels]:
    metrics: Iterable[Metric] = registry.collect()
    return {sample.name: frozenset(sample.labels) for metric in metrics for sample in metric.samples}


def _store() -> dict[str, Labels]:
    found: dict[str, Labels] = {}
    rows = re.findall(r"^\| `(sluice_store_\w+)` \|([^|]*)\| ([^|]*)", STORE.read_text(encoding="utf-8"), re.MULTILINE)
    for name, names, meaning in rows:
        labels = frozenset(re.findall(r"`(\w+)`", names)) | TARGET
        found |= {f"{name}_bucket": labels | {"le"}} if meaning.startswith("histogram") else {name: labels}
    return found


@cache
def series() -> Mapping[str, Labels]:
    """All series that a dashboard may read, with those of the rules and ALERTS."""
    known = {**_store(), **_operator(), **_servers()}
    alerts: Labels = frozenset({"alertname", "alertstate"})
    for rule in alert_rules.rules():
        labels = labels_of(promql.parse(rule["expr"]), known) | rule.get("labels", {}).keys()
        if "record" in rule:
            known[rule["record"]] = labels | known.get(rule["record"], frozenset())
        else:
            alerts |= labels
    return known | {"ALERTS": alerts}
