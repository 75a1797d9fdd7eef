"""The install manifests: they can be applied as they are, and the operator may do what it needs and no more."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.contract.chart_values import SMALLEST

if TYPE_CHECKING:
    from dev.helm import Helm
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
        "SLUICE_SERVER_PYFUNC_IMAGE": "registry.local/sluice-server-pyfunc:dev",
        "SLUICE_TRACKING_URI": "http://mlflow.mlflow.svc:5000",
        "SLUICE_PROMETHEUS_URL": "http://prometheus.monitoring.svc:9090",
        "SLUICE_GATEWAY_ADDRESS": "http://traefik.traefik.svc",
        "SLUICE_SCRAPE_INTERVAL": "2s",
        "SLUICE_EVALUATION_INTERVAL": "2s",
        "SLUICE_LEASE_NAME": "sluice-leader",
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
        ("get list watch create delete", "jobs.batch"),
        ("get list watch create patch delete", "services"),
        ("get list watch create patch delete", "ingresses.networking.k8s.io"),
        ("get create", "secrets"),
        ("get list create patch delete", "configmaps"),
        ("list watch", "pods"),
        ("list", "endpointslices.discovery.k8s.io"),
        ("get list watch create patch delete", "poddisruptionbudgets.policy"),
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


OVERLAYS = ("base", "local", "namespaced", "sharded")
LABEL = "app.kubernetes.io/name"


def rendered(kubectl: Kubectl, folder: Path) -> list[dict[str, Any]]:
    """The manifests of an overlay."""
    return list(yaml.safe_load_all(kubectl("kustomize", str(folder))))


def own_overlay(tmp_path: Path, base: str) -> Path:
    """A copy of the local one with another resource, as docs/install.md asks for."""
    text = (LOCAL / "kustomization.yaml").read_text(encoding="utf-8")
    (tmp_path / "kustomization.yaml").write_text(
        text.replace("../base", os.path.relpath(LOCAL.parent / base, tmp_path.resolve())), encoding="utf-8"
    )
    return tmp_path


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_but_the_crd_and_the_namespace_have_the_label_of_the_operator(api_server: Kubectl, overlay: str) -> None:
    """So an operator can be deleted by its label, and no ModelDeployment goes with it."""
    manifests = rendered(api_server, LOCAL.parent / overlay)
    labels = [(manifest["kind"], (manifest["metadata"].get("labels") or {}).get(LABEL)) for manifest in manifests]
    assert {kind for kind, name in labels if name is None} == {"Namespace", "CustomResourceDefinition"}
    assert {name for _, name in labels if name is not None} == {"sluice-operator"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_operator_may_hold_the_lease_that_it_asks_for(api_server: Kubectl, overlay: str) -> None:
    """Its Role names the Lease of its settings, and its binding its own account."""
    manifests = rendered(api_server, LOCAL.parent / overlay)
    (settings,) = [manifest["data"] for manifest in manifests if manifest["kind"] == "ConfigMap"]
    (account,) = [manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "ServiceAccount"]
    rules = [rule for manifest in manifests if manifest["kind"] == "Role" for rule in manifest["rules"]]
    named = [rule["resourceNames"] for rule in rules if "resourceNames" in rule]
    assert named == [[settings["SLUICE_LEASE_NAME"]]]
    bindings = [manifest for manifest in manifests if manifest["kind"].endswith("RoleBinding")]
    assert {subject["name"] for binding in bindings for subject in binding["subjects"]} == {account}


@pytest.mark.parametrize("base", ["base", "namespaced", "sharded"])
def test_an_own_overlay_has_its_values_and_those_of_what_it_is_made_from(
    api_server: Kubectl, tmp_path: Path, base: str
) -> None:
    """The image and the addresses of the overlay, and the namespaces and the Lease below it."""
    manifests = rendered(api_server, own_overlay(tmp_path, base))
    (settings,) = [manifest["data"] for manifest in manifests if manifest["kind"] == "ConfigMap"]
    (deployment,) = [manifest["spec"] for manifest in manifests if manifest["kind"] == "Deployment"]
    assert deployment["template"]["spec"]["containers"][0]["image"] == "registry.local/sluice-operator:dev"
    assert settings["SLUICE_PROMETHEUS_URL"] == "http://prometheus.monitoring.svc:9090"
    below = {"namespaced": "SLUICE_NAMESPACES", "sharded": "SLUICE_NAMESPACE_SELECTOR"}
    assert [name for name in below.values() if name in settings] == ([below[base]] if base in below else [])


@pytest.mark.parametrize("base", ["base", "namespaced"])
def test_the_store_is_a_part_of_an_overlay(installed: Kubectl, tmp_path: Path, base: str) -> None:
    """The operator has its address and the same key, and the API server takes its objects as they are."""
    overlay = own_overlay(tmp_path, base)
    with (overlay / "kustomization.yaml").open("a", encoding="utf-8") as file:
        file.write(f"components:\n- {os.path.relpath(LOCAL.parent / 'store', tmp_path.resolve())}\n")
    manifests = rendered(installed, overlay)
    deployments = {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]
        for manifest in manifests
        if manifest["kind"] == "Deployment"
    }
    pod = deployments.pop("sluice-store")
    [operator] = deployments.values()
    env = {entry["name"]: entry for entry in operator["containers"][0]["env"]}
    service = next(
        each for each in manifests if (each["kind"], each["metadata"]["name"]) == ("Service", "sluice-store")
    )
    host = f"sluice-store.{service['metadata']['namespace']}.svc"
    assert env["SLUICE_STORE_URL"]["value"] == f"http://{host}:{service['spec']['ports'][0]['port']}"
    key = env["SLUICE_STORE_KEY"]["valueFrom"]["secretKeyRef"]
    mounted = next(volume["secret"]["secretName"] for volume in pod["volumes"] if volume["name"] == "key")
    assert (key["name"], key["key"]) == (mounted, "key")
    own = [manifest for manifest in manifests if manifest["metadata"]["name"] == "sluice-store"]
    assert {manifest["kind"] for manifest in own} == {"Deployment", "PersistentVolumeClaim", "Service"}
    installed("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump_all(own))
    pod |= {"serviceAccountName": "sluice-operator"}  # one that is there
    metadata = {"name": "store", "namespace": "sluice-system"}
    restricted = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}
    installed("create", "--dry-run=server", "--filename=-", stdin=json.dumps(restricted))


@pytest.mark.parametrize(
    ("component", "kinds"),
    [
        ("store", {"Deployment": 2, "PersistentVolumeClaim": 1, "Service": 1}),
        ("service-monitors", {"PodMonitor": 1, "ServiceMonitor": 2}),
        ("prometheus-rules", {"PrometheusRule": 2}),
        ("network-policies", {"NetworkPolicy": 2}),
        ("web", {"Deployment": 2, "NetworkPolicy": 1, "Service": 1, "ServiceAccount": 2}),
    ],
)
def test_a_component_adds_its_objects(
    api_server: Kubectl, tmp_path: Path, component: str, kinds: dict[str, int]
) -> None:
    """To those of the operator, in the same namespace, for the pods that have its labels."""
    overlay = own_overlay(tmp_path, "base")
    with (overlay / "kustomization.yaml").open("a", encoding="utf-8") as file:
        file.write(f"components:\n- {os.path.relpath(LOCAL.parent / component, tmp_path.resolve())}\n")
    manifests = rendered(api_server, overlay)
    assert {kind: sum(each["kind"] == kind for each in manifests) for kind in kinds} == kinds
    assert {each["metadata"]["namespace"] for each in manifests if each["kind"] in kinds} == {"sluice-system"}


def test_two_operators_share_nothing_but_crd_and_namespace(api_server: Kubectl) -> None:
    """So one can be installed next to another, and be deleted without it."""
    names = [
        {(manifest["kind"], manifest["metadata"]["name"]) for manifest in rendered(api_server, LOCAL.parent / overlay)}
        for overlay in ("local", "namespaced", "sharded")
    ]
    shared = {("Namespace", "sluice-system"), ("CustomResourceDefinition", "modeldeployments.sluice.dev")}
    assert names[0] & names[1] == names[0] & names[2] == names[1] & names[2] == shared


FOLDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "base": ("sluice", {}),
    "namespaced": ("sluice-models", {"watch": {"namespaces": ["models"]}}),
    "sharded": ("sluice-a", {"watch": {"namespaceLabels": {"sluice.dev/shard": "a"}}}),
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_has_the_objects_of_the_chart(api_server: Kubectl, helm: Helm, folder: str) -> None:
    """All that it renders, under the same names; kustomize adds a hash to the one of the ConfigMap."""
    release, values = FOLDERS[folder]
    shared = {"Namespace", "CustomResourceDefinition"}
    built = {
        (each["kind"], re.sub(r"-[a-z0-9]{10}$", "", each["metadata"]["name"]), each["metadata"].get("namespace"))
        for each in rendered(api_server, LOCAL.parent / folder)
        if each["kind"] not in shared
    }
    chart = helm.template({**SMALLEST, **values}, "--no-hooks", release=release)
    assert built == {(each["kind"], each["metadata"]["name"], each["metadata"].get("namespace")) for each in chart}


def test_the_operator_is_deleted_by_its_label_and_the_crd_stays(installed: Kubectl) -> None:
    """Whoever takes one operator away keeps the models."""
    deleted = installed("delete", f"--kustomize={LOCAL}", f"-l={LABEL}=sluice-operator", "--dry-run=server", "-o=name")
    kinds = {line.split("/")[0] for line in deleted.splitlines()}
    assert {"deployment.apps", "configmap", "clusterrole.rbac.authorization.k8s.io"} <= kinds
    assert not {"namespace", "customresourcedefinition.apiextensions.k8s.io"} & kinds


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
