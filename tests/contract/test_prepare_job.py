"""The prepare Job on a real API server: it is accepted as it is, made anew, and its pod is nobody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from kubernetes.aio import client, config
from msgspec.structs import replace

from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.revision import Model, Revision
from sluice_operator.api.spec import Trust
from sluice_operator.api.status import Status
from sluice_operator.controller.apply import apply
from sluice_operator.kubernetes import children, preparation
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.manifests import addresses, builders

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

T = TypeVar("T")
NAMESPACE = "prepared"
REVISION = Revision(
    "a2b3c4d5e6",
    Model("models:/iris/3", "iris", "3"),
    "registry.example/server:1",
    Trust.DATA,
    from_store=True,
    credentials_secret="mlflow",
    artifact_secret="s3",
    resources={"limits": {"memory": "1Gi"}},
)
PREPARED = replace(REVISION, model=replace(REVISION.model, digest=f"sha256:{'0' * 64}"))
JOB = "iris-a2b3c4d5e6-prepare"
NOW = "2026-01-02T03:04:05Z"


class Cluster:
    """A ModelDeployment on the test's API server, without anything that runs Jobs."""

    def __init__(self, kubectl: Kubectl, iris: dict[str, Any]) -> None:
        self.kubectl = kubectl
        iris["metadata"] |= {"name": "iris", "namespace": NAMESPACE}
        iris["spec"]["traffic"]["ingress"]["host"] = "prepared.example.com"
        kubectl("create", "--filename=-", stdin=json.dumps(iris))
        stored = self.get("modeldeployment", "iris")
        token = f"{NAMESPACE}.00ff"
        self.owner = Owner(NAMESPACE, "iris", stored["metadata"]["uid"], (), "http://mlflow", "http://store", token)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.kubectl("get", kind, name, f"--namespace={NAMESPACE}", "-o=json"))
        return answer

    def write(self, *manifests: Manifest) -> list[str]:
        """What the operator writes for these manifests: nothing, if it asks for what is there."""

        async def work(kube: ApiServer) -> list[str]:
            return await apply(kube, self.owner, await self._read(kube), manifests)

        return self._with_client(work)

    def job(self) -> Manifest:
        """As the operator reads it."""
        return self._with_client(self._read).objects["Job", JOB]

    async def _read(self, kube: ApiServer) -> children.Children:
        return await children.read(kube, self.owner, Status(canary=REVISION), ())

    def _with_client(self, work: Callable[[ApiServer], Awaitable[T]]) -> T:
        async def connected() -> T:
            await config.load_kube_config(config_file=str(self.kubectl.kubeconfig))
            async with client.ApiClient() as api:
                return await work(ApiServer(api))

        return asyncio.run(connected())


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> None:
    """One that lets only restricted pods in."""
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": enforced}}
    kubectl("create", "--filename=-", stdin=json.dumps(manifest))
    kubectl("create", "serviceaccount", "default", f"--namespace={NAMESPACE}")  # a controller of a cluster does that


@pytest.mark.usefixtures("namespace")
def test_the_job_of_a_run_is_made_kept_and_made_anew(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """A look at it writes nothing; another run, or a failure, brings a new one, whose pods are other ones."""
    cluster = Cluster(kubectl, iris)
    first, second = (builders.prepare_job(cluster.owner, REVISION, f"a2b3c4d5e6-{number}") for number in (1, 2))
    address = addresses.config(cluster.owner)
    written = cluster.write(address, first)
    assert {"created ConfigMap iris-registry", f"created Job {JOB}", "created Secret iris-store"} <= set(written)
    assert cluster.write(address, first) == []
    before = cluster.job()["metadata"]["uid"]
    assert cluster.write(address, second) == [f"made anew Job {JOB} (the last one was of an earlier run)"]
    assert cluster.job()["metadata"]["uid"] != before
    _fail(cluster)
    assert preparation.failure(cluster.job()) == "DeadlineExceeded"
    assert cluster.write(address, second) == [f"made anew Job {JOB} (DeadlineExceeded)"]
    deployment = builders.deployment(cluster.owner, PREPARED, 1)
    assert cluster.write(address, deployment) == [f"created Deployment {deployment['metadata']['name']}"]
    assert cluster.job(), "its log can be read"
    assert f"deleted Job {JOB}" in cluster.write(address)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("workload", ["job", "deployment"])
def test_its_pods_and_those_that_it_is_made_for_are_restricted(kubectl: Kubectl, workload: str) -> None:
    """The API server itself judges the pods: no rights, no privileges, seccomp."""
    owner = Owner(NAMESPACE, "iris", "0f1e", (), "http://mlflow", "http://store")
    manifests = {
        "job": builders.prepare_job(owner, REVISION, "a2b3c4d5e6-1"),
        "deployment": builders.deployment(owner, PREPARED, 1),
    }
    template = manifests[workload]["spec"]["template"]
    metadata = {**template["metadata"], "name": workload, "namespace": NAMESPACE}
    kubectl.accepts({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})


def _fail(cluster: Cluster) -> None:
    """What the Job controller writes when `activeDeadlineSeconds` are over."""
    about = {"lastProbeTime": NOW, "lastTransitionTime": NOW, "reason": "DeadlineExceeded", "message": "too late"}
    conditions = [{"type": kind, "status": "True", **about} for kind in ("FailureTarget", "Failed")]
    patch = json.dumps({"status": {"startTime": NOW, "conditions": conditions}})
    cluster.kubectl(
        "patch", "job", JOB, f"--namespace={NAMESPACE}", "--subresource=status", "--type=merge", "-p", patch
    )
