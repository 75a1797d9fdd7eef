"""What a real API server notes about edits from outside, and what the operator's client makes of it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from kubernetes.aio import client, config

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.revision import Model, Revision
from sluice_operator.api.spec import Trust
from sluice_operator.api.status import Status
from sluice_operator.controller.apply import apply
from sluice_operator.kubernetes import children
from sluice_operator.kubernetes.children import Children
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.kubernetes.pods import by_revision
from sluice_operator.manifests import builders

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

T = TypeVar("T")
NAMESPACE = "outside"
NUMBERS = itertools.count()
REVISION = Revision("a2b3c4d5e6", Model("models:/iris/3", "iris", "3"), "registry.example/server:1", Trust.DATA)


class Cluster:
    """A ModelDeployment on the test's API server, and the Deployment and Services that the operator made for it."""

    def __init__(self, kubectl: Kubectl, name: str, manifest: dict[str, Any]) -> None:
        self.kubectl = kubectl
        manifest["metadata"] |= {"name": name, "namespace": NAMESPACE}
        manifest["spec"]["traffic"]["ingress"]["host"] = f"{name}.example.com"
        kubectl("create", "--filename=-", stdin=json.dumps(manifest))
        stored = self.get("modeldeployment", name)
        self.owner = Owner(NAMESPACE, name, stored["metadata"]["uid"])
        self.deployment = f"{name}-{REVISION.revision}"
        assert self.repair()

    def get(self, kind: str, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            self.kubectl("get", kind, name, f"--namespace={NAMESPACE}", "--output=json", "--show-managed-fields")
        )
        return answer

    def edit(self, *arguments: str) -> None:
        self.kubectl(*arguments, f"--namespace={NAMESPACE}")

    def children(self) -> Children:
        return self._with_client(self._read)

    def repair(self) -> list[str]:
        """What the operator writes until nothing differs."""

        async def twice(kube: ApiServer) -> list[str]:
            written = list[str]()
            for _ in range(2):
                written += await apply(kube, self.owner, await self._read(kube), self._rendered())
            return written

        return self._with_client(twice)

    async def _read(self, kube: ApiServer) -> Children:
        status = Status(stable=REVISION)
        return await children.read(kube, self.owner, status, ())

    def _rendered(self) -> tuple[Manifest, ...]:
        return (
            builders.deployment(self.owner, REVISION, 2),
            builders.disruption_budget(self.owner, REVISION.revision),
            builders.revision_service(self.owner, REVISION.revision),
            builders.role_service(self.owner, REVISION.revision),
        )

    def _with_client(self, work: Callable[[ApiServer], Awaitable[T]]) -> T:
        async def connected() -> T:
            await config.load_kube_config(config_file=str(self.kubectl.kubeconfig))
            async with client.ApiClient() as api:
                return await work(ApiServer(api))

        return asyncio.run(connected())


@pytest.fixture(scope="module", autouse=True)
def namespace(kubectl: Kubectl) -> None:
    """Other tests look at all objects of the namespace `models`."""
    kubectl("create", "namespace", NAMESPACE)


@pytest.fixture
def cluster(kubectl: Kubectl, iris: dict[str, Any]) -> Cluster:
    """One of its own for each test."""
    return Cluster(kubectl, f"iris-{next(NUMBERS)}", iris)


def test_replicas_that_others_scale_up(cluster: Cluster) -> None:
    """More are theirs, and fewer are repaired; the manager is named."""
    cluster.edit("scale", "deployment", cluster.deployment, "--replicas=7")
    workload = by_revision([], cluster.children().objects.values())[REVISION.revision]
    assert (workload.scaled_to, cluster.repair()) == (7, [])
    cluster.edit("scale", "deployment", cluster.deployment, "--replicas=1")
    assert cluster.repair() == [f"scaled {cluster.deployment} to 2 (written by kubectl)"]
    assert by_revision([], cluster.children().objects.values())[REVISION.revision].scaled_to == 0


def test_an_edited_template_is_seen(cluster: Cluster) -> None:
    """It is not undone, and its editor is known; a restart changes no container."""
    cluster.edit("rollout", "restart", f"deployment/{cluster.deployment}")
    assert by_revision([], cluster.children().objects.values())[REVISION.revision].edited_by == ""
    cluster.edit("set", "image", f"deployment/{cluster.deployment}", "server=registry.example/other:2")
    workload = by_revision([], cluster.children().objects.values())[REVISION.revision]
    assert (workload.edited_by, cluster.repair()) == ("kubectl-set", [])


@pytest.mark.parametrize("kind", ["deployment", "poddisruptionbudget", "service"])
def test_disowned(cluster: Cluster, kind: str) -> None:
    """Owner reference and label come back; the Deployment's template, and so its pods, stay as they were."""
    before = cluster.get(kind, cluster.deployment)
    for path in ("ownerReferences", f"labels/{names.LABEL_OWNER.replace('/', '~1')}"):
        patch = json.dumps([{"op": "remove", "path": f"/metadata/{path}"}])
        cluster.edit("patch", kind, cluster.deployment, "--type=json", f"--patch={patch}")
        assert len(cluster.repair()) == 1
        after = cluster.get(kind, cluster.deployment)
        assert after["spec"] == before["spec"]
        assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
        assert after["metadata"]["labels"] == before["metadata"]["labels"]
        assert after["metadata"].get("generation") == before["metadata"].get("generation")


def test_an_edited_budget(cluster: Cluster) -> None:
    """It is written as it was: one that forbids every eviction would block whoever empties a node."""
    before = cluster.get("poddisruptionbudget", cluster.deployment)
    cluster.edit(
        "patch", "poddisruptionbudget", cluster.deployment, "--type=merge", '--patch={"spec":{"maxUnavailable":0}}'
    )
    assert cluster.repair() == [f"changed PodDisruptionBudget {cluster.deployment} (written by kubectl-patch)"]
    assert cluster.get("poddisruptionbudget", cluster.deployment)["spec"] == before["spec"]


def test_orphans_are_adopted(cluster: Cluster, iris: dict[str, Any]) -> None:
    """The object was deleted with `--cascade=orphan`, and comes again with another uid."""
    name = cluster.owner.name
    workload = [(kind, cluster.deployment) for kind in ("deployment", "poddisruptionbudget", "service")]
    for kind, child in (*workload, ("service", name)):
        patch = '[{"op": "remove", "path": "/metadata/ownerReferences"}]'  # as the garbage collector does
        cluster.edit("patch", kind, child, "--type=json", f"--patch={patch}")
    patch = '[{"op": "remove", "path": "/metadata/ownerReferences"}]'
    cluster.edit("patch", "secret", f"{name}-feedback", "--type=json", f"--patch={patch}")
    cluster.edit("delete", "modeldeployment", name, "--cascade=background")
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(iris))
    cluster.owner = Owner(NAMESPACE, name, cluster.get("modeldeployment", name)["metadata"]["uid"])
    assert cluster.children().foreign == ()
    assert {line.split()[0] for line in cluster.repair()} == {"adopted"}
    assert cluster.get("deployment", cluster.deployment)["metadata"]["ownerReferences"][0]["uid"] == cluster.owner.uid
    assert cluster.repair() == []


def test_scale_of_the_object(cluster: Cluster) -> None:
    """`kubectl scale` and an HPA write `spec.server.replicas`; the answer has the pods and their selector."""
    name = cluster.owner.name
    status = {"replicas": 2, "selector": f"{names.LABEL_OWNER}={name}", "phase": "Stable"}
    patch = json.dumps({"status": status})
    cluster.edit("patch", "modeldeployment", name, "--subresource=status", "--type=merge", f"--patch={patch}")
    cluster.edit("scale", "modeldeployment", name, "--replicas=4")
    assert cluster.get("modeldeployment", name)["spec"]["server"]["replicas"] == 4
    path = f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{NAMESPACE}/{names.PLURAL}/{name}/scale"
    scale = json.loads(cluster.kubectl("get", f"--raw={path}"))
    assert (scale["spec"], scale["status"]) == (
        {"replicas": 4},
        {"replicas": 2, "selector": f"{names.LABEL_OWNER}={name}"},
    )


def test_scale_without_replicas_in_the_spec(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """The default counts."""
    iris["metadata"] |= {"name": "scale-default", "namespace": NAMESPACE}
    iris["spec"].pop("server", None)
    kubectl("create", "--filename=-", stdin=json.dumps(iris))
    kubectl("scale", "modeldeployment", "scale-default", "--replicas=3", f"--namespace={NAMESPACE}")
