"""Alloy and Promtail, as manifests/logs-and-traces sets them up, send the same lines with the same labels.

Promtail's file runs in a contract test. Alloy cannot be built from Go modules, so its file is compared with that one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

SETUP = Path(__file__).resolve().parents[3] / "manifests" / "logs-and-traces"
ALLOY: str = yaml.safe_load((SETUP / "alloy-values.yaml").read_text(encoding="utf-8"))["alloy"]["configMap"]["content"]
PROMTAIL: str = yaml.safe_load((SETUP / "promtail-values.yaml").read_text(encoding="utf-8"))["config"]["file"]
RULE = re.compile(r"^ +rule \{\n(.+?)\n +\}$", re.MULTILINE | re.DOTALL)
ASSIGNED = re.compile(r"(\w+) += (.+)")


def of_alloy() -> list[dict[str, Any]]:
    """Its rules. Texts and lists are written as in YAML."""
    return [{name: yaml.safe_load(value) for name, value in ASSIGNED.findall(rule)} for rule in RULE.findall(ALLOY)]


def of_promtail() -> list[dict[str, Any]]:
    """Its rules without that for the node: Alloy asks only for the pods of its own."""
    rules = yaml.safe_load(PROMTAIL)["scrape_configs"][0]["relabel_configs"]
    return [rule for rule in rules if rule.get("target_label") != "__host__"]


def test_the_rules_are_the_same() -> None:
    """Which pods, which files, which labels."""
    assert of_alloy() == of_promtail()
    assert len(of_alloy()) == ALLOY.count("rule {")


def test_the_same_labels_are_dropped() -> None:
    """The path has the uid of the pod: as a label it would make a stream for each."""
    *_, dropped = yaml.safe_load(PROMTAIL)["scrape_configs"][0]["pipeline_stages"]
    (values,) = re.findall(r"stage\.label_drop \{\n +values = (.+)\n", ALLOY)
    assert yaml.safe_load(values) == dropped["labeldrop"] == ["filename", "stream"]


def test_the_lines_go_to_the_same_place() -> None:
    """An example of an address: users write their own."""
    (url,) = re.findall(r'url = "(.+)"', ALLOY)
    assert url == yaml.safe_load(PROMTAIL)["clients"][0]["url"]


@pytest.mark.parametrize("text", [ALLOY, PROMTAIL], ids=["Alloy", "Promtail"])
def test_nothing_is_a_template_of_helm(text: str) -> None:
    """The charts take both for templates."""
    assert "{{" not in text
