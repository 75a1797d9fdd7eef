"""Values that the chart refuses before anything is changed, and the words that say what to do."""

from __future__ import annotations

from typing import Any

import pytest

from dev.helm import Helm, HelmError
from tests.contract.chart_values import SMALLEST


def refusal(helm: Helm, values: dict[str, Any], *arguments: str) -> str:
    with pytest.raises(HelmError) as error:
        helm.template(values, *arguments)
    return str(error.value)


def test_all_that_is_missing_is_named_at_once(helm: Helm) -> None:
    """With an example of each."""
    said = refusal(helm, {})
    for name in ("images.registry", "mlflow.url", "prometheus.url", "gateway.address"):
        assert f"- {name} is not set" in said
    assert "http://mlflow.mlflow.svc:5000" in said


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mlflow": {"url": "mlflow:5000"}}, 'mlflow.url is "mlflow:5000": write http:// or https://'),
        ({"prometheus": {"url": "http://me:secret@prometheus"}}, "no user or password: these go into a Secret"),
        ({"gateway": {"address": "http://g:99999"}}, "no port or one up to 65535"),
        (
            {"gateway": {"address": "http://a..b"}},
            'gateway.address is "http://a..b": write http:// or https://, a host',
        ),
        ({"watch": {"namespaces": ["a"], "namespaceLabels": {"b": "c"}}}, "Leave one out"),
        ({"store": {"enabled": True, "replicas": 2}}, "store.replicas is 2, but a volume is for one pod"),
        (
            {"store": {"enabled": True, "replicas": 2, "filesUrl": "s3://b"}},
            "store.replicas is 2, but SQLite is for one pod",
        ),
        (
            {"store": {"enabled": True}, "settings": {"SLUICE_STORE_URL": "http://store"}},
            "set store.enabled=false to use the other one",
        ),
        ({"images": {"operator": "a", "server": "b"}, "store": {"enabled": True}}, "nor is images.store"),
        (
            {"monitoring": {"kind": "ServiceMonitor"}},
            "install the Prometheus Operator first, or set monitoring.kind=None",
        ),
        (
            {"alerts": {"kind": "PrometheusRule"}},
            "install the Prometheus Operator first, or set alerts.kind=ConfigMap",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(helm: Helm, values: dict[str, Any], words: str) -> None:
    """The words say which, and what to do; a password is not repeated."""
    said = refusal(helm, {**SMALLEST, **values})
    assert words in said
    assert "secret@" not in said


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mlflow": {"ulr": "http://mlflow"}}, "ulr"),
        ({"operator": {"replicas": 0}}, "/operator/replicas"),
        ({"operator": {"replicas": "2"}}, "/operator/replicas"),
        ({"monitoring": {"kind": "PodMonitor"}}, "ServiceMonitor"),
        ({"settings": {"SLUICE_WORKER": "2"}}, "SLUICE_WORKER"),
        ({"settings": {"SLUICE_NAMESPACES": "models"}}, "SLUICE_NAMESPACES"),
        ({"store": {"filesUrl": "file:///data"}}, "/store/filesUrl"),
        ({"watch": {"namespaces": ["Models"]}}, "/watch/namespaces/0"),
        ({"prometheus": {"url": "http://p", "scrapeInterval": "15"}}, "/prometheus/scrapeInterval"),
        ({"prometheus": {"url": "http://p", "scrapeInterval": "30s5m"}}, "/prometheus/scrapeInterval"),
        ({"watch": {"namespaceLabels": {"team": "a b"}}}, "/watch/namespaceLabels/team"),
        ({"watch": {"namespaceLabels": {"bad key": "a"}}}, "bad key"),
        ({"images": {"registry": "https://r"}}, "/images/registry"),
        ({"images": {"registry": "r", "tag": "a b"}}, "/images/tag"),
        ({"settings": {"SLUICE_LOG_LEVEL": "loud"}}, "/settings/SLUICE_LOG_LEVEL"),
        ({"settings": {"SLUICE_WORKERS": 0}}, "/settings/SLUICE_WORKERS"),
    ],
)
def test_a_value_of_the_wrong_form_is_named(helm: Helm, values: dict[str, Any], words: str) -> None:
    """By the schema, before anything is rendered."""
    said = refusal(helm, {**SMALLEST, **values})
    assert "values don't meet the specifications of the schema" in said
    assert words in said


def test_a_release_name_that_is_too_long_is_refused(helm: Helm) -> None:
    """Helm takes 53 characters, and with what the chart puts before it a Service has more than Kubernetes takes."""
    with pytest.raises(HelmError, match=r"the release name is 1 characters too long.*Install it under a shorter name"):
        helm.template(SMALLEST, release="r" * 48)
    assert helm.template(SMALLEST, release="r" * 47)
