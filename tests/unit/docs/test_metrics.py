"""docs/metrics.md, the alert rules and the code name the same metrics, with the same types and labels."""

import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser as promql
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from sluice_operator.api.run import Outcome
from sluice_operator.api.status import METRICS_UNAVAILABLE
from sluice_operator.rollout import pauses
from sluice_operator.telemetry import metrics, object_series, waiting

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
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
    for name, (_, labels) in {**object_series.FAMILIES, **waiting.FAMILIES}.items():
        yield name, "gauge", frozenset(labels)


GROUPS = yaml.safe_load((ROOT / "manifests" / "alerts" / "sluice.yaml").read_text(encoding="utf-8"))
RULES = [rule for group in GROUPS["groups"] for rule in group["rules"]]


def test_the_alerts_are_rules_as_prometheus_reads_them() -> None:
    """It refuses a whole file for a field that it does not know, a duration that is none, or a query with an error."""
    assert set(GROUPS) == {"groups"}
    for group in GROUPS["groups"]:
        assert set(group) <= {"name", "interval", "rules"}
    for rule in RULES:
        assert {"alert", "expr"} <= set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
        assert re.fullmatch(r"[a-zA-Z_]\w*", rule["alert"])
        assert re.fullmatch(r"(\d+(ms|[smhdwy]))+", rule.get("for", "0s")), rule
        promql.parse(rule["expr"])


def test_each_alert_is_explained() -> None:
    """And nothing is explained that is not in the file."""
    assert re.findall(r"^\| `(Sluice\w+)` \|", PAGE, re.MULTILINE) == [rule["alert"] for rule in RULES]


def selectors(expression: promql.Expr) -> Iterator[promql.VectorSelector]:
    """What a query reads, in all of its parts."""
    for part in (getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")):
        if part is not None:
            yield from selectors(part)
    for part in getattr(expression, "args", ()):
        yield from selectors(part)
    if isinstance(expression, promql.VectorSelector):
        yield expression


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_each_alert_reads_what_is_exported(rule: dict[str, str]) -> None:
    """Series and labels that do not exist never raise one."""
    labels = {name: labels for name, _, labels in exported()}
    labels |= {f"{name}_count": of for name, kind, of in exported() if kind == "histogram"}
    read = list(selectors(promql.parse(rule["expr"])))
    assert read
    for selector in read:
        assert {matcher.name for matcher in selector.matchers.matchers} <= labels[selector.name or ""]


def test_the_values_that_alerts_ask_for_exist() -> None:
    """Reasons and outcomes are those of the code."""
    asked = {value for rule in RULES for value in re.findall(r'"(\w+)"', rule["expr"])}
    assert asked == {pauses.SUSPENDED, METRICS_UNAVAILABLE, Outcome.REJECTED}


def test_the_first_rejection_is_an_increase() -> None:
    """A series that begins with 1 has none."""
    known = {sample.labels.get("outcome") for sample in next(iter(metrics.RUN_DURATION.collect())).samples}
    assert known == set(Outcome)


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
