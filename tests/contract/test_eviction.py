"""What the budget of a revision lets happen when nodes are emptied, by Kubernetes' own controllers.

There are no nodes: pods are made by the ReplicaSet controller and become ready by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from dev.processes import running
from dev.programs import find_program
from sluice_operator.api.owner import Owner
from sluice_operator.api.revision import Model, Revision
from sluice_operator.api.spec import Trust
from sluice_operator.manifests import builders
from tests.contract.conftest import wait_for

if TYPE_CHECKING:
    import subprocess

    from tests.contract.conftest import Kubectl

NAMESPACE = "eviction"
OWNER = Owner(NAMESPACE, "iris", "uid")
REVISION = Revision("a2b3c4d5e6", Model("models:/iris/3", "iris", "3"), "registry.example/server:1", Trust.DATA)
NAME = f"iris-{REVISION.revision}"


@pytest.fixture(scope="module")
def controllers(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Those that make pods and that count them for budgets."""
    command = [
        find_program("kube-controller-manager"),
        f"--kubeconfig={kubectl.kubeconfig}",
        "--controllers=deployment-controller,replicaset-controller,disruption-controller",
        "--leader-elect=false",
        "--secure-port=0",
    ]
    with running(command, tmp_path_factory.mktemp("controllers") / "log"):
        yield


def pods(kubectl: Kubectl) -> list[str]:
    """The names of those that nobody deletes."""
    listed = json.loads(kubectl("get", "pods", f"--namespace={NAMESPACE}", "--output=json"))["items"]
    return sorted(pod["metadata"]["name"] for pod in listed if "deletionTimestamp" not in pod["metadata"])


def until_there(kubectl: Kubectl, count: int) -> list[str]:
    """The names of the pods, as soon as there are so many."""

    def attempt() -> subprocess.CompletedProcess[str]:
        done = kubectl.run("get", "pods", f"--namespace={NAMESPACE}", "--output=name")
        done.returncode = 0 if len(pods(kubectl)) == count else 1
        return done

    wait_for(attempt, f"{count} pods")
    return pods(kubectl)


def is_ready(kubectl: Kubectl, pod: str, ready: str) -> None:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    patch = json.dumps({"status": status})
    kubectl("patch", "pod", pod, f"--namespace={NAMESPACE}", "--subresource=status", f"--patch={patch}")


def until_allowed(kubectl: Kubectl, disruptions: int) -> None:
    wanted = f"--for=jsonpath={{.status.disruptionsAllowed}}={disruptions}"
    kubectl("wait", "pdb", NAME, wanted, f"--namespace={NAMESPACE}", "--timeout=60s")


def evict(kubectl: Kubectl, pod: str) -> subprocess.CompletedProcess[str]:
    """As `kubectl drain` asks for it."""
    metadata = {"name": pod, "namespace": NAMESPACE}
    eviction: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    return kubectl.run("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))


@pytest.mark.usefixtures("controllers")
def test_one_ready_pod_at_a_time_is_evicted_and_no_node_is_blocked(kubectl: Kubectl) -> None:
    """The second one waits until the first has a successor; pods that are not ready never wait."""
    kubectl("create", "namespace", NAMESPACE)
    kubectl("create", "serviceaccount", "default", f"--namespace={NAMESPACE}")
    for manifest in (builders.deployment(OWNER, REVISION, 2), builders.disruption_budget(OWNER, REVISION.revision)):
        manifest["metadata"].pop("ownerReferences")
        kubectl("create", "--filename=-", stdin=json.dumps(manifest))
    first, second = until_there(kubectl, 2)
    for pod in (first, second):
        is_ready(kubectl, pod, "True")
    until_allowed(kubectl, 1)

    assert evict(kubectl, first).returncode == 0
    refused = evict(kubectl, second)
    assert (refused.returncode, "would violate the pod's disruption budget" in refused.stderr) == (1, True)
    [successor] = {*until_there(kubectl, 2)} - {second}
    is_ready(kubectl, successor, "True")
    until_allowed(kubectl, 1)

    for pod in (second, successor):
        is_ready(kubectl, pod, "False")
    until_allowed(kubectl, 0)
    assert [evict(kubectl, pod).returncode for pod in (second, successor)] == [0, 0]
