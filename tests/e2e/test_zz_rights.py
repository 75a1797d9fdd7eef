"""What Sluice may do is what it needs: by the requests of its accounts in the audit log of the cluster.

The log has all requests since the cluster was started, so this module comes last, and says little without the others.
"""

import pytest

from dev import audit_log, rights
from dev.audit_log import Right
from dev.demo.cluster import Addresses
from dev.helm import Helm
from dev.programs import find_program
from dev.rights import Grant

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
def asked(cluster: Addresses) -> audit_log.Requests:
    if cluster.audit_log is None:
        pytest.skip("this engine keeps no audit log")
    return audit_log.requests(audit_log.read(cluster.audit_log)).of(rights.is_sluices)


@pytest.fixture(scope="module")
def given() -> frozenset[Grant]:
    return rights.of_chart(Helm(find_program("helm")))


def test_no_right_is_missing(given: frozenset[Grant], asked: audit_log.Requests) -> None:
    """Nothing was refused, and no account asked for what the chart does not give it, whoever else allowed it.

    The web page, the store, the Jobs that prepare models and the pods of models are given nothing, so they may ask for
    nothing.
    """
    assert not rights.difference(given, asked).missing, rights.table(given, asked)


def test_no_right_is_unused(given: frozenset[Grant], asked: audit_log.Requests) -> None:
    """But for what no test of this level brings about. The chart was installed with its Job, and tested."""
    unused = {grant for grant in rights.difference(given, asked).unused if grant.right not in ELSEWHERE}
    assert not unused, rights.table(given, asked)
