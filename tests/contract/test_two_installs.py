"""Two operators for one namespace, as plain manifests can have them: one works, and the other says so.

The first one has the permissions of manifests/install/namespaced, the second those of manifests/install/base.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.audit_log import Requests, read, requests
from dev.processes import free_ports
from dev.rights import difference, grants
from sluice_operator.api import names
from tests.contract.conftest import Kubectl
from tests.contract.test_operator_process import eventually, remove_claims, started

INSTALL = Path(__file__).parents[2] / "manifests" / "install"
FIRST, SECOND = "sluice-operator-models", "sluice-operator"  # service accounts in sluice-system
_READING = "get", "list", "watch"
FIRST_LEASE, SECOND_LEASE = "sluice-leader-models", "sluice-leader"


def as_account(kubectl: Kubectl, account: str) -> dict[str, Any]:
    """The kubeconfig of a service account."""
    config: dict[str, Any] = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": kubectl("create", "token", account, "--namespace=sluice-system").strip()}
    return config


@pytest.fixture(scope="module")
def first(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The log of an operator for the namespace `models`, which has the ModelDeployment iris."""
    kubectl("apply", f"--kustomize={INSTALL}/namespaced")
    kubectl("delete", "clusterrolebinding", "sluice-operator", "--ignore-not-found")  # of another test
    kubectl("delete", "mdep", "--all", "--namespace=models")
    remove_claims(kubectl)
    settings = {"SLUICE_NAMESPACES": "models", "SLUICE_LEASE_NAME": FIRST_LEASE}
    with started(tmp_path_factory.mktemp("first"), as_account(kubectl, FIRST), **settings) as log:
        kubectl("apply", f"--filename={INSTALL.parent}/examples/iris.yaml")
        yield log
    kubectl("delete", "mdep", "--all", "--namespace=models")
    remove_claims(kubectl)


def conditions(kubectl: Kubectl) -> dict[str, Mapping[str, str]]:
    iris = json.loads(kubectl("get", "mdep", "iris", "--namespace=models", "--output=json"))
    return {each["type"]: each for each in iris.get("status", {}).get("conditions", ())}


def asked_by(kubectl: Kubectl, account: str) -> Requests:
    return requests(read(kubectl.kubeconfig.parent / "audit.log")).of(f"sluice-system/{account}".__eq__)


def test_an_operator_for_one_namespace_needs_no_other_one(kubectl: Kubectl, first: Path) -> None:
    """With the Roles of manifests/install/namespaced it does its work, and asks for nothing that they do not give."""

    def reason() -> str:
        return conditions(kubectl).get("RegistryReachable", {}).get("reason", "")

    eventually("its registry counts as unreachable", lambda: reason() == "RegistryUnreachable")
    assert "forbidden" not in first.read_text()
    roles = yaml.safe_load_all((INSTALL / "namespaced" / "rbac.yaml").read_text())
    assert difference(grants(roles), asked_by(kubectl, FIRST)).missing == frozenset()


def test_of_two_operators_one_works_and_both_name_the_other(kubectl: Kubectl, first: Path, tmp_path: Path) -> None:
    """In their logs. The second one says it in its /readyz and in an Event of the object, the first in a condition."""
    kubectl("apply", f"--filename={INSTALL}/base/rbac.yaml")
    before = asked_by(kubectl, SECOND)  # the account has worked in other tests
    [port] = free_ports(1)
    settings = {"SLUICE_LEASE_NAME": SECOND_LEASE, "SLUICE_HEALTH_PORT": str(port)}
    try:
        with started(tmp_path, as_account(kubectl, SECOND), **settings) as second:
            one, two = f"sluice-system/{FIRST_LEASE}", f"sluice-system/{SECOND_LEASE}"
            refused = f"namespace models: this operator does nothing there. The operator with the Lease {one} watches"
            eventually("the second says so", lambda: refused in second.read_text())
            assert (
                f"namespace models: this operator works there. The operator with the Lease {two} " in first.read_text()
            )
            eventually("an Event says so", lambda: f"Lease {two} does nothing here" in events(kubectl))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                assert answer.read().decode() == f"leads\ndoes nothing in models: {one} works there"
            eventually("a condition says so", lambda: "OperatorConflict" in conditions(kubectl))
            conflict = conditions(kubectl)["OperatorConflict"]
            assert (conflict["status"], conflict["reason"], two in conflict["message"]) == (
                "True",
                "OtherOperator",
                True,
            )
    finally:
        kubectl("delete", "clusterrolebinding", "sluice-operator", "--ignore-not-found")
    # In this namespace: other ones may have objects of other tests, which are the second operator's to work on.
    made = [use for use in asked_by(kubectl, SECOND).made - before.made if use.namespace == "models"]
    written = {use.right.resource for use in made if use.right.verb not in _READING}
    assert written <= {"configmaps", "events"}
    assert {use.name for use in made if use.right.resource == "configmaps"} <= {"", names.CLAIM}
    assert asked_by(kubectl, SECOND).refused == before.refused


def events(kubectl: Kubectl) -> str:
    of_iris = "--field-selector=reason=OtherOperator,regarding.name=iris"
    return kubectl("get", "events.events.k8s.io", "--namespace=models", of_iris, "--output=yaml")
