"""A real API server takes the pods with all that a user may add, and refuses what it does not know."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from kubernetes.aio import client, config

from sluice_operator.api import pod_template, spec
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.kubernetes.port import WriteRefused
from sluice_operator.manifests import builders
from sluice_operator.rollout import revisions
from tests.unit.sluice_operator.build import DEFAULTS, OWNER, model

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

SERVER: dict[str, Any] = {
    "imagePullSecrets": [{"name": "pull"}],
    "serviceAccountName": "models",
    "nodeSelector": {"pool": "inference"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "podLabels": {"team": "vision"},
    "podAnnotations": {"sidecar.istio.io/inject": "true"},
    "securityContext": {},
    "envFrom": [{"secretRef": {"name": "login", "optional": True}}],
    "volumes": [{"name": "ca", "configMap": {"name": "ca", "optional": True}}],
    "volumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
    "podTemplate": {
        "spec": {
            "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
            "containers": [{"name": "s", "image": "s:1"}],
        }
    },
}


def stored(kubectl: Kubectl, iris: dict[str, Any], server: dict[str, Any]) -> spec.Spec:
    """The spec as the API server keeps it, without what the CRD does not know."""
    iris["spec"]["server"] = server
    return spec.parse(kubectl.accepts(iris)["spec"])


def deployment(parsed: spec.Spec) -> dict[str, Any]:
    revision = revisions.make(parsed, model(1), DEFAULTS)
    manifest: dict[str, Any] = builders.deployment(OWNER, revision, 1)
    del manifest["metadata"]["ownerReferences"]
    manifest["metadata"]["namespace"] = "default"
    return manifest


def test_everything_that_may_be_added_is_kept_and_accepted(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """Nothing is pruned by the CRD, nothing is refused by the operator, and the pods are valid."""
    parsed = stored(kubectl, iris, SERVER)
    template = pod_template.of(parsed.server)
    assert template == pod_template.of(msgspec.convert({"replicas": 1, **SERVER}, spec.ServerSpec))
    assert pod_template.refusal((), "models", parsed.server) is None
    wanted = deployment(parsed)
    answer = kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(wanted))
    pod = json.loads(answer)["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "models"
    assert pod["dnsConfig"] == {"options": [{"name": "ndots", "value": "2"}]}
    assert [container["name"] for container in pod["containers"]] == ["server", "s"]


@pytest.mark.parametrize("asked", [{"nodeSelektor": {}}, {"tolerations": "all"}])
def test_what_kubernetes_does_not_know_is_refused_when_the_pods_are_made(
    kubectl: Kubectl, iris: dict[str, Any], asked: dict[str, Any]
) -> None:
    """By the API server, whose words get into the condition; the ModelDeployment itself is accepted."""
    wanted = deployment(stored(kubectl, iris, {"podTemplate": {"spec": asked}}))

    async def write() -> None:
        await config.load_kube_config(config_file=str(kubectl.kubeconfig))
        async with client.ApiClient() as api:
            await ApiServer(api).apply(wanted)

    with pytest.raises(WriteRefused, match=next(iter(asked))):
        asyncio.run(write())
