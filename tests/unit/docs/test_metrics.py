"""docs/metrics.md, the alert rules and the code name the same metrics, with the same types and labels."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


ALERTS = ROOT / "manifests" / "alerts"
RULES = [
    rule
    for name in ("sluice.yaml", "models.yaml")
    for group in yaml.safe_load((ALERTS / name).read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PAGES = [rule for rule in RULES if "alert" in rule]
OPERATOR = [rule for rule in PAGES if rule["alert"].startswith("Sluice")]


def test_each_alert_is_explained() -> None:
    """With its severity; and nothing is explained that is not in the files."""
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert rows == [(rule["alert"], rule["labels"]["severity"]) for rule in PAGES]


@pytest.mark.parametrize("rule", PAGES, ids=[rule["alert"] for rule in PAGES])
def test_each_alert_has_a_runbook(rule: dict[str, Any]) -> None:
    """A section that says what it means, where to look, what to do, and when it is over."""
    runbooks = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/runbooks.md"
    (section,) = re.findall(rf"(?ims)^### {anchor}$(.+?)(?=^##)", runbooks)
    assert "**Do" in section
    assert "**Over**" in section


def test_each_recorded_series_is_explained() -> None:
    """People write them into queries."""
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    assert {name for name in recorded if f"`{name}`" not in PAGE} == {
        f"model_deployment:ml_request_errors:ratio_rate{window}" for window in ("30m", "1h", "6h")
    }


def selectors(expression: promql.Expr) -> Iterator[promql.VectorSelector]:
    """What a query reads, in all of its parts."""
    for part in (getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")):
        if part is not None:
            yield from selectors(part)
    for part in getattr(expression, "args", ()):
        yield from selectors(part)
    if isinstance(expression, promql.VectorSelector):
        yield expression


@pytest.mark.parametrize("rule", OPERATOR, ids=[rule["alert"] for rule in OPERATOR])
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
    quoted = [text for rule in OPERATOR for text in re.findall(r'"([^"]+)"', rule["expr"])]
    known = {*metrics.ERROR_KINDS, *metrics.LANES, pauses.SUSPENDED, METRICS_UNAVAILABLE, Outcome.REJECTED}
    assert {value for text in quoted for value in text.split("|")} <= known


def test_the_rules_on_models_read_what_their_servers_export() -> None:
    """Or what another rule has recorded."""
    exported_by_servers = set(re.findall(r"`(ml_\w+)`", (ROOT / "docs" / "server.md").read_text(encoding="utf-8")))
    histogram = "ml_request_duration_seconds_bucket"
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    read = {
        selector.name for rule in RULES if rule not in OPERATOR for selector in selectors(promql.parse(rule["expr"]))
    }
    assert read <= exported_by_servers | recorded | {histogram}


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
