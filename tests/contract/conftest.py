"""A real API server for the contract tests, in a temporary folder.

The tests use kubectl, because people see what kubectl prints.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from dev import api_server as control_plane
from dev import mlflow_server as mlflow
from dev.api_server import ROOT
from dev.helm import Helm
from dev.processes import free_ports, running
from dev.programs import find_program

T = TypeVar("T")
PATIENCE = 120.0  # seconds; a small and busy machine needs about ten


@dataclass(frozen=True)
class Kubectl:
    """kubectl as the administrator of the test's API server."""

    program: str
    kubeconfig: Path

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """The result, also of a failure. Caches are in the folder of the kubeconfig."""
        command = [self.program, f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.kubeconfig.parent}/cache"]
        return subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True, check=False)

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """The output. A failure fails the test and shows what kubectl printed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def accepts(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """The object as the server would store it; fails the test if the server refuses it."""
        answer = self("apply", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(manifest))
        stored: dict[str, Any] = json.loads(answer)
        return stored

    def refuses(self, manifest: dict[str, Any]) -> str:
        """What `kubectl apply` prints when this manifest is refused; fails the test if it is accepted."""
        done = self.run("apply", "--dry-run=server", "--filename=-", stdin=json.dumps(manifest))
        assert done.returncode != 0, f"accepted: {done.stdout}"
        return done.stderr.strip()

    def eventually(self, *arguments: str) -> str:
        """The output of the first run that succeeds. A new type can be used only some time after it was accepted."""
        return wait_for(lambda: self.run(*arguments), f"kubectl {' '.join(arguments)}")


def eventually(attempt: Callable[[], T | None], what: str) -> T:
    """The first answer that is neither None nor False. Tries for PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not (found := attempt()):
        assert time.monotonic() < deadline, f"{what}: nothing within {PATIENCE:.0f} s"
        time.sleep(0.1)
    return found


def wait_for(attempt: Callable[[], subprocess.CompletedProcess[str]], what: str) -> str:
    """The output of the first attempt that exits with 0. Tries for PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while (done := attempt()).returncode != 0:
        assert time.monotonic() < deadline, f"{what} did not succeed within {PATIENCE:.0f} s: {done.stderr}"
        time.sleep(0.1)
    return done.stdout


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """kubectl for a fresh API server that lives as long as the test session."""
    with api_server_in(tmp_path_factory.mktemp("api-server")) as admin:
        yield admin


@contextmanager
def api_server_in(folder: Path) -> Iterator[Kubectl]:
    """kubectl for a fresh API server, which ends with the block."""
    try:
        programs = control_plane.find_programs()
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)
    port, etcd_port, peer_port = free_ports(3)
    [kubeconfig] = control_plane.write_credentials(folder, port, "admin")
    admin = Kubectl(programs["kubectl"], kubeconfig)
    etcd = control_plane.etcd_command(programs["etcd"], folder, etcd_port, peer_port)
    apiserver = control_plane.apiserver_command(programs["kube-apiserver"], folder, port, etcd_port)
    with running(etcd, folder / "etcd.log"), running(apiserver, folder / "apiserver.log") as process:

        def ready() -> subprocess.CompletedProcess[str]:
            assert process.poll() is None, f"the API server ended: {(folder / 'apiserver.log').read_text()[-2000:]}"
            return admin.run("get", "--raw=/readyz")

        wait_for(ready, "the API server")
        yield admin


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm without a cluster."""
    try:
        return Helm(find_program("helm"))
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def kubectl(api_server: Kubectl) -> Kubectl:
    """kubectl for an API server that knows ModelDeployments and has the namespace `models`."""
    api_server("apply", "--server-side", f"--filename={ROOT}/crds/modeldeployments.yaml")
    api_server("create", "namespace", "models")
    api_server.eventually("get", "modeldeployments", "--namespace=models")
    return api_server


@pytest.fixture
def iris() -> dict[str, Any]:
    """The ModelDeployment of manifests/examples/iris.yaml, which a test may change."""
    manifest: dict[str, Any] = yaml.safe_load((ROOT / "manifests" / "examples" / "iris.yaml").read_text())
    return manifest


@pytest.fixture
def created_iris(kubectl: Kubectl, iris: dict[str, Any]) -> Iterator[None]:
    """It is there, in the namespace `models`, and gone afterwards: other tests ask whether it could be created."""
    _remove_iris(kubectl)
    kubectl("create", "--filename=-", stdin=json.dumps(iris))
    yield
    _remove_iris(kubectl)


def _remove_iris(kubectl: Kubectl) -> None:
    kubectl("delete", "mdep", "--all", "--namespace=models")
    kubectl("delete", "secret", "iris-feedback", "--namespace=models", "--ignore-not-found")


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """The schema of the CRD in crds/."""
    crd = yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text())
    version: dict[str, Any] = crd["spec"]["versions"][0]
    return dict(version["schema"]["openAPIV3Schema"])


@pytest.fixture
def silent_url() -> str:
    """A URL of loopback at which no server listens."""
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a new MLflow server with SQLite, and with artefacts through its proxy."""
    with mlflow.running(tmp_path_factory.mktemp("mlflow")) as url:
        yield url
