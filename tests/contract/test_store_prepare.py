"""From MLflow through the store to a pod: prepared once, and copied while MLflow is gone."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_iris

from dev.processes import free_ports, running
from sluice_server.model import manifest
from sluice_server.model.digest import tree_digest
from sluice_store import tokens
from tests.contract import iris_models
from tests.contract.served import Served, serving, wait_until

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow and pandas warn about each other while a model is made

KEY = "a key of at least sixteen bytes"
NOWHERE = "http://127.0.0.1:9"
PATIENCE = 60.0
LABELS, ROWS = 10_000, 50  # in all, and of one prediction


def wait_for_text(text: str, log: Path) -> None:
    """Waits until a process has written it."""
    deadline = time.monotonic() + PATIENCE
    while text not in (written := log.read_text()):
        assert time.monotonic() < deadline, written
        time.sleep(0.05)


@pytest.fixture(scope="module")
def model_uri(mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registered model of MLflow."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    iris_models.saved(folder, input_example=load_iris().data[:2])
    return f"models:/prepared/{iris_models.registered(MlflowClient(mlflow_server), 'prepared', folder)}"


@dataclass(frozen=True)
class Store:
    """A running store over a volume, and what it has there."""

    url: str
    files: Path
    token: Path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    (folder / "key").write_text(KEY)
    (folder / "token").write_text(tokens.make(KEY.encode(), "models") + "\n")
    (port,) = free_ports(1)
    env = {
        "SLUICE_STORE_HOST": "127.0.0.1",
        "SLUICE_STORE_PORT": str(port),
        "SLUICE_STORE_KEY_FILE": str(folder / "key"),
        "SLUICE_STORE_FILES_URL": f"file://{folder}/files",
        "SLUICE_STORE_DATABASE_URL": f"sqlite:///{folder}/labels.db",
    }
    with running([sys.executable, "-m", "sluice_store", "serve"], folder / "log", os.environ | env):
        wait_for_text("running on", folder / "log")
        yield Store(f"http://127.0.0.1:{port}", folder / "files", folder / "token")


@dataclass
class Pod:
    """A container of the model server with a folder of its own."""

    folder: Path
    env: dict[str, str]

    @property
    def model_dir(self) -> Path:
        return self.folder / "model"

    def run(self, command: str, **env: str) -> tuple[int, dict[str, Any]]:
        """Exit code and termination message of a command, as the image starts it."""
        self.folder.mkdir(exist_ok=True)
        log = self.folder / "termination-log"
        own = {"SLUICE_MODEL_DIR": str(self.model_dir), "SLUICE_TERMINATION_LOG": str(log)}
        started = [sys.executable, "-m", "sluice_server", command]
        ended = subprocess.run(started, env=os.environ | self.env | own | env, capture_output=True, check=False)
        assert log.exists(), ended.stderr.decode()
        return ended.returncode, json.loads(log.read_bytes())

    def failure(self, command: str, **env: str) -> str:
        """The reason of a failure that may pass."""
        code, message = self.run(command, **env)
        assert code == 1, message
        return str(message["unavailable"]["reason"])


@dataclass(frozen=True)
class Prepared:
    """The Job that has prepared the model, and its termination message."""

    job: Pod
    message: dict[str, Any]

    def pod(self, folder: Path) -> Pod:
        """A pod of the revision, for which there is no MLflow any more."""
        return Pod(folder, self.job.env | {"MLFLOW_TRACKING_URI": NOWHERE, "SLUICE_MODEL_DIGEST": self.digest})

    @property
    def digest(self) -> str:
        return str(self.message["digest"])


@pytest.fixture(scope="module")
def prepared(mlflow_server: str, model_uri: str, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    env = {
        "MLFLOW_TRACKING_URI": mlflow_server,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "SLUICE_MODEL_URI": model_uri,
        "SLUICE_STORE_URL": store.url,
        "SLUICE_STORE_TOKEN_FILE": str(store.token),
    }
    job = Pod(tmp_path_factory.mktemp("job"), env)
    code, message = job.run("prepare")
    assert code == 0, message
    return Prepared(job, message)


def test_a_pod_starts_without_mlflow(prepared: Prepared, tmp_path: Path) -> None:
    """It gets the folder of the Job from the store, and reports the digest that it was given."""
    assert (prepared.message["runtime"], prepared.digest) == ("onnx", tree_digest(prepared.job.model_dir))
    pod = prepared.pod(tmp_path)
    for _ in range(2):  # an init container that is started again finds what the last one left
        assert pod.run("fetch") == (0, prepared.message)
        assert tree_digest(pod.model_dir) == prepared.digest
    assert manifest.read(pod.model_dir) == manifest.read(prepared.job.model_dir)


def test_a_pod_that_starts_again_needs_nobody(prepared: Prepared, tmp_path: Path) -> None:
    """As when its node restarts, with the store on it. What was changed meanwhile is not used."""
    pod = prepared.pod(tmp_path)
    assert pod.run("fetch") == (0, prepared.message)
    assert pod.run("fetch", SLUICE_STORE_URL=NOWHERE) == (0, prepared.message)
    (pod.model_dir / "one file more").write_text("")
    assert pod.failure("fetch", SLUICE_STORE_URL=NOWHERE) == "StoreUnreachable"
    assert not (pod.model_dir / manifest.NAME).exists()


def test_a_store_that_lost_a_model_gets_it_again(prepared: Prepared, store: Store, tmp_path: Path) -> None:
    """A damaged copy is never served. A Job that is run again has the same digest, and replaces the copy."""
    pod = prepared.pod(tmp_path)
    (kept,) = (store.files / "models").rglob(f"{prepared.digest.removeprefix('sha256:')}.tar")
    kept.write_bytes(kept.read_bytes().replace(b"skops", b"skoqs"))
    assert pod.failure("fetch") == "StoreContentDamaged"
    assert not (pod.model_dir / manifest.NAME).exists()
    kept.unlink()
    assert pod.failure("fetch") == "NotInStore"
    assert prepared.job.run("prepare") == (0, prepared.message)
    assert pod.run("fetch") == (0, prepared.message)


def test_without_the_store_nothing_else_is_served(prepared: Prepared, tmp_path: Path) -> None:
    """MLflow could be asked, and is not; without a token the store gives nothing either."""
    pod = Pod(tmp_path, prepared.job.env | {"SLUICE_MODEL_DIGEST": prepared.digest})
    assert pod.failure("fetch", SLUICE_STORE_URL=NOWHERE) == "StoreUnreachable"
    assert pod.failure("fetch", SLUICE_STORE_TOKEN_FILE=str(tmp_path / "none")) == "StoreLoginRefused"
    assert not (pod.model_dir / manifest.NAME).exists()


def test_one_pod_that_runs_is_enough_for_the_next(prepared: Prepared, store: Store, tmp_path: Path) -> None:
    """MLflow and the store are down; the model comes from a pod that serves it, through its cluster port."""
    (port,) = free_ports(1)
    env = {
        "SLUICE_MODEL_DIR": str(prepared.job.model_dir),
        "SLUICE_MODEL_DEPLOYMENT": "iris",
        "SLUICE_STORE_URL": NOWHERE,
        "SLUICE_STORE_TOKEN_FILE": str(store.token),
        "SLUICE_FEEDBACK_KEY_FILE": str(tmp_path / "none"),
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_CLUSTER_PORT": str(port),
        "SLUICE_GATEWAY_PORT": "0",
        "SLUICE_DRAIN_DELAY": "0",
    }
    down = {"SLUICE_STORE_URL": NOWHERE, "SLUICE_PEER_URL": f"http://127.0.0.1:{port}"}
    pod = prepared.pod(tmp_path / "pod")
    assert pod.failure("fetch", **down) == "StoreUnreachable"
    with running([sys.executable, "-m", "sluice_server", "serve"], tmp_path / "log", os.environ | env):
        wait_for_text("ready: ", tmp_path / "log")
        assert pod.run("fetch", **down) == (0, prepared.message)
    assert tree_digest(pod.model_dir) == prepared.digest


def test_a_model_that_the_store_did_not_take_is_not_prepared(prepared: Prepared, tmp_path: Path) -> None:
    """The Job is tried again: the revision is not given up because a store is down."""
    assert Pod(tmp_path, prepared.job.env).failure("prepare", SLUICE_STORE_URL=NOWHERE) == "StoreUnreachable"


def test_a_refused_model_gets_into_no_store(prepared: Prepared, tmp_path: Path) -> None:
    """The preflight is that of `fetch`, with its reasons and exit code."""
    code, message = Pod(tmp_path, prepared.job.env).run("prepare", SLUICE_MODEL_URI="models:/prepared/999")
    assert (code, message["refused"]["reason"]) == (3, "ModelNotFound")


class Clients:
    """Four of them send labels to two pods. One that gets no answer sends the same labels again, to either."""

    def __init__(self, pods: Sequence[Served]) -> None:
        self._pods = pods
        self.sent = 0

    def predict(self) -> str:
        """The id of a prediction for ROWS rows."""
        answer = httpx.post(f"{self._pods[0].gateway}/predict", json={"features": [[5.1, 3.5, 1.4, 0.2]] * ROWS})
        return str(answer.json()["prediction_id"])

    def send(self, prediction_id: str) -> None:
        """The labels of all its rows, until they are counted."""
        body = {"prediction_id": prediction_id, "labels": [0] * ROWS}
        for attempt in itertools.count():
            pod = self._pods[(hash(prediction_id) + attempt) % 2]
            try:
                if httpx.post(f"{pod.gateway}/feedback", json=body, timeout=PATIENCE).status_code == httpx.codes.OK:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        self.sent += 1


def test_each_label_counts_once_though_a_pod_is_killed(prepared: Prepared, store: Store, tmp_path: Path) -> None:
    """10,000 labels, 30 % of which come a second time; one of the two pods ends while they are sent."""
    env = {
        "SLUICE_MODEL_DEPLOYMENT": "labelled",
        "SLUICE_STORE_URL": store.url,
        "SLUICE_STORE_TOKEN_FILE": str(store.token),
    }
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        folder.mkdir()
    first, second = (serving(prepared.job.model_dir, folder, **env) for folder in folders)
    with first as a, second as b, ThreadPoolExecutor(4) as threads:
        clients = Clients([a, b])
        ids = [clients.predict() for _ in range(LABELS // ROWS)]
        sending = [threads.submit(clients.send, each) for each in [*ids, *ids[: round(0.3 * len(ids))]]]
        wait_until("labels", lambda: clients.sent > len(sending) // 3, a.log)
        a.process.kill()
        for each in sending:
            each.result()
    headers = {"Authorization": f"Bearer {store.token.read_text().strip()}"}
    totals = httpx.get(f"{store.url}/labels", headers=headers).json()["totals"]
    (total,) = [each for each in totals if each["model_deployment"] == "labelled"]
    assert total["labels"] == len(ids) * ROWS
    assert total["repeats"] >= round(0.3 * len(ids)) * ROWS
