"""The install manifests: they can be applied as they are, and the operator may do what it needs and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

LOCAL = Path(__file__).parents[2] / "manifests" / "install" / "local"
OPERATOR = "system:serviceaccount:sluice-system:sluice-operator"


@pytest.fixture(scope="module")
def installed(api_server: Kubectl) -> Kubectl:
    """kubectl for a server with the operator's objects. Without nodes nothing runs."""
    api_server("apply", f"--kustomize={LOCAL}")
    return api_server


def operator_pod(kubectl: Kubectl) -> dict[str, Any]:
    """The pod template of the operator's Deployment."""
    deployment = json.loads(
        kubectl("get", "deployment", "sluice-operator", "--namespace=sluice-system", "--output=json")
    )
    template: dict[str, Any] = deployment["spec"]["template"]
    return template


def test_the_operator_pod_is_allowed_in_a_restricted_namespace(installed: Kubectl) -> None:
    """The namespace enforces the restricted Pod Security Standard: non-root, no capabilities, seccomp."""
    pod = operator_pod(installed)
    pod |= {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator", "namespace": "sluice-system"}}
    installed("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_overlay_has_the_local_image_and_addresses(installed: Kubectl) -> None:
    """The settings of the pod come from the ConfigMap of the overlay."""
    (container,) = operator_pod(installed)["spec"]["containers"]
    assert container["image"] == "registry.local/sluice-operator:dev"
    (source,) = container["envFrom"]
    settings = installed(
        "get", "configmap", source["configMapRef"]["name"], "--namespace=sluice-system", "--output=jsonpath={.data}"
    )
    assert json.loads(settings) == {
        "SLUICE_SERVER_IMAGE": "registry.local/sluice-server:dev",
        "SLUICE_TRACKING_URI": "http://mlflow.mlflow.svc:5000",
        "SLUICE_PROMETHEUS_URL": "http://prometheus.monitoring.svc:9090",
        "SLUICE_GATEWAY_ADDRESS": "http://traefik.traefik.svc",
        "SLUICE_SCRAPE_INTERVAL": "2s",
        "SLUICE_EVALUATION_INTERVAL": "2s",
        "SLUICE_LOG_LEVEL": "info",
        "SLUICE_PROMETHEUS_CREDENTIALS": "/etc/sluice/prometheus",
        "SLUICE_REGISTRY_CREDENTIALS": "/etc/sluice/registry",
    }


def test_the_secret_for_prometheus_is_mounted_where_the_operator_reads_it(installed: Kubectl) -> None:
    """It may be created later, or never."""
    pod = operator_pod(installed)["spec"]
    mounts = pod["containers"][0]["volumeMounts"]
    (mount,) = [mount for mount in mounts if mount["mountPath"] == "/etc/sluice/prometheus"]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
    assert (volume["secret"]["secretName"], volume["secret"]["optional"]) == ("sluice-prometheus", True)
    assert mount["readOnly"] is True


def test_the_base_has_no_local_addresses(installed: Kubectl) -> None:
    """What differs between clusters is in overlays."""
    base = installed("kustomize", str(LOCAL.parent / "base"))
    assert [manifest["kind"] for manifest in yaml.safe_load_all(base)].count("CustomResourceDefinition") == 1
    assert "registry.local" not in base


@pytest.mark.parametrize(
    ("verbs", "resource"),
    [
        ("get list watch", "modeldeployments.sluice.dev"),
        ("update", "modeldeployments.sluice.dev/status"),
        ("update", "modeldeployments.sluice.dev/finalizers"),
        ("get list watch create patch delete", "deployments.apps"),
        ("patch", "deployments.apps/scale"),
        ("get list watch create patch delete", "services"),
        ("get list watch create patch delete", "ingresses.networking.k8s.io"),
        ("get create", "secrets"),
        ("get list create patch delete", "configmaps"),
        ("list watch", "pods"),
        ("list", "endpointslices.discovery.k8s.io"),
        ("create", "events.events.k8s.io"),
        ("", "leases.coordination.k8s.io"),
    ],
)
def test_the_operator_may_do_exactly_this(installed: Kubectl, verbs: str, resource: str) -> None:
    """The API server's own authorizer is asked about each verb."""
    kind, _, subresource = resource.partition("/")
    all_verbs = ("get", "list", "watch", "create", "patch", "update", "delete", "deletecollection")
    allowed = [verb for verb in all_verbs if may(installed, verb, kind, subresource)]
    assert sorted(allowed) == sorted(verbs.split())


@pytest.mark.parametrize(
    "resource", ["nodes", "namespaces", "persistentvolumes", "clusterroles.rbac.authorization.k8s.io"]
)
def test_the_operator_may_not_use_other_resources(installed: Kubectl, resource: str) -> None:
    """Neither read nor write them."""
    assert not any(may(installed, verb, resource) for verb in ("get", "list", "create", "patch"))


def test_the_operator_may_hold_its_lease_and_no_other_one(installed: Kubectl) -> None:
    """In its own namespace."""
    held = {"resource": "leases.coordination.k8s.io", "namespace": "sluice-system"}
    allowed = [verb for verb in ("get", "update", "create") if may(installed, verb, name="sluice-leader", **held)]
    assert allowed == ["get", "update", "create"]
    assert not any(may(installed, verb, name="another", **held) for verb in ("get", "update", "delete"))


def test_one_operator_works_and_one_stands_by(installed: Kubectl) -> None:
    """The new pod of an upgrade is ready, as it stands by, before the old one goes."""
    deployment = json.loads(
        installed("get", "deployment", "sluice-operator", "--namespace=sluice-system", "--output=json")
    )["spec"]
    assert (deployment["replicas"], deployment["strategy"]["rollingUpdate"]["maxUnavailable"]) == (2, 0)
    (container,) = deployment["template"]["spec"]["containers"]
    probes = (container["livenessProbe"], container["readinessProbe"])
    assert [probe["httpGet"]["path"] for probe in probes] == ["/healthz", "/readyz"]


def may(
    kubectl: Kubectl, verb: str, resource: str, subresource: str = "", *, name: str = "", namespace: str = "models"
) -> bool:
    """Whether the server allows this to the operator, in a namespace of users if no other is named."""
    kind, _, group = resource.partition(".")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": kind, "subresource": subresource}
    attributes |= {"name": name} if name else {}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": OPERATOR, "resourceAttributes": attributes},
    }
    answer = json.loads(kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(review)))
    return bool(answer["status"]["allowed"])
