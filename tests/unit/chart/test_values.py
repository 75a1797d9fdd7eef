"""The values of the chart, its schema, the settings and the page about them agree."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from dev import chart_values, install_manifests
from dev.api_server import ROOT
from sluice_operator.settings import Settings, read

CHART = ROOT / "chart"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
OF_OTHER_VALUES = {"SERVER_IMAGE", "SERVER_PYFUNC_IMAGE", "TRACKING_URI", "REGISTRY_CREDENTIALS", "PROMETHEUS_URL"}
OF_OTHER_VALUES |= {"PROMETHEUS_CREDENTIALS", "SCRAPE_INTERVAL", "GATEWAY_ADDRESS", "GATEWAY_CA", "NAMESPACES"}
OF_OTHER_VALUES |= {"NAMESPACE_SELECTOR", "LEASE_NAMESPACE", "LEASE_NAME", "HEALTH_PORT", "METRICS_PORT"}
SECRET = {"STORE_KEY", "GATEWAY_HEADERS"}  # by operator.envFrom, and from the Secret of the store


def leaves(values: dict[str, Any], described: set[str], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if name in described or not isinstance(value, dict):
            yield name
        else:
            yield from leaves(value, described, f"{name}.")


def objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for value in schema["properties"].values():
        if "properties" in value:
            yield value
            yield from objects(value)


def test_each_value_is_described_and_has_a_default() -> None:
    """And nothing is described that is not there."""
    described = set(chart_values.described())
    assert set(leaves(VALUES, described)) == described


def test_a_value_that_nobody_knows_is_refused() -> None:
    """Wherever it is: a misspelt one would do nothing."""
    assert all(each["additionalProperties"] is False for each in (SCHEMA, *objects(SCHEMA)))


def test_the_page_is_the_one_that_the_schema_makes() -> None:
    """`make manifests` writes it."""
    assert (ROOT / "docs" / "chart-values.md").read_text(encoding="utf-8") == chart_values.page()


def test_each_setting_of_the_operator_can_be_set_in_one_way() -> None:
    """By a value of its own, from a Secret, or by its name in `settings`."""
    names = {field.name.upper() for field in dataclasses.fields(Settings)}
    listed = SCHEMA["properties"]["settings"]["propertyNames"]["anyOf"][0]["enum"]
    assert {f"SLUICE_{name}" for name in names - OF_OTHER_VALUES - SECRET} == set(listed)


WORKS = {"SERVER_IMAGE": "a", "TRACKING_URI": "http://m", "PROMETHEUS_URL": "http://p", "GATEWAY_ADDRESS": "http://g"}


def takes_chart(name: str, text: str) -> bool:
    """Whether the schema takes the text for a setting."""
    if name == "SCRAPE_INTERVAL":
        form = SCHEMA["properties"]["prometheus"]["properties"]["scrapeInterval"]
    else:
        forms = SCHEMA["properties"]["settings"]["patternProperties"]
        [form] = [form for pattern, form in forms.items() if re.search(pattern, f"SLUICE_{name}")]
    texts = [each for each in form.get("anyOf", [form]) if each.get("type", "string") == "string"]
    return all(re.search(part["pattern"], text) for each in texts for part in each.get("allOf", [each]))


def takes_operator(name: str, text: str) -> bool:
    try:
        read({f"SLUICE_{key}": value for key, value in {**WORKS, name: text}.items()})
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("SCRAPE_INTERVAL", ["15s", "1m30s", "500ms", "1h"], ["0s", "0ms", "30s5m", "5", "99999999999999h"]),
        ("PROBE_TIMEOUT", ["5s"], ["5", "0s"]),
        ("WORKERS", ["1", "8", "10000"], ["0", "abc", "-1", "10001", "1.5"]),
        ("LOG_LEVEL", ["info", "DEBUG", "warning"], ["loud", "3"]),
        ("STORE_URL", ["", "http://store:8090", "https://[::1]/a"], ["foo", "ftp://a", "http://u:p@a"]),
        ("ALLOWED_HOSTS", ["", "a=*.b", "a=b, c-* = d.e,"], ["foo", "a=", "a=B", "a=b=c"]),
        ("ALLOWED_INGRESS_CLASSES", ["*=nginx"], ["nginx"]),
        ("ALLOWED_TRUST", ["a=Code,*=Data"], ["a=All", "Code"]),
    ],
)
def test_what_the_operator_refuses_is_refused_by_the_chart(name: str, good: list[str], bad: list[str]) -> None:
    """Before anything is installed, and not in a pod that starts again and again."""
    for takes in (takes_chart, takes_operator):
        assert [text for text in good if not takes(name, text)] == []
        assert [text for text in bad if takes(name, text)] == []


@pytest.mark.parametrize("labels", [{"team": "a b"}, {"bad key": "a"}, {"team": "-a"}, {"Team.Dev/a": "b"}])
def test_labels_that_are_no_selector_are_refused_by_both(labels: dict[str, str]) -> None:
    """With them the operator could list no namespace."""
    form = SCHEMA["properties"]["watch"]["properties"]["namespaceLabels"]
    [(key, value)] = labels.items()
    fits = re.search(form["propertyNames"]["pattern"], key) and re.search(
        form["additionalProperties"]["pattern"], value
    )
    assert not fits
    assert not takes_operator("NAMESPACE_SELECTOR", f"{key}={value}")


def test_each_setting_of_the_store_is_one_that_it_reads() -> None:
    """What is not in the list has a value of its own, or must be as the pod has it."""
    text = (ROOT / "store" / "sluice_store" / "settings.py").read_text(encoding="utf-8")
    listed = SCHEMA["properties"]["store"]["properties"]["settings"]["propertyNames"]["enum"]
    assert [name for name in listed if f'"{name}"' not in text] == []


def test_the_chart_has_the_version_of_the_project() -> None:
    """In the form of Helm."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = chart["appVersion"].replace("-dev.", ".dev")
    assert chart["version"] == chart["appVersion"]
    assert f'\nversion = "{version}"\n' in project


def test_the_crd_the_rules_and_the_dashboards_of_the_chart_are_those_of_the_project() -> None:
    """`make manifests` copies them, and nothing else is there."""
    there = {path for folder in ("crds", "alerts", "dashboards") for path in (CHART / folder).iterdir()}
    assert {path: path.read_text(encoding="utf-8") for path in there} == install_manifests.copies()
