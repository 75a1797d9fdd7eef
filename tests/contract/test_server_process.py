"""The real process on loopback: two ports, clients that go away, and SIGTERM under load."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import skops.io
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from sluice_operator.api import signature
from sluice_operator.api.signature import Column, Predictions, Signature
from sluice_server.model import manifest
from sluice_server.model.manifest import FILES, Manifest, SignatureText
from tests.contract.served import PATIENCE, Served, sample, serving, wait_until
from tests.contract.streams import Stream

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}


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
        for code in (200, 400, 408, 413, 415, 422, 429, 499, 500, 503)
    }
    assert counted == {200: 0, 400: 0, 408: 0, 413: 0, 415: 1, 422: 1, 429: 0, 499: 0, 500: 0, 503: 0}


def test_metadata_is_what_the_operator_compares(served: Served) -> None:
    """The model server writes it, and the operator reads it: they share no code."""
    columns = tuple(Column(str(place), "number") for place in range(4))
    answers = Predictions("integer", classes=(0, 1, 2), probabilities=True)
    assert signature.parse(httpx.get(f"{served.gateway}/metadata").content) == Signature(columns, answers)


def is_ready(served: Served) -> bool:
    return httpx.get(f"{served.cluster}/health/ready").status_code == 200


def test_no_request_fails_while_draining(served: Served) -> None:
    """SIGTERM under load: not ready at once, every request on old and new connections is answered, then it exits."""
    streams = [Stream(served.gateway, ROW, fresh) for fresh in (False, True)]
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
        assert {outcome for outcome, *_ in stream.outcomes} == {200}
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
