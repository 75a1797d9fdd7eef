"""The real process on loopback: two ports, clients that go away, and SIGTERM under load."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import skops.io
import tritonclient.http as triton
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from tritonclient.utils import InferenceServerException

from sluice_operator.api import signature
from sluice_operator.api.signature import Column, Predictions, Signature
from sluice_server.model import manifest
from sluice_server.model.manifest import FILES, Manifest, SignatureText

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
PATIENCE = 60.0


@dataclass(frozen=True)
class Served:
    """A running process and the addresses of its two ports."""

    process: subprocess.Popen[bytes]
    cluster: str
    gateway: str
    log: Path


def wait_until(what: str, check: object, log: Path) -> None:
    """Polls until `check()` is true; fails with the log when it does not come."""
    assert callable(check)
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"no {what}; log:\n{log.read_text()}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / FILES).mkdir()
    forest = RandomForestClassifier(100, random_state=0).fit(*load_iris(return_X_y=True))
    skops.io.dump(forest, folder / FILES / "model.skops")
    inputs = '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]'
    found = Manifest("sha256:0", "skops", "sklearn", "model.skops", SignatureText(inputs, None), ROW)
    manifest.write(found, folder)
    return folder


@pytest.fixture
def served(model_dir: Path, tmp_path: Path) -> Iterator[Served]:
    with serving(model_dir, tmp_path) as process:
        yield process


@contextmanager
def serving(model_dir: Path, tmp_path: Path, **variables: str) -> Iterator[Served]:
    """A process that is ready; `variables` are more of its environment."""
    (tmp_path / "key").write_bytes(b"k" * 32)
    log = tmp_path / "log"
    env = {
        "SLUICE_MODEL_NAME": "iris",
        "SLUICE_MODEL_VERSION": "3",
        "SLUICE_REVISION": "abcdefghij",
        "SLUICE_MODEL_DIR": str(model_dir),
        "SLUICE_FEEDBACK_KEY_FILE": str(tmp_path / "key"),
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_CLUSTER_PORT": "0",
        "SLUICE_GATEWAY_PORT": "0",
        "SLUICE_DRAIN_DELAY": "15",  # long enough for forty requests on a busy machine
        **variables,
    }
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "sluice_server", "serve"], env=os.environ | env, stderr=stderr
        )

    def address(entry: str) -> str:
        found = re.search(rf"{entry} traffic on port (\d+)", log.read_text())
        return f"http://127.0.0.1:{found[1]}" if found else ""

    def ready() -> bool:
        try:
            return httpx.get(f"{address('cluster')}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until("port", lambda: address("gateway"), log)
        wait_until("readiness", ready, log)
        yield Served(process, address("cluster"), address("gateway"), log)
    finally:
        process.kill()
        process.wait()


def sample(served: Served, name: str, labels: str) -> float:
    """The value of a metric whose labels contain the given ones, each written `name="value"`."""
    text = httpx.get(f"{served.cluster}/metrics").text
    for line in text.splitlines():
        if line.startswith(f"{name}{{") and all(label in line for label in labels.split()):
            return float(line.split()[-1])
    raise AssertionError(f"no {name} with {labels} in:\n{text}")


def test_the_port_is_the_entry(served: Served) -> None:
    """One process counts what came through each of its sockets."""
    assert httpx.post(f"{served.gateway}/predict", json=ROW).status_code == 200
    assert sample(served, "ml_requests_total", 'code="200" entry="gateway"') == 1
    assert sample(served, "ml_requests_total", 'code="200" entry="cluster"') == 0
    assert httpx.get(f"{served.gateway}/metrics").status_code == 404


def test_a_client_that_goes_away_is_a_499(served: Served) -> None:
    """Half a body and a closed connection: no answer was due, and no server error is counted."""
    host, port = served.gateway.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        wait_until("start", lambda: sample(served, "ml_requests_in_progress", 'entry="gateway"') == 1, served.log)
    wait_until("499", lambda: sample(served, "ml_requests_total", 'code="499" entry="gateway"') == 1, served.log)
    assert sample(served, "ml_requests_total", 'code="500" entry="gateway"') == 0
    assert sample(served, "ml_requests_in_progress", 'entry="gateway"') == 0


def test_a_client_that_closes_only_its_own_side_gets_its_answer(served: Served) -> None:
    """Its request was complete; no more is to come on this connection, and it waits."""
    host, port = served.gateway.removeprefix("http://").split(":")
    body = b'{"features": [5.1, 3.5, 1.4, 0.2]}'
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert sample(served, "ml_requests_total", 'code="200" entry="gateway"') == 1


@pytest.mark.filterwarnings("ignore")  # MLflow and pandas warn about each other
def test_mlflow_s_own_client_gets_predictions(served: Served) -> None:
    """It sends a table of pandas, and NaN for what is missing in it."""
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient  # noqa: PLC0415 - warns when it is imported

    host, port = served.gateway.removeprefix("http://").split(":")
    client = ScoringServerClient(host, int(port))
    client.wait_server_ready(timeout=PATIENCE)
    table = load_iris(as_frame=True).data.iloc[[0, 60, 149]]
    assert client.invoke(table).get_predictions()[0].tolist() == [0, 1, 2]
    table.iloc[0, 1] = None
    assert client.invoke(table).get_predictions()[0].tolist() == [0, 1, 2]
    text = {"content-type": "text/csv"}
    answer = httpx.post(f"{served.gateway}/invocations", content=table.to_csv(index=False), headers=text)
    assert answer.json()["predictions"] == [0, 1, 2]


@pytest.mark.parametrize("as_bytes", [True, False])
def test_triton_s_client_gets_predictions(served: Served, as_bytes: bool) -> None:
    """It speaks the Open Inference Protocol, by default with bytes behind the JSON."""
    with triton.InferenceServerClient(served.gateway.removeprefix("http://")) as client:
        assert (client.is_server_live(), client.is_server_ready(), client.is_model_ready("iris", "3")) == (True,) * 3
        (described,) = client.get_model_metadata("iris")["inputs"]
        rows = load_iris().data[[0, 60, 149]]
        flowers = triton.InferInput(described["name"], list(rows.shape), described["datatype"])
        flowers.set_data_from_numpy(rows, binary_data=as_bytes)
        wanted = [triton.InferRequestedOutput(name, binary_data=as_bytes) for name in ("predictions", "probabilities")]
        answer = client.infer("iris", [flowers], outputs=wanted, request_id="seven")
        assert (answer.as_numpy("predictions").tolist(), answer.get_response()["id"]) == ([0, 1, 2], "seven")
        assert answer.as_numpy("probabilities").shape == (3, 3)
        with pytest.raises(InferenceServerException, match="there is no model 'rose'"):
            client.infer("rose", [flowers])


def test_refused_and_abandoned_requests_are_what_the_operator_counts_as_refusals(served: Served) -> None:
    """A row without the columns that the model needs, a format that it does not read: 4xx, and no error."""
    assert httpx.post(f"{served.gateway}/predict", json={"features": [5.1, 3.5, 1.4]}).status_code == 422
    assert (
        httpx.post(f"{served.gateway}/predict", content=b"5.1", headers={"content-type": "text/csv"}).status_code == 415
    )
    for path in ("/", "/.env", "/predict/v1", "/health/ready"):
        httpx.get(f"{served.gateway}{path}")
    assert httpx.get(f"{served.gateway}/predict").status_code == 405
    counted = {
        code: sample(served, "ml_requests_total", f'code="{code}" entry="gateway"')
        for code in (200, 400, 408, 413, 415, 422, 499, 500, 503)
    }
    assert counted == {200: 0, 400: 0, 408: 0, 413: 0, 415: 1, 422: 1, 499: 0, 500: 0, 503: 0}


def test_metadata_is_what_the_operator_compares(served: Served) -> None:
    """The model server writes it, and the operator reads it: they share no code."""
    columns = tuple(Column(str(place), "number") for place in range(4))
    answers = Predictions("integer", classes=(0, 1, 2), probabilities=True)
    assert signature.parse(httpx.get(f"{served.gateway}/metadata").content) == Signature(columns, answers)


class Stream:
    """A client that predicts without a pause until told to stop, and keeps every outcome."""

    def __init__(self, url: str, fresh_connections: bool) -> None:
        self.outcomes: list[int | str] = []
        self.closing = 0
        self._url = url
        self._fresh = fresh_connections
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client() as client:
            while not self._stop.is_set():
                try:
                    answer = (httpx if self._fresh else client).post(f"{self._url}/predict", json=ROW)
                    self.outcomes.append(answer.status_code)
                    self.closing += answer.headers.get("connection") == "close"
                except httpx.TransportError as error:
                    self.outcomes.append(repr(error))


def is_ready(served: Served) -> bool:
    return httpx.get(f"{served.cluster}/health/ready").status_code == 200


def test_no_request_fails_while_draining(served: Served) -> None:
    """SIGTERM under load: not ready at once, every request on old and new connections is answered, then it exits."""
    streams = [Stream(served.gateway, fresh_connections=False), Stream(served.gateway, fresh_connections=True)]
    try:
        wait_until("traffic", lambda: all(len(stream.outcomes) >= 10 for stream in streams), served.log)
        served.process.send_signal(signal.SIGTERM)
        wait_until("not ready", lambda: not is_ready(served), served.log)
        before = [len(stream.outcomes) for stream in streams]
        wait_until(
            "traffic while draining",
            lambda: all(len(stream.outcomes) >= count + 20 for stream, count in zip(streams, before, strict=True)),
            served.log,
        )
    finally:
        for stream in streams:
            stream.stop()
    for stream in streams:
        assert set(stream.outcomes) == {200}
        assert stream.closing > 0
    assert served.process.wait(PATIENCE) == 0


def test_a_request_in_flight_is_finished_after_the_sockets_closed(served: Served) -> None:
    """A body that arrives slowly is answered even when its last part comes after the drain delay."""
    host, port = served.gateway.removeprefix("http://").split(":")
    body = b'{"features": [5.1, 3.5, 1.4, 0.2]}'
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head % len(body) + body[:5])
        wait_until("start", lambda: sample(served, "ml_requests_in_progress", 'entry="gateway"') == 1, served.log)
        served.process.send_signal(signal.SIGTERM)
        wait_until("closed sockets", lambda: "Shutting down" in served.log.read_text(), served.log)
        connection.sendall(body[5:])
        connection.settimeout(PATIENCE)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer
    assert served.process.wait(PATIENCE) == 0


def test_a_second_signal_ends_the_drain(served: Served) -> None:
    """Whoever is in a hurry sends it twice."""
    served.process.send_signal(signal.SIGTERM)
    wait_until("drain", lambda: "draining" in served.log.read_text(), served.log)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(PATIENCE) == 0


def test_a_folder_without_a_model_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """Serving needs what fetch leaves; the variable is named and the exit code is 2."""
    env = os.environ | {"SLUICE_MODEL_DIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "sluice_server", "serve"], env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "SLUICE_MODEL_DIR is" in ended.stderr
    assert "run fetch first" in ended.stderr
