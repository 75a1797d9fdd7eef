"""Two operators that share a real API server by a label of its namespaces, each with a Lease of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.contract.conftest import Kubectl
from tests.contract.test_operator_process import eventually, remove_claims, started

INSTALL = Path(__file__).parents[2] / "manifests" / "install"
LABEL = "sluice.dev/shard"


class Shards(NamedTuple):
    """The logs of both operators."""

    a: Path
    b: Path


@pytest.fixture(scope="module")
def shards(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shards]:
    """Operator a has the permissions of manifests/install/sharded, and b is an administrator."""
    kubectl("apply", f"--kustomize={INSTALL}/sharded")
    kubectl("create", "namespace", "others")
    kubectl("delete", "mdep", "--all", "--namespace=models")  # of another test
    remove_claims(kubectl)
    kubectl("label", "namespace", "models", f"{LABEL}=a")
    kubectl("label", "namespace", "others", f"{LABEL}=b")
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    token = kubectl("create", "token", "sluice-operator-a", "--namespace=sluice-system").strip()
    as_operator = {**config, "users": [{**config["users"][0], "user": {"token": token}}]}
    folders = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    with (
        started(folders[0], as_operator, **settings("a")) as a,
        started(folders[1], config, **settings("b")) as b,
    ):
        yield Shards(a, b)
    for namespace in ("models", "others"):
        kubectl("delete", "mdep", "--all", f"--namespace={namespace}")


def settings(shard: str) -> dict[str, str]:
    names = {"SLUICE_LEASE_NAMESPACE": "sluice-system", "SLUICE_LEASE_NAME": f"sluice-leader-{shard}"}
    return {**names, "SLUICE_NAMESPACE_SELECTOR": f"{LABEL}={shard}"}


def create(kubectl: Kubectl, manifest: dict[str, Any], namespace: str, name: str) -> None:
    """A ModelDeployment with a host of its own."""
    traffic = manifest["spec"]["traffic"]
    route = {**traffic, "ingress": {**traffic["ingress"], "host": f"{name}.{namespace}.example"}}
    changed = {**manifest, "metadata": {"namespace": namespace, "name": name}}
    changed["spec"] = {**manifest["spec"], "traffic": route}
    kubectl("apply", "--filename=-", stdin=json.dumps(changed))


def is_seen(kubectl: Kubectl, namespace: str, name: str) -> bool:
    """Whether an operator has written the status of a ModelDeployment."""
    found = json.loads(kubectl("get", "mdep", name, f"--namespace={namespace}", "--output=json"))
    return bool(found.get("status", {}).get("conditions"))


def namespaces(log: Path) -> set[str]:
    """The namespaces whose objects an operator's log is about."""
    return {line["namespace"] for line in map(json.loads, log.read_text().splitlines()) if "namespace" in line}


def test_each_operator_works_in_its_own_namespaces(shards: Shards, kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """And is refused nothing that it needs."""
    for namespace in ("models", "others"):
        create(kubectl, iris, namespace, "iris")
    eventually("both are seen", lambda: is_seen(kubectl, "models", "iris") and is_seen(kubectl, "others", "iris"))
    assert (namespaces(shards.a), namespaces(shards.b)) == ({"models"}, {"others"})
    assert "forbidden" not in shards.a.read_text()


def test_a_namespace_whose_label_moves_is_handed_over(shards: Shards, kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """Also an object that came meanwhile, which neither of them had been told of as its own."""
    before = shards.b.read_text().count('"namespace": "others"')
    kubectl("label", "namespace", "others", f"{LABEL}=a", "--overwrite")
    eventually("b leaves", lambda: "namespace others: this operator leaves" in shards.b.read_text())
    create(kubectl, iris, "others", "rose")
    eventually("rose is seen", lambda: is_seen(kubectl, "others", "rose"))
    assert namespaces(shards.a) == {"models", "others"}
    assert shards.b.read_text().count('"namespace": "others"') == before


def test_an_operator_may_hold_the_lease_of_its_own_shard_only(shards: Shards, kubectl: Kubectl) -> None:
    """And list namespaces, but neither read nor change one."""
    operator = "--as=system:serviceaccount:sluice-system:sluice-operator-a"

    def may(verb: str, what: str) -> bool:
        return kubectl.run("auth", "can-i", verb, what, operator, "--namespace=sluice-system").returncode == 0

    leases = [may("update", f"leases.coordination.k8s.io/sluice-leader-{shard}") for shard in "ab"]
    assert leases == [True, False]
    assert [verb for verb in ("get", "list", "watch", "update", "patch") if may(verb, "namespaces")] == ["list"]
