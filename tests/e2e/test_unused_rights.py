"""What the operator may do is what it needs: by its requests in the audit log of the cluster.

The log has all requests since the cluster was started, so this module comes last, and says little without the others.
"""

import pytest

from dev import rights
from dev.demo.cluster import Addresses
from dev.rights import Right

ELSEWHERE = {
    Right("sluice.dev", "modeldeployments/finalizers", "update"): "owner references where the API server checks them",
    Right("apps", "deployments", "get"): "a Deployment that another writer has created a moment before",
    Right("batch", "jobs", "get"): "a Job that prepares a model and has lost its labels",
    Right("batch", "jobs", "delete"): "a Job that has failed and is made anew, or that nobody asks for any more",
    Right("policy", "poddisruptionbudgets", "get"): "a budget that has lost its labels",
    Right("policy", "poddisruptionbudgets", "patch"): "a budget that somebody has edited",
    Right("", "configmaps", "patch"): "the operator has another registry, or an object another credentialsSecret",
    Right("", "configmaps", "delete"): "the run records of an object with more than ten runs",
}


@pytest.fixture(scope="module")
def requests(cluster: Addresses) -> rights.Requests:
    if cluster.audit_log is None:
        pytest.skip("this engine keeps no audit log")
    return rights.requests(rights.read(cluster.audit_log))


def test_no_request_was_refused(requests: rights.Requests) -> None:
    """The manifests grant what is needed."""
    assert +requests.refused == {}


def test_no_right_is_unused(requests: rights.Requests) -> None:
    """But for what no test of this level brings about."""
    granted = rights.granted(rights.RBAC.read_text(encoding="utf-8"))
    unused = {right for right in granted if not requests.made[right]}
    assert unused - set(ELSEWHERE) == set(), rights.table(granted, requests)
