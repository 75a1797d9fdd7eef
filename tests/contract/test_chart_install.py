"""The chart on a real API server, without nodes: installed, upgraded, refused, uninstalled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.api_server import ROOT
from dev.helm import CHART, Helm, HelmError
from tests.contract.chart_values import SMALLEST
from tests.contract.conftest import Kubectl, api_server_in

IN = "--namespace=sluice-system"
CRD = "modeldeployments.sluice.dev"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """An API server of its own, with namespaces: an install looks at what the whole cluster has."""
    with api_server_in(tmp_path_factory.mktemp("chart-server")) as admin:
        for namespace, shard in (("sluice-system", ""), ("models", "a"), ("others", "b")):
            admin("create", "namespace", namespace)
            admin("label", "namespace", namespace, f"shard={shard}")
        yield admin


@pytest.fixture
def installer(cluster: Kubectl, helm: Helm) -> Iterator[Helm]:
    """Helm as the administrator. Nothing is installed before and after a test."""
    yield Helm(helm.program, cluster.kubeconfig)
    remove(cluster, helm)


def remove(cluster: Kubectl, helm: Helm) -> None:
    helm = Helm(helm.program, cluster.kubeconfig)
    for release in json.loads(helm("list", "--all-namespaces", "--output=json")):
        helm("uninstall", release["name"], f"--namespace={release['namespace']}", "--no-hooks")


def install(helm: Helm, values: dict[str, Any], *arguments: str, release: str = "sluice", place: str = IN) -> str:
    """What Helm prints. There are no nodes, so no hook would ever end."""
    return helm("install", release, place, "--no-hooks", *arguments, values={**SMALLEST, **values})


def refusal(helm: Helm, values: dict[str, Any], release: str = "second") -> str:
    with pytest.raises(HelmError) as error:
        install(helm, values, release=release)
    return str(error.value)


def is_there(cluster: Kubectl, *what: str) -> bool:
    return cluster.run("get", *what).returncode == 0


def test_an_install_says_what_to_do_next(installer: Helm) -> None:
    """In the order in which it is to be done, with the names of this install."""
    said = install(installer, {"store": {"enabled": True}, "watch": {"namespaces": ["models"]}})
    assert "It works in the namespace models." in said
    steps = [
        "kubectl create secret generic sluice-store-key",
        "helm test sluice -n sluice-system",
        "docs/prometheus.md",
    ]
    steps += ["kubectl apply -f -", "namespace: models"]
    assert sorted(steps, key=said.index) == steps


def test_models_outlive_upgrade_rollback_and_uninstall(installer: Helm, cluster: Kubectl, iris: dict[str, Any]) -> None:
    """With the CRD, and with the volume of the store."""
    install(installer, {"store": {"enabled": True}})
    cluster.eventually("get", "modeldeployments", "--namespace=models")
    cluster("apply", "--filename=-", stdin=json.dumps(iris))
    installer(
        "upgrade",
        "sluice",
        IN,
        "--no-hooks",
        values={**SMALLEST, "operator": {"replicas": 3}, "store": {"enabled": True}},
    )
    deployment = json.loads(cluster("get", "deployment", "sluice-operator", IN, "--output=json"))
    assert deployment["spec"]["replicas"] == 3
    installer("rollback", "sluice", "1", IN, "--no-hooks")
    deployment = json.loads(cluster("get", "deployment", "sluice-operator", IN, "--output=json"))
    assert deployment["spec"]["replicas"] == 2
    installer("uninstall", "sluice", IN, "--no-hooks")
    assert not is_there(cluster, "deployment", "sluice-operator", IN)
    assert is_there(cluster, "modeldeployment", "iris", "--namespace=models")
    assert is_there(cluster, "persistentvolumeclaim", "sluice-store", IN)
    cluster("delete", "persistentvolumeclaim", "sluice-store", IN, "--wait=false")
    cluster("delete", "modeldeployment", "iris", "--namespace=models")


ALL: dict[str, Any] = {}
MODELS = {"namespaces": ["models"]}
OTHERS = {"namespaces": ["others"]}
SHARD_A = {"namespaceLabels": {"shard": "a"}}
SHARD_B = {"namespaceLabels": {"shard": "b"}}


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (ALL, ALL, "all namespaces have an operator already"),
        (ALL, MODELS, "namespace models has an operator already"),
        (ALL, SHARD_A, "all namespaces have an operator already"),
        (MODELS, ALL, "namespace models has an operator already"),
        (MODELS, {"namespaces": ["others", "models"]}, "namespace models has an operator already"),
        (MODELS, SHARD_A, "namespace models has an operator already"),
        (SHARD_A, ALL, "the namespaces with shard=a have an operator already"),
        (SHARD_A, SHARD_A, "the namespaces with shard=a have an operator already"),
        (SHARD_A, MODELS, "namespace models has an operator already"),
        (
            SHARD_A,
            {"namespaceLabels": {"kubernetes.io/metadata.name": "models"}},
            "namespace models has an operator already",
        ),
    ],
)
def test_two_installs_that_watch_one_namespace_are_refused(
    installer: Helm, first: dict[str, Any], second: dict[str, Any], shared: str
) -> None:
    """The namespace, and the release that has it, are named."""
    install(installer, {"watch": first}, release="first")
    said = refusal(installer, {"watch": second})
    assert shared in said
    assert "the Helm release first in the namespace sluice-system" in said


@pytest.mark.parametrize(("first", "second"), [(MODELS, OTHERS), (SHARD_A, SHARD_B), (SHARD_A, OTHERS)])
def test_two_installs_side_by_side_are_upgraded_by_themselves(
    installer: Helm, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """An install is not in the way of its own upgrade."""
    for release, watch in (("first", first), ("second", second)):
        install(installer, {"watch": watch}, release=release)
    installer("upgrade", "first", IN, "--no-hooks", values={**SMALLEST, "watch": first})


@pytest.mark.parametrize("annotation", ["", "sluice.dev/watches-"])
def test_an_operator_that_kubectl_installed_is_seen_too(installer: Helm, cluster: Kubectl, annotation: str) -> None:
    """The plain manifests say what they watch, as the chart does; those of 0.1.0 say nothing, and watch everything."""
    rights = f"--filename={ROOT}/manifests/install/base/rbac.yaml"
    cluster("apply", rights)
    if annotation:
        cluster("annotate", "clusterrole", "sluice-operator", annotation)
    try:
        said = refusal(installer, {"watch": MODELS})
    finally:
        cluster("delete", rights)
    assert "one that kubectl installed (ClusterRole sluice-operator)" in said


def test_helm_goes_on_with_what_kubectl_installed(installer: Helm, cluster: Kubectl) -> None:
    """The names and the selector of the Deployment are the same. docs/install.md has the command."""
    cluster("apply", "--server-side", f"--kustomize={ROOT}/manifests/install/local")
    before = json.loads(cluster("get", "deployment", "sluice-operator", IN, "--output=json"))
    alone = {"checks": {"otherInstalls": False}}
    install(installer, alone, "--take-ownership", "--force-conflicts")
    after = json.loads(cluster("get", "deployment", "sluice-operator", IN, "--output=json"))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    [container] = after["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("registry.example/team/sluice-operator:")
    assert container["envFrom"] == [{"configMapRef": {"name": "sluice-operator"}}]
    cluster("delete", "configmap", IN, "--selector=app.kubernetes.io/name=sluice-operator")


def test_who_has_no_rights_in_the_cluster_can_install_for_a_namespace(
    installer: Helm, cluster: Kubectl, tmp_path: Path
) -> None:
    """Where an administrator has applied the CRD: only their own namespace is asked about, and written to."""
    cluster("apply", "--server-side", "--force-conflicts", f"--filename={CHART}/crds")
    cluster("create", "serviceaccount", "owner", "--namespace=models")
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    metadata = {"name": "owner", "namespace": "models"}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}
    cluster("apply", "--filename=-", stdin=json.dumps(role))
    cluster("create", "rolebinding", "owner", "--namespace=models", "--role=owner", "--serviceaccount=models:owner")
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": cluster("create", "token", "owner", "--namespace=models").strip()}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    owner = Helm(installer.program, tmp_path / "kubeconfig")
    alone = {"watch": MODELS, "crds": {"upgrade": False}, "checks": {"otherInstalls": False}}
    place = "--namespace=models"
    install(owner, alone, "--skip-crds", place=place)
    owner("uninstall", "sluice", place)
    with pytest.raises(HelmError, match=r"clusterroles\.rbac\.authorization\.k8s\.io is forbidden"):
        install(owner, {**alone, "checks": {"otherInstalls": True}}, "--skip-crds", place=place)


@pytest.fixture
def live(cluster: Kubectl) -> Iterator[None]:
    """The namespace has what each namespace of a cluster with controllers has."""
    cluster("create", "configmap", "kube-root-ca.crt", IN)
    yield
    cluster("delete", "configmap", "kube-root-ca.crt", IN)


@pytest.mark.usefixtures("live")
def test_what_the_pods_would_wait_for_is_asked_for_before(installer: Helm, cluster: Kubectl) -> None:
    """The key of the store, and namespaces: with the command that makes them."""
    values = {"store": {"enabled": True}, "watch": {"namespaces": ["models", "nowhere"]}}
    said = refusal(installer, values)
    assert "kubectl create secret generic sluice-store-key -n sluice-system" in said
    assert "kubectl create namespace nowhere" in said
    cluster("create", "secret", "generic", "sluice-store-key", IN, "--from-literal=key=0123456789abcdef")
    install(installer, {"store": {"enabled": True}})
    cluster("delete", "secret", "sluice-store-key", IN)
    cluster("delete", "persistentvolumeclaim", "--all", IN, "--wait=false")


def test_monitors_need_the_prometheus_operator(installer: Helm) -> None:
    """An API server that does not know them would refuse the install half-way."""
    said = refusal(installer, {"monitoring": {"kind": "ServiceMonitor"}})
    assert "this cluster knows no PodMonitor: install the Prometheus Operator first" in said
