"""What the API server does with an accepted ModelDeployment: defaults, columns, documentation, status."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

COLUMNS = "NAME PHASE STABLE CANARY WEIGHT VERDICT READY AGE"
NOW = "2026-01-02T03:04:05Z"
REVISION = {
    "revision": "a2b3c4d5e6",
    "model": {
        "uri": "models:/iris/3",
        "name": "iris",
        "version": "3",
        "runId": "0123456789abcdef",
        "source": "models:/m-0123456789abcdef",
        "digest": "sha256:00",
        "runtime": "skops",
    },
    "image": "registry.example/sluice-server:1",
    "resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "250m"}},
    "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    "podTemplate": {"metadata": {"labels": {"team": "a"}}, "spec": {"nodeSelector": {"pool": "inference"}}},
    "readyReplicas": 2,
    "editedBy": "kubectl-edit",
    "trust": "TrustedTypes",
    "fromStore": True,
    "lost": {"since": NOW, "preparedAt": NOW, "digest": "sha256:01"},
    "trackingURI": "http://mlflow.example:5000",
}
CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Serving",
    "message": "Version 3 serves on 2 of 2 pods.",
    "lastTransitionTime": NOW,
    "observedGeneration": 1,
}
STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "url": "http://iris.example.com/",
    "phase": "Stepping",
    "phaseStartedAt": NOW,
    "message": "Version 4 gets 10 % of the requests.",
    "replicas": 2,
    "selector": "sluice.dev/model-deployment=iris",
    "scaledTo": 4,
    "stable": REVISION,
    "canary": REVISION | {"revision": "f6e5d4c3b2", "model": REVISION["model"] | {"version": "4"}},  # type: ignore[operator]
    "previous": REVISION,
    "run": {
        "id": "1-f6e5d4c3b2",
        "startedAt": NOW,
        "trafficStartedAt": NOW,
        "firstLiveAt": "2026-01-02T03:04:05.678901Z",
        "latencyThresholds": {"p95": "0.0125"},
        "step": 1,
        "stepStartedAt": NOW,
        "swapped": False,
        "crashes": [{"uid": "u1", "revision": "f6e5d4c3b2", "restarts": 2, "crashes": 1, "last": "exit code 1"}],
        "canary": {"revision": "f6e5d4c3b2", "model": "models:/iris/4"},
        "stable": {"revision": "a1b2c3d4e5", "model": "models:/iris/3"},
        "outcome": "Rejected",
        "endedAt": NOW,
        "reason": "VerdictFail",
        "message": "accuracy 0.41 of 100 labels, limit 0.85",
        "traffic": {"ingress": {"className": "nginx", "host": "iris.example.com"}},
        "rollout": {"canary": {"steps": [{"weight": 10, "minRequests": 50, "minDuration": "5s"}]}, "deadline": "4h"},
        "objectives": [{"name": "errors", "errorRate": {"max": "5%"}}],
        "prometheus": {"url": "https://prometheus.team-a.svc:9090", "credentialsSecret": "prometheus"},
    },
    "weight": {"desired": 50, "live": 10, "writtenAt": NOW, "verifiedAt": NOW, "verification": "Proven"},
    "verdict": {
        "result": "Undecided",
        "reason": "TooFewRequests",
        "message": "12 of 50 requests",
        "objectives": [
            {
                "name": "errors",
                "result": "Pass",
                "reason": "InsideLimit",
                "canary": "0.1 %",
                "stable": "0.2 %",
                "requests": 12,
                "limit": "5 %",
            }
        ],
    },
    "rejected": [
        {
            "revision": "b2",
            "model": "models:/iris/2",
            "reason": "R",
            "message": "m",
            "objectivesHash": "77aa",
            "at": NOW,
        }
    ],
    "abandoned": {
        "revision": "c3",
        "reason": "R",
        "message": "m",
        "termsHash": "88bb",
        "generation": 3,
        "retryAt": NOW,
    },
    "retiring": [{"revision": REVISION, "replicas": 2, "until": NOW}],
    "history": [
        {
            "revision": "b2",
            "model": "models:/iris/2",
            "outcome": "Rejected",
            "reason": "R",
            "startedAt": NOW,
            "endedAt": NOW,
            "record": "iris-run-b2-1767323045",
        }
    ],
    "alias": {"name": "champion", "model": "iris", "version": "3", "done": True},
    "conditions": [CONDITION],
}


@pytest.fixture
def stored(kubectl: Kubectl, iris: dict[str, Any]) -> Iterator[str]:
    """The name of a ModelDeployment that exists during the test."""
    kubectl("create", "--filename=-", stdin=json.dumps(iris))
    yield "modeldeployment/iris"
    kubectl("delete", "modeldeployment", "iris", "--namespace=models")


def write_status(kubectl: Kubectl, name: str, status: dict[str, Any]) -> None:
    """Through the status subresource, as the operator does it."""
    patch = json.dumps({"status": status})
    kubectl("patch", name, "--namespace=models", "--subresource=status", "--type=merge", f"--patch={patch}")


def fields(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All fields below a schema, also those of list items, with their paths."""
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
        yield from fields(child.get("items", {}), f"{path}.{name}[]")


def test_the_smallest_object_gets_all_defaults(kubectl: Kubectl) -> None:
    """The operator has no hidden defaults: all of them are in the stored object."""
    smallest = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "smallest", "namespace": "models"},
        "spec": {
            "model": {"uri": "models:/iris@challenger"},
            "traffic": {"ingress": {"host": "iris.example.com"}},
        },
    }
    assert kubectl.accepts(smallest)["spec"] == {
        "model": {
            "uri": "models:/iris@challenger",
            "pollInterval": "30s",
            "trust": "Data",
            "allowSignatureChange": False,
        },
        "server": {"replicas": 1, "podDisruptionBudget": True},
        "traffic": {"ingress": {"className": "nginx", "host": "iris.example.com", "path": "/"}},
        "rollout": {
            "canary": {},
            "progressDeadline": "10m",
            "deadline": "4h",
            "onDeadline": "Hold",
            "watchAfterPromotion": "15m",
            "scaleDownDelay": "30s",
            "stableDeadDeadline": "5m",
        },
        "objectives": [
            {
                "name": "errors",
                "errorRate": {"maxRatio": "2"},
                "dryRun": False,
                "onFail": "Rollback",
                "whenNoLabels": "Wait",
            },
            {
                "name": "p95",
                "latency": {"quantile": "0.95", "maxRatio": "1.5"},
                "dryRun": False,
                "onFail": "Rollback",
                "whenNoLabels": "Wait",
            },
        ],
        "confidence": {"falseRollback": "5%", "badPromotion": "5%"},
        "suspend": False,
    }


def test_steps_and_objectives_get_their_defaults(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """If only the fields without a default are written."""
    iris["spec"]["rollout"] = {"canary": {"steps": [{"weight": 10}]}}
    iris["spec"]["objectives"] = [{"name": "accuracy", "accuracy": {"source": "Feedback", "maxDrop": "2%"}}]
    spec = kubectl.accepts(iris)["spec"]
    assert spec["rollout"]["canary"] == {"steps": [{"weight": 10, "minRequests": 100, "minDuration": "30s"}]}
    assert spec["objectives"] == [
        {
            "name": "accuracy",
            "accuracy": {"source": "Feedback", "maxDrop": "2%"},
            "dryRun": False,
            "onFail": "Rollback",
            "whenNoLabels": "Wait",
        }
    ]


def test_a_step_can_pause_until_a_person_resumes(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """An empty mapping is a pause, and no pause is none."""
    steps = [{"weight": 10, "pause": {}}, {"weight": 20, "pause": {"duration": "10m"}}, {"weight": 50}]
    iris["spec"]["rollout"] = {"canary": {"steps": steps}, "retryToken": "2"}
    stored = kubectl.accepts(iris)["spec"]["rollout"]
    assert [step.get("pause") for step in stored["canary"]["steps"]] == [{}, {"duration": "10m"}, None]
    assert stored["retryToken"] == "2"


def test_a_full_spec_is_stored_as_written(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """Resources and environment have the form of a container."""
    iris["spec"]["model"]["registry"] = {"trackingURI": "https://mlflow.example/prefix"}
    iris["spec"]["server"] = {
        "image": "registry.example/sluice-server@sha256:00",
        "replicas": 3,
        "podDisruptionBudget": False,
        "resources": {"requests": {"cpu": 1, "memory": "512Mi"}, "limits": {"memory": "1.5Gi"}},
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}},
            {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "s", "key": "k"}}},
            {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
    }
    iris["spec"]["prometheus"] = {"url": "https://[fd00::1]:9090/team-a/", "credentialsSecret": "prometheus.team-a"}
    spec = kubectl.accepts(iris)["spec"]
    assert spec["server"] == iris["spec"]["server"]
    assert spec["model"] == {**iris["spec"]["model"], "trust": "Data", "allowSignatureChange": False}
    assert spec["prometheus"] == iris["spec"]["prometheus"]


def test_columns_show_the_rollout_at_a_glance(kubectl: Kubectl, stored: str) -> None:
    """The columns of `kubectl get`; those of `-o wide` come last."""
    write_status(kubectl, stored, STATUS)
    head, row = kubectl("get", "mdep", "--namespace=models", "--output=wide").splitlines()
    assert " ".join(head.split()) == f"{COLUMNS} STEP URI MESSAGE"
    cells = row.split(maxsplit=10)
    assert cells[:7] == ["iris", "Stepping", "3", "4", "10", "Undecided", "True"]
    assert cells[8:] == ["1", "models:/iris@challenger", "Version 4 gets 10 % of the requests."]
    narrow, _ = kubectl("get", "ml", "--namespace=models").splitlines()
    assert " ".join(narrow.split()) == COLUMNS


def test_columns_show_defaults_of_the_status(kubectl: Kubectl, stored: str) -> None:
    """Pending, weight 0 and step 0 are shown although the operator does not write them."""
    write_status(kubectl, stored, {"weight": {"desired": 0}, "run": {"id": "1"}})
    status = json.loads(kubectl("get", stored, "--namespace=models", "--output=json"))["status"]
    assert (status["phase"], status["weight"]["live"], status["run"]["step"]) == ("Pending", 0, 0)


def test_a_full_status_survives_a_round_trip(kubectl: Kubectl, stored: str) -> None:
    """All that the operator writes is stored unchanged."""
    write_status(kubectl, stored, STATUS)
    assert json.loads(kubectl("get", stored, "--namespace=models", "--output=json"))["status"] == STATUS


def test_a_status_does_not_change_the_spec(kubectl: Kubectl, stored: str) -> None:
    """Status is a subresource: a write to it keeps the generation, and a write to the object keeps the status."""
    write_status(kubectl, stored, STATUS)
    before = json.loads(kubectl("get", stored, "--namespace=models", "--output=json"))
    assert before["metadata"]["generation"] == 1
    patch = json.dumps({"status": {"phase": "Pending"}})
    kubectl("patch", stored, "--namespace=models", "--type=merge", f"--patch={patch}")
    after = json.loads(kubectl("get", stored, "--namespace=models", "--output=json"))
    assert after["status"] == before["status"]


def test_conditions_merge_by_type(kubectl: Kubectl, stored: str) -> None:
    """Two writers of different conditions do not overwrite each other. `kubectl wait` finds them."""
    for manager, kind in (("one", "Ready"), ("two", "Stalled")):
        manifest = {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": "iris", "namespace": "models"},
            "status": {"conditions": [CONDITION | {"type": kind}]},
        }
        apply = ("apply", "--server-side", "--subresource=status", f"--field-manager={manager}", "--filename=-")
        kubectl(*apply, stdin=json.dumps(manifest))
    status = json.loads(kubectl("get", stored, "--namespace=models", "--output=json"))["status"]
    assert [condition["type"] for condition in status["conditions"]] == ["Ready", "Stalled"]
    assert "condition met" in kubectl("wait", stored, "--namespace=models", "--for=condition=Ready", "--timeout=10s")


def test_each_field_has_a_description(schema: dict[str, Any]) -> None:
    """`kubectl explain` prints it."""
    documented = dict(fields(schema["properties"]["spec"], ".spec"))
    documented |= fields(schema["properties"]["status"], ".status")
    undescribed = [path for path, field in documented.items() if not field.get("description", "").endswith(".")]
    assert len(documented) > 100
    assert undescribed == []


def test_descriptions_have_the_default(schema: dict[str, Any]) -> None:
    """The description says what holds without the field, and it agrees with the schema."""
    for path, field in fields(schema["properties"]["spec"], ".spec"):
        if field["type"] == "object":
            continue
        default = field.get("default")
        default = json.dumps(default) if default == "/" or isinstance(default, bool) else default
        expected = "efault" if default is None or field["type"] == "array" else f"Default {default}."
        assert expected in field["description"], path


def test_kubectl_explain_prints_the_descriptions(kubectl: Kubectl, schema: dict[str, Any]) -> None:
    """All of them, for one section."""
    kubectl.eventually("explain", "modeldeployment.spec.rollout")
    printed = " ".join(kubectl("explain", "modeldeployment.spec.rollout").split())
    rollout = schema["properties"]["spec"]["properties"]["rollout"]
    for text in (rollout, *rollout["properties"].values()):
        assert " ".join(textwrap.dedent(text["description"]).split()) in printed


def test_lists_and_texts_with_rules_are_bounded(schema: dict[str, Any]) -> None:
    """Each has a maximum size, so that its validation rules stay cheap."""
    for path, field in fields(schema["properties"]["spec"], ".spec"):
        if "x-kubernetes-validations" in field:
            bound = {"array": "maxItems", "string": "maxLength"}.get(field["type"])
            assert bound is None or bound in field, path
