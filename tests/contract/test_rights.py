"""Rights and requests are compared by the audit log of a real API server, with the policy of the local cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from dev.audit_log import Requests, Right, Use, read, requests
from dev.helm import Helm
from dev.rights import Grant, difference, grants, of_chart, of_manifests
from tests.contract.conftest import Kubectl, eventually

PLACE, ACCOUNT = "audited", "audited/robot"
GET_SECRETS = Right("", "secrets", "get")
RULES: list[dict[str, list[str]]] = [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["named", "another"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["patch", "create", "watch"]},
]
ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"namespace": PLACE, "name": "robot"},
    "rules": RULES,
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"namespace": PLACE, "name": "robot"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "robot"},
    "subjects": [{"kind": "ServiceAccount", "namespace": PLACE, "name": "robot"}],
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "one"},
    "spec": {"ports": [{"port": 80}], "selector": {"app": "one"}},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "one-"},
    "spec": {"serviceAccountName": "robot", "containers": [{"name": "one", "image": "registry.example/one:1"}]},
}


@pytest.fixture(scope="module")
def robot(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """kubectl as the account that ROLE gives its rights to."""
    kubectl("create", "namespace", PLACE)
    kubectl("create", "serviceaccount", "robot", f"--namespace={PLACE}")
    for manifest in (ROLE, BINDING):
        kubectl("apply", "--filename=-", stdin=json.dumps(manifest))
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": kubectl("create", "token", "robot", f"--namespace={PLACE}").strip()}
    kubeconfig = tmp_path_factory.mktemp("robot") / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    yield replace(kubectl, kubeconfig=kubeconfig)
    kubectl("delete", "namespace", PLACE, "--wait=false")


def logged(kubectl: Kubectl) -> Requests:
    return requests(read(kubectl.kubeconfig.parent / "audit.log")).of(ACCOUNT.__eq__)


def asks(kubectl: Kubectl, robot: Kubectl, *arguments: str, manifest: dict[str, Any] | None = None) -> str:
    """What kubectl prints for the account, also when it is refused. Returns when the log has it."""
    before = logged(kubectl).made.total()
    done = robot.run(*arguments, f"--namespace={PLACE}", stdin=json.dumps(manifest) if manifest else None)
    eventually(lambda: logged(kubectl).made.total() > before, f"{arguments} is in the audit log")
    return done.stdout + done.stderr


def use(group: str, resource: str, verb: str, name: str = "", namespace: str = PLACE) -> Use:
    return Use(ACCOUNT, Right(group, resource, verb), namespace, name)


def given() -> frozenset[Grant]:
    return grants([ROLE, BINDING])


def test_what_is_asked_without_a_right_is_missing(kubectl: Kubectl, robot: Kubectl) -> None:
    """A resource without a right, another namespace than that of the Role, another name, and a subresource."""
    asks(kubectl, robot, "get", "deployments.apps", "one")
    robot.run("get", "secret", "one", "--namespace=default")
    asks(kubectl, robot, "get", "configmap", "other")
    asks(kubectl, robot, "get", "--raw", f"/api/v1/namespaces/{PLACE}/pods/one/log")
    expected = {
        use("apps", "deployments", "get", "one"),
        use("", "secrets", "get", "one", "default"),
        use("", "configmaps", "get", "other"),
        use("", "pods/log", "get", "one"),
    }
    assert expected <= difference(given(), logged(kubectl)).missing


def test_what_another_role_allows_is_missing_too(kubectl: Kubectl, robot: Kubectl) -> None:
    """In somebody else's cluster that role is not there."""
    whose = "--clusterrole=somebody-else", f"--serviceaccount={PLACE}:robot"
    kubectl("create", "clusterrole", "somebody-else", "--verb=get", "--resource=endpoints")
    kubectl("create", "clusterrolebinding", "somebody-else", *whose)
    try:
        eventually(lambda: "NotFound" in asks(kubectl, robot, "get", "endpoints", "one"), "the role is obeyed")
    finally:
        kubectl("delete", "clusterrolebinding,clusterrole", "somebody-else")
    assert use("", "endpoints", "get", "one") in difference(given(), logged(kubectl)).missing


def test_what_everybody_may_ask_needs_no_right(kubectl: Kubectl, robot: Kubectl) -> None:
    """What is there, and what one may do oneself."""
    robot("get", "--raw=/version")
    assert robot.run("auth", "can-i", "get", "secrets", f"--namespace={PLACE}").returncode == 0
    asks(kubectl, robot, "get", "secret", "later")
    resources = {use.right.resource for use in logged(kubectl).made}
    assert "secrets" in resources
    assert not {resource for resource in resources if resource.startswith("selfsubject")}


def test_a_server_side_apply_needs_the_right_to_create(kubectl: Kubectl, robot: Kubectl) -> None:
    """Also where it is refused, though the log has only a patch, which was allowed."""
    applied = asks(kubectl, robot, "apply", "--server-side", "--filename=-", manifest=SERVICE)
    assert "serverside-applied" in applied
    created = use("", "services", "create", "one")
    assert (logged(kubectl).made[created], logged(kubectl).refused[created]) == (1, 0)
    less = [{**rule, "verbs": ["patch"]} if "services" in rule["resources"] else rule for rule in RULES]
    kubectl("apply", "--filename=-", stdin=json.dumps({**ROLE, "rules": less}))
    second = {**SERVICE, "metadata": {"name": "two"}}

    def is_refused() -> bool:
        return "forbidden" in asks(kubectl, robot, "apply", "--server-side", "--filename=-", manifest=second)

    try:
        eventually(is_refused, "the smaller role is obeyed")
    finally:
        kubectl("apply", "--filename=-", stdin=json.dumps(ROLE))
    assert use("", "services", "create", "two") in difference(given(), logged(kubectl)).missing


def test_an_object_that_admission_refuses_is_no_want_of_a_right(kubectl: Kubectl, robot: Kubectl) -> None:
    """Such as a pod that Pod Security does not let in. That has status 403 as well."""
    kubectl("label", "namespace", PLACE, "pod-security.kubernetes.io/enforce=restricted")

    def is_refused() -> bool:
        return "violates PodSecurity" in asks(kubectl, robot, "create", "--filename=-", manifest=POD)

    eventually(is_refused, "Pod Security is enforced")
    assert not [each for each in logged(kubectl).refused if each.right == Right("", "pods", "create")]


def test_what_nobody_asks_for_is_unused(kubectl: Kubectl, robot: Kubectl) -> None:
    """By verb, by resource and by name; and a right that was used for something else in another namespace."""
    asks(kubectl, robot, "get", "secret", "one")
    unused = difference(given(), logged(kubectl)).unused
    assert Grant(ACCOUNT, Right("", "secrets", "list"), PLACE) in unused
    assert Grant(ACCOUNT, GET_SECRETS, PLACE) not in unused
    elsewhere = Grant(ACCOUNT, GET_SECRETS, "models")
    assert difference([elsewhere], logged(kubectl)).unused == {elsewhere}


def test_the_roles_of_the_manifests_are_those_of_the_chart(helm: Helm) -> None:
    """So what is true of one is true of the other. The chart has those of its Job and of `helm test` in addition."""
    more = of_chart(helm) - of_manifests()
    assert of_manifests() <= of_chart(helm)
    assert {grant.account for grant in more} == {"sluice-system/sluice-crds", "sluice-system/sluice-test"}
