"""Rights that are granted, and those that an audit log shows to be needed."""

import json
from typing import Any

from dev.rights import RBAC, Right, granted, requests, table

GET_SECRET = Right("", "secrets", "get")
SCALE = Right("apps", "deployments/scale", "patch")


def entry(verb: str, code: int = 200, stage: str = "ResponseComplete", **reference: str) -> str:
    made: dict[str, Any] = {"verb": verb, "stage": stage, "responseStatus": {"code": code}}
    return json.dumps(made | ({"objectRef": reference} if reference else {})) + "\n"


def test_the_rights_of_the_operator_name_group_resource_and_verb() -> None:
    """Roles and ClusterRoles are read, subresources too; other manifests grant nothing."""
    rights = granted(RBAC.read_text(encoding="utf-8"))
    assert {SCALE, GET_SECRET, Right("coordination.k8s.io", "leases", "update")} <= rights
    assert Right("", "secrets", "list") not in rights
    assert str(SCALE) == "patch deployments/scale.apps"


def test_requests_are_counted_by_the_right_that_they_need() -> None:
    """A subresource is a right of its own. Requests of no resource and an unfinished line count nothing."""
    found = requests(
        [
            entry("get", resource="secrets"),
            entry("get", 403, resource="secrets"),
            entry("patch", resource="deployments", subresource="scale", apiGroup="apps"),
            entry("get"),
            entry("get", resource="secrets")[:-9],
        ]
    )
    assert found.made == {GET_SECRET: 2, SCALE: 1}
    assert +found.refused == {GET_SECRET: 1}


def test_a_server_side_apply_that_creates_needs_both_rights() -> None:
    """Kubernetes asks for create, too, where the object was not there."""
    found = requests([entry("patch", 201, resource="services"), entry("patch", 200, resource="services")])
    assert found.made == {Right("", "services", "patch"): 2, Right("", "services", "create"): 1}


def test_a_watch_counts_once_and_from_its_begin() -> None:
    """A watch that goes on has no end in the log."""
    stages = ("ResponseStarted", "ResponseComplete", "ResponseStarted")
    found = requests([entry("watch", stage=stage, resource="pods") for stage in stages])
    assert found.made == {Right("", "pods", "watch"): 2}


def test_the_table_has_the_rights_that_nothing_used() -> None:
    """A right without requests is the one to take away, and a request without a right the one to grant."""
    found = requests([entry("list", 403, resource="nodes")])
    assert table({GET_SECRET}, found).splitlines()[2:] == ["| list nodes | 1 | 1 |", "| get secrets | 0 | 0 |"]
