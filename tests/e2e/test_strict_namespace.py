"""A namespace as in large companies: a quota, a LimitRange, PodSecurity `restricted`, and a sidecar in each pod."""

import json
from collections.abc import AsyncIterator

import pytest

from dev.demo import promises
from dev.demo.models import Versions
from dev.demo.traffic import Stream
from tests.e2e.rollouts import NAMESPACE, Manifest, Place, deployed, eventually, manifest

pytestmark = pytest.mark.anyio

NAME = "iris-strict"
ENFORCED = "pod-security.kubernetes.io/enforce"
ADMISSION = "admissionregistration.k8s.io/v1"
SIDECAR = """
[JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{
  name: "mesh",
  image: object.spec.containers[0].image,
  command: ["python", "-c", "import signal; s = {signal.SIGTERM}; signal.pthread_sigmask(0, s); signal.sigwait(s)"],
  securityContext: Object.spec.containers.securityContext{
    allowPrivilegeEscalation: false,
    capabilities: Object.spec.containers.securityContext.capabilities{drop: ["ALL"]}
  }
}}]
"""


def policies() -> list[Manifest]:
    """A quota that refuses pods without requests, the LimitRange that gives them some, and a mesh's sidecar."""
    inside = {"metadata": {"name": "strict", "namespace": NAMESPACE}}
    everywhere = {"metadata": {"name": "sluice-e2e-sidecar"}}
    least, most = {"cpu": "10m", "memory": "64Mi"}, {"cpu": "2", "memory": "1Gi"}
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
    hard = {"requests.cpu": "1", "requests.memory": "2Gi", "limits.cpu": "20", "limits.memory": "16Gi", "pods": "12"}
    default = {"type": "Container", "defaultRequest": least, "default": most}
    return [
        {"apiVersion": "v1", "kind": "ResourceQuota", **inside, "spec": {"hard": hard}},
        {"apiVersion": "v1", "kind": "LimitRange", **inside, "spec": {"limits": [default]}},
        {
            "apiVersion": ADMISSION,
            "kind": "MutatingAdmissionPolicy",
            **everywhere,
            "spec": {
                "matchConstraints": {"resourceRules": [pods], "namespaceSelector": here},
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": SIDECAR}}],
            },
        },
        {
            "apiVersion": ADMISSION,
            "kind": "MutatingAdmissionPolicyBinding",
            **everywhere,
            "spec": {"policyName": "sluice-e2e-sidecar"},
        },
    ]


@pytest.fixture(scope="module")
async def strict(place: Place) -> AsyncIterator[None]:
    """The namespace of the tests, strict until the end of this module."""
    kubectl = place.kubectl
    await kubectl.text("label", "namespace", NAMESPACE, f"{ENFORCED}=restricted", "--overwrite")
    try:
        for policy in policies():
            await kubectl.apply(policy)
        await eventually("pods get the sidecar", lambda: _gets_a_sidecar(place))
        yield
    finally:
        for policy in reversed(policies()):
            where = ("-n", NAMESPACE) if "namespace" in policy["metadata"] else ()
            await kubectl.text(*where, "delete", policy["kind"], policy["metadata"]["name"], "--ignore-not-found")
        await kubectl.text("label", "namespace", NAMESPACE, f"{ENFORCED}-")


async def test_a_rollout_in_a_strict_namespace(strict: None, place: Place, versions: Versions) -> None:
    """A version is promoted, beside a container that somebody else has put into its pods, and no request fails."""
    async with deployed(place, manifest(NAME), versions.first) as iris:
        await iris.until_ready()
        async with Stream(place.gateway, iris.host, rate=50.0, max_requests=20_000, max_seconds=300.0) as stream:
            await iris.follow(versions.better)
            end = await iris.until_ended(versions.better, runs=2)
    assert [entry.outcome for entry in end.history] == ["Promoted", "Promoted"], end.history
    assert end.stable is not None
    documents = await iris.pod_documents(end.stable.revision)
    names = [sorted(container["name"] for container in document["spec"]["containers"]) for document in documents]
    assert names == [["mesh", "server"]] * len(documents)
    assert documents
    none_failed = promises.none_failed(stream.requests)
    assert none_failed.kept, none_failed.found


async def _gets_a_sidecar(place: Place) -> bool | None:
    """The API server reads a new policy a moment after it was written."""
    confined = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "server", "image": "none", "securityContext": confined}],
    }
    answer = await place.kubectl.text(
        *("-n", NAMESPACE, "create", "--dry-run=server", "-o", "jsonpath={.spec.containers[*].name}", "-f", "-"),
        stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": pod}),
    )
    return "mesh" in answer or None
