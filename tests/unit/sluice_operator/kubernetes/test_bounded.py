"""A ModelDeployment is read as it is; one that would fill the memory is read without what makes it large."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from sluice_operator.api import names, pod_template, spec
from sluice_operator.kubernetes import bounded
from tests.unit.sluice_operator.web.pages_data import body, stepping

COMMAND = {names.ANNOTATION_COMMAND: "pause/x/0/2026-03-01T12:00:00Z"}
DEEP = b"[" * 3_000 + b"]" * 3_000
LARGE = b"[" + b"{}," * 440_000 + b"{}]"


def an_object(template: bytes = b"{}", **server: Any) -> bytes:
    made = body(stepping())
    made["metadata"] |= {"resourceVersion": "7", "generation": 3, "annotations": COMMAND}
    made["spec"]["server"] = {**made["spec"]["server"], **server, "podTemplate": {"spec": {"x": "@"}}}
    return json.dumps(made).encode().replace(b'"@"', template)


def refusal(read: dict[str, Any]) -> str:
    refused = pod_template.refusal((), "models", spec.parse(read["spec"]).server)
    assert refused is not None
    assert refused.reason == "PodTemplateInvalid"
    return refused.message


@pytest.mark.parametrize("size", [0, 60_000])
def test_an_object_is_read_as_it_is(size: int) -> None:
    """Also a large one, as long as its server is not."""
    made = json.loads(an_object(podAnnotations={"a": "x" * size}, volumes=[{"name": "v", "emptyDir": {}}]))
    made["status"]["message"] = "y" * size * 2
    assert bounded.model_deployment(json.dumps(made).encode()) == made


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (an_object(LARGE), "have 1,289 KiB, and 64 is the most"),
        (an_object(DEEP), "are nested more than 50 deep"),
        (an_object(b'{"a":' * 60 + b"1" + b"}" * 60), "are nested more than 50 deep"),
        (an_object(LARGE[:-1] + b"," + DEEP + b"]"), "and 64 is the most"),
        (an_object(affinity={"x": [{}] * 50_000}), "and 64 is the most"),
    ],
    ids=["large", "deep", "deep for a pod", "both", "in another field"],
)
def test_one_that_would_fill_the_memory_is_read_in_part(text: bytes, why: str) -> None:
    """It is known for what it is, its rollout goes on, and no pods are made of its server."""
    read = bounded.model_deployment(text)
    whole = json.loads(text) if b"[[[" not in text else json.loads(an_object())
    assert why in refusal(read)
    assert read["status"] == whole["status"]
    assert read["metadata"] == whole["metadata"]
    assert read["spec"]["server"]["replicas"] == whole["spec"]["server"]["replicas"]
    assert {**read["spec"], "server": 0} == {**whole["spec"], "server": 0}
    assert len(msgspec.json.encode(read)) < 16_384


def test_a_list_and_a_watch_tell_of_such_objects() -> None:
    """Each object by itself; what else is in the answer stays."""
    listed = bounded.answer(
        b'{"kind":"L","metadata":{"continue":"c"},"items":[%b,%b]}' % (an_object(DEEP), an_object())
    )
    assert (listed["kind"], listed["metadata"]) == ("L", {"continue": "c"})
    assert "50 deep" in refusal(listed["items"][0])
    assert listed["items"][1] == json.loads(an_object())
    told = json.loads(bounded.change(b'{"type":"ADDED","object":%b}' % an_object(LARGE)))
    assert told["type"] == "ADDED"
    assert "64 is the most" in refusal(told["object"])


@pytest.mark.parametrize(
    "other", [{"kind": "Status", "code": 410, "metadata": {}}, {"metadata": {"resourceVersion": "9"}}]
)
def test_what_else_a_watch_tells_is_not_changed(other: dict[str, Any]) -> None:
    """An error, and a bookmark."""
    line = json.dumps({"type": "BOOKMARK", "object": other}).encode()
    assert json.loads(bounded.change(line)) == json.loads(line)
    assert bounded.answer(json.dumps(other).encode()) == other


def test_managed_fields_repeat_nothing_that_was_left_out() -> None:
    """They have the fields of the spec once more, as deep and as many."""
    made = json.loads(an_object())
    made["metadata"]["managedFields"] = [{"fieldsV1": "@"}]
    for fields in (b'{"f:a":' * 500 + b"{}" + b"}" * 500, LARGE):
        read = bounded.model_deployment(json.dumps(made).encode().replace(b'"@"', fields))
        assert not read["metadata"].get("managedFields")
