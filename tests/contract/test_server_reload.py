"""A server without an operator that follows an alias: a real registry, real processes, requests all the time."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from dev.processes import free_ports, running
from sluice_server.reload.supervisor import FIRST_ANSWER
from tests.contract.streams import Stream

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow and pandas warn about each other
PATIENCE = 180.0
NAME = "reloaded"
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}


def register(version: int, columns: int = 4) -> None:
    """A version that answers its own number; with other columns than it was fitted on, it cannot answer anything."""
    features = load_iris().data
    model = LogisticRegression(max_iter=500).fit(features, [version * 10] * 75 + [version] * 75)
    signature = mlflow.models.infer_signature(features[:, :columns], model.predict(features))
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="m",
            signature=signature,
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
            registered_model_name=NAME,
        )


@pytest.fixture(scope="module")
def registry(mlflow_server: str) -> Iterator[MlflowClient]:
    """Versions 1, 2 and 4 can be served; version 3 passes the checks of its files, and cannot answer."""
    mlflow.set_tracking_uri(mlflow_server)
    for version, columns in ((1, 4), (2, 4), (3, 3), (4, 4)):
        register(version, columns)
    client = MlflowClient()
    client.set_registered_model_alias(NAME, "champion", "1")
    yield client
    mlflow.set_tracking_uri(None)


class Server:
    """The command, which is running, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path, log: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.log = log

    def get(self, path: str) -> Any:
        try:
            return httpx.get(f"{self.url}{path}").json()
        except httpx.TransportError:
            return {}

    def wait(self, what: str, check: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not check():
            assert time.monotonic() < deadline, f"no {what}; log:\n{self.log.read_text()}"
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def serves(self, version: str) -> bool:
        health = self.get("/health")
        return (health.get("status"), health.get("model_version")) == ("healthy", version)

    def model_labels(self) -> tuple[str, str]:
        """Version and revision in the metrics."""
        text = httpx.get(f"{self.url}/metrics").text
        (info,) = re.findall(r"^ml_model_info\{(.*)\}", text, re.MULTILINE)
        labels = dict(re.findall(r'(\w+)="(.*?)"', info))
        return labels["version"], labels["revision"]


@contextmanager
def reloading(tmp_path: Path, tracking_uri: str, **variables: str) -> Iterator[Server]:
    port, gateway = free_ports(2)
    log, folder = tmp_path / "log", tmp_path / "models"
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": tracking_uri,
        "MODEL_URI": f"models:/{NAME}@champion",
        "RELOAD_INTERVAL": "0.2",
        "SLUICE_MODEL_DIR": str(folder),
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_CLUSTER_PORT": str(port),
        "SLUICE_GATEWAY_PORT": str(gateway),
        "SLUICE_DRAIN_DELAY": "2",
        **variables,
    }
    with running([sys.executable, "-m", "sluice_server", "run"], log, environment) as process:
        yield Server(process, port, folder, log)


def test_no_request_fails_while_versions_are_swapped(
    registry: MlflowClient, mlflow_server: str, tmp_path: Path
) -> None:
    """Two swaps, and between them a version that cannot answer: it is told, and the version before it goes on.

    Each answer comes as a whole from one version; labels of metrics follow; a process that has left leaves nothing.
    """
    streams: list[Stream] = []
    with reloading(tmp_path, mlflow_server) as server:
        server.wait("version 1", lambda: server.serves("1"))
        revisions = [server.model_labels()]
        try:
            streams = [Stream(server.url, ROW, fresh_connections=fresh) for fresh in (False, True)]
            registry.set_registered_model_alias(NAME, "champion", "2")
            server.wait("version 2", lambda: server.serves("2"))
            revisions.append(server.model_labels())
            registry.set_registered_model_alias(NAME, "champion", "3")
            server.wait("failure", lambda: server.get("/health")["reload"]["failed"] is not None)
            failed = server.get("/health")["reload"]["failed"]
            assert server.serves("2")
            registry.set_registered_model_alias(NAME, "champion", "4")
            server.wait("version 4", lambda: server.serves("4"))
            revisions.append(server.model_labels())
            server.wait("the end of all others", lambda: len(list((server.folder / "reloaded").glob("[0-9]*"))) == 1)
            assert server.get("/health")["reload"] == {"failed": None}
        finally:
            for stream in streams:
                stream.stop()
    log = server.log.read_text()
    assert server.process.returncode == 0, log
    for stream in streams:
        assert {outcome for outcome, _, _ in stream.outcomes} == {200}, stream.outcomes[-3:]
        assert {(version, answer) for _, version, answer in stream.outcomes} <= {("1", 10), ("2", 20), ("4", 40)}
        assert {version for _, version, _ in stream.outcomes} == {"1", "2", "4"}
    assert [version for version, _ in revisions] == ["1", "2", "4"]
    assert len({revision for _, revision in revisions}) == 3
    assert failed["uri"] == f"models:/{NAME}/3"
    assert "the model cannot be served" in failed["reason"]
    assert log.count(f"models:/{NAME}/3 is named now") == 1


def test_a_registry_that_is_away_changes_nothing(registry: MlflowClient, tmp_path: Path, silent_url: str) -> None:
    """The second source is served, which is said once, and so is the end of a server that ends by itself."""
    registry.set_registered_model_alias(NAME, "champion", "1")
    folder = mlflow.artifacts.download_artifacts(f"models:/{NAME}/1", dst_path=str(tmp_path / "m"))
    settings = {"MODEL_PATH": folder, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    with reloading(tmp_path, silent_url, **settings) as server:
        server.wait("the folder", lambda: bool(server.get("/health").get("model_loaded")))
        server.wait("a look", lambda: "it is not known which version is named now" in server.log.read_text())
        assert httpx.post(f"{server.url}/predict", json=ROW).json()["predictions"] == [10]
        assert server.get("/health")["reload"] == {"failed": None}


@contextmanager
def dripping() -> Iterator[str]:
    """The URL of a registry that answers each request a byte at a time, and never to its end."""
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while not ended.wait(0.2):
                connection.sendall(b" ")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)


def test_a_registry_that_never_ends_its_answer_delays_nobody_for_long(registry: MlflowClient, tmp_path: Path) -> None:
    """The second source is served; a signal while it is asked ends the server, and so does one later."""
    folder = mlflow.artifacts.download_artifacts(f"models:/{NAME}/1", dst_path=str(tmp_path / "m"))
    with dripping() as url:
        with reloading(tmp_path, url, MODEL_PATH=folder) as server:
            server.process.terminate()
            assert server.process.wait(FIRST_ANSWER / 2) == 0 or server.process.returncode == -signal.SIGTERM
        with reloading(tmp_path, url, MODEL_PATH=folder) as server:
            server.wait("the folder", lambda: bool(server.get("/health").get("model_loaded")))
            assert httpx.post(f"{server.url}/predict", json=ROW).json()["predictions"] == [10]
            server.process.terminate()
            assert server.process.wait(PATIENCE) == 0
