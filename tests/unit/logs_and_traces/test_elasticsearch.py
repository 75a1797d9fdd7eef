"""What Fluent Bit, as manifests/logs-and-traces sets it up, makes of a line, and what type each field has then.

Fluent Bit is no Go module and no package, so its filters are followed here as its manual describes them.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sluice_operator.manifests import builders
from sluice_server import logs
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.prediction_log import PredictionLog
from sluice_server.model.identity import Identity
from sluice_server.runtimes.output import Output
from sluice_server.settings import LogFormat, LogSettings
from tests.unit.sluice_operator.build import OWNER, revision

ROOT = Path(__file__).resolve().parents[3]
SETUP = ROOT / "manifests" / "logs-and-traces"
VALUES: dict[str, str] = yaml.safe_load((SETUP / "fluent-bit-values.yaml").read_text(encoding="utf-8"))["config"]
MAPPED = json.loads((SETUP / "elasticsearch-template.json").read_text(encoding="utf-8"))
FIELDS: dict[str, dict[str, Any]] = MAPPED["template"]["mappings"]["properties"]
SERVED = revision(1)
Section = list[tuple[str, str]]


def sections(text: str) -> list[Section]:
    """The keys and values of each section, in their order: a key may come again."""
    found: list[Section] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("["):
            found.append([])
        elif not line.startswith("#"):
            key, value = line.split(maxsplit=1)
            found[-1].append((key, value))
    return found


FILTERS = [dict(section)["Name"] for section in sections(VALUES["filters"])]
KUBERNETES, GREP, *LIFTS, MODIFY = sections(VALUES["filters"])


def lift(record: dict[str, Any], section: Section) -> dict[str, Any]:
    """`nest`: what is under a key comes up, with a prefix."""
    asked = dict(section)
    inner = {asked["Add_prefix"] + key: value for key, value in record[asked["Nested_under"]].items()}
    return {key: value for key, value in record.items() if key != asked["Nested_under"]} | inner


def modify(record: dict[str, Any], section: Section) -> dict[str, Any]:
    """`modify`: one rule after the other. `Rename` does nothing where the new name is there already."""
    record = dict(record)
    for rule, words in section:
        match rule, words.split():
            case "Rename", [old, new]:
                if old in record and new not in record:
                    record[new] = record.pop(old)
            case "Remove", [key]:
                record.pop(key, None)
            case "Remove_wildcard", [prefix]:
                record = {key: value for key, value in record.items() if not key.startswith(prefix)}
            case "Name" | "Match", _:
                pass
            case _:
                pytest.fail(f"this test does not know the rule {rule}")
    return record


@pytest.fixture
def line() -> dict[str, Any]:
    """What a model server logs about a prediction of a traced request."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # or `configure` would close those of pytest
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)
    tokens = logs.correlation_id.set("checkout-7f3a"), logs.trace_id.set("4bf92f3577b34da6a3ce929d0e0e4736")
    log = PredictionLog(Identity("iris", "3", SERVED.revision), ("length", "width"), 1.0)
    log.write(np.array([[1.0, 2.0]]), Prediction(Output(np.array([0]), None, None), [0], "id"), ["setosa"])
    logs.correlation_id.reset(tokens[0])
    logs.trace_id.reset(tokens[1])
    root.handlers[:], root.level = handlers, level
    written: dict[str, Any] = json.loads(stream.getvalue())
    return written


def document(line: dict[str, Any], pod_labels: dict[str, str]) -> dict[str, Any]:
    """What is sent of a line: with `Merge_Log` the filter `kubernetes` has put its fields beside what it knows."""
    pod = {"pod_name": "iris-1", "namespace_name": "models", "container_name": "server", "host": "node-1"}
    record = {"stream": "stderr", "_p": "F", **line, "kubernetes": {**pod, "labels": pod_labels}}
    for section in LIFTS:
        record = lift(record, section)
    return modify(record, MODIFY)


def flat(value: dict[str, Any], before: str = "") -> Iterator[str]:
    """The names of the fields as Elasticsearch has them. What is not indexed has no fields below it."""
    for key, below in value.items():
        name = before + key
        if isinstance(below, dict) and FIELDS.get(name, {}).get("enabled", True):
            yield from flat(below, f"{name}.")
        else:
            yield name


def test_a_prediction_is_a_document_with_its_ids_and_its_pod(line: dict[str, Any]) -> None:
    """The trace id is where Kibana looks for it; of the pod only what its lines are searched by is left."""
    labels = builders.deployment(OWNER, SERVED, replicas=1)["spec"]["template"]["metadata"]["labels"]
    sent = document(line, labels)
    assert "trace_id" not in sent
    assert {key: sent[key] for key in ("correlation_id", "trace.id", "event", "prediction", "app")} == {
        "correlation_id": "checkout-7f3a",
        "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "event": "prediction",
        "prediction": {"class_id": 0, "class_name": "setosa"},
        "app": "sluice-model",
    }
    assert sent.keys() - line.keys() == {
        *("trace.id", "app", "model_deployment", "revision"),
        *("kubernetes.namespace", "kubernetes.pod.name", "kubernetes.container.name"),
    }
    assert (sent["model_deployment"], sent["revision"]) == (OWNER.name, SERVED.revision)
    assert set(flat(sent)) <= FIELDS.keys(), "a field without a type in the template"


def test_a_pod_that_prepares_a_model_has_the_name_of_its_model_too(line: dict[str, Any]) -> None:
    """Its label has another name."""
    sent = document(line, {"app.kubernetes.io/name": "sluice-prepare", "sluice.dev/prepares": "iris"})
    assert (sent["app"], sent["model_deployment"]) == ("sluice-prepare", "iris")


@pytest.mark.parametrize(("app", "kept"), [("sluice-model", True), ("sluice-operator", True), ("nginx", False)])
def test_lines_of_other_pods_are_left_out(app: str, kept: bool) -> None:
    """By the label that all pods of Sluice have."""
    path, pattern = dict(GREP)["Regex"].split()
    assert path == "$kubernetes['labels']['app.kubernetes.io/name']"
    assert bool(re.search(pattern, app)) is kept


def test_the_filters_come_in_the_order_that_the_others_need() -> None:
    """Labels can be looked at before they are lifted, and renamed afterwards."""
    assert FILTERS == ["kubernetes", "grep", "nest", "nest", "modify"]
    assert dict(KUBERNETES)["Merge_Log"] == "On"
    assert [dict(lift)["Nested_under"] for lift in LIFTS] == ["kubernetes", "pod_labels"]


def test_the_documents_go_where_the_template_is_for() -> None:
    """A data stream takes only what is created, and needs a time."""
    (output,) = map(dict, sections(VALUES["outputs"]))
    assert MAPPED["index_patterns"] == [output["Index"]]
    assert output["Write_Operation"] == "create"
    assert FIELDS["@timestamp"] == {"type": "date"}


def test_no_two_fields_need_one_name_for_an_object_and_a_value() -> None:
    """Elasticsearch refuses such a template."""
    assert not [(one, other) for one in FIELDS for other in FIELDS if other.startswith(f"{one}.")]


def test_nothing_is_a_template_of_helm() -> None:
    """The chart takes it for one."""
    assert "{{" not in "".join(VALUES.values())
