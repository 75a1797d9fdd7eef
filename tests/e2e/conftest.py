"""The real cluster, started once per session, with trained models in its registry.

When a test fails, the report has the state of the cluster. The tests are asynchronous and share one event loop, so that
streams of requests and watches go on at the same time.
"""

import subprocess
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

from dev.demo import cluster as clusters
from dev.demo import models
from dev.demo.cluster import CLUSTER_SH, Addresses, Kubectl
from dev.demo.models import Aliases, Versions
from tests.e2e.kills import Operator
from tests.e2e.rollouts import NAMESPACE, Place

STATE_COMMANDS = (
    ("get", "modeldeployments", "--all-namespaces", "-o", "wide"),
    ("get", "pods", "--all-namespaces", "-o", "wide"),
    ("get", "modeldeployments", "-n", NAMESPACE, "-o", "yaml"),
    ("get", "ingresses,httproutes,services", "-n", NAMESPACE, "-o", "wide"),
    ("get", "events", "-n", NAMESPACE, "--sort-by=.metadata.creationTimestamp"),
    ("logs", "-n", "sluice-system", "deployment/sluice-operator", "--tail=200"),
)
LINES = 200  # the last ones of each command's output

_addresses = pytest.StashKey[Addresses]()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Addresses]:
    """The cluster with the project installed. It is ended afterwards if it did not run before."""
    ran_before = subprocess.run([CLUSTER_SH, "status"], capture_output=True, check=False).returncode == 0
    try:
        clusters.run_part("up")
        clusters.run_part("install")
        addresses = request.session.stash[_addresses] = clusters.addresses()
        yield addresses
    finally:
        if not ran_before:
            clusters.run_part("down")


@pytest.fixture(scope="session")
async def kubectl(anyio_backend: str, cluster: Addresses) -> AsyncIterator[Kubectl]:
    """kubectl, with an empty namespace for the tests."""
    admin = Kubectl(cluster)
    await admin.text("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", "--timeout=120s")
    for namespace in (NAMESPACE, models.NAMESPACE):
        await admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    yield admin
    await admin.text("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="session")
async def versions(kubectl: Kubectl) -> Versions:
    """Three versions of one registered model: a good one, a better one and a really bad one."""
    return await models.train(kubectl)


@pytest.fixture(scope="session")
def place(kubectl: Kubectl, cluster: Addresses) -> Place:
    return Place(kubectl, Aliases(cluster.mlflow), cluster.gateway)


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl) -> Operator:
    return Operator(kubectl)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    addresses = item.session.stash.get(_addresses, None)
    if report.failed and addresses is not None:
        report.sections += [(f"kubectl {' '.join(command)}", _output(addresses, command)) for command in STATE_COMMANDS]
    return report


def _output(addresses: Addresses, arguments: tuple[str, ...]) -> str:
    command: list[Any] = [
        addresses.kubectl,
        f"--kubeconfig={addresses.kubeconfig}",
        "--request-timeout=20s",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "\n".join((done.stdout + done.stderr).splitlines()[-LINES:])
