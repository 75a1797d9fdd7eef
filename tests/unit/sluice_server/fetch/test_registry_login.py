"""The registry's credentials go to the registry."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sluice_server.fetch import artifacts, registry_login
from sluice_server.fetch.artifacts import Artifacts
from sluice_server.fetch.outcome import Unavailable

FILES = "/api/2.0/mlflow-artifacts/artifacts"
OWN = "https://mlflow.example.com"


class Host:
    """An MLflow that lists one file, and keeps which logins it was asked with; it refuses those without one."""

    def __init__(self, port: int, refuses: bool) -> None:
        self.address, self.refuses = f"http://127.0.0.1:{port}", refuses
        self.logins = set[str]()


@contextmanager
def serving(refuses: bool = False) -> Iterator[Host]:
    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            login = self.headers.get("Authorization", "")
            host.logins.add(login)
            body = json.dumps({"files": [{"path": "MLmodel", "is_dir": False, "file_size": 3}]}).encode()
            self.send_response(401 if host.refuses and not login else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    host = Host(server.server_port, refuses)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Host, Host]]:
    """The registry, and another host that wants a login."""
    with ExitStack() as stack:
        own, other = stack.enter_context(serving()), stack.enter_context(serving(refuses=True))
        for key, value in (("URI", own.address), ("USERNAME", "team-b"), ("PASSWORD", "secret")):
            monkeypatch.setenv(f"MLFLOW_TRACKING_{key}", value)
        yield own, other


@pytest.mark.parametrize("scheme", ["http", "mlflow-artifacts"])
def test_a_host_that_the_registry_names_gets_no_credentials(
    scheme: str, hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither when files are listed, nor when one is fetched; and the sentence does not say to correct a Secret."""
    _, other = hosts
    path = f"{FILES}/1/model" if scheme == "http" else "/1/model"
    monkeypatch.setattr(artifacts, "_artifact_uri", lambda uri: other.address.replace("http", scheme) + path)
    found = artifacts.locate("models:/iris/3")
    assert isinstance(found, Artifacts)
    for trouble in (artifacts.list_files(found), artifacts.download(found, ["MLmodel"], tmp_path)):
        assert isinstance(trouble, Unavailable)
        assert trouble.reason == "RegistryLoginRefused"
        assert trouble.message.endswith(registry_login.OTHER_HOST)
    assert other.logins == {""}


def test_the_registry_itself_gets_them(hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch) -> None:
    """For the files that it serves, also where the address of a model has its host."""
    own, _ = hosts
    monkeypatch.setattr(artifacts, "_artifact_uri", lambda uri: f"{own.address}{FILES}/1/model")
    found = artifacts.locate("models:/iris/3")
    assert isinstance(found, Artifacts)
    assert [each.path for each in artifacts.list_files(found)] == ["MLmodel"]  # type: ignore[union-attr]
    assert all(login.startswith("Basic ") for login in own.logins)


@pytest.mark.parametrize(
    ("address", "is_own"),
    [
        (f"{OWN}/api", True),
        ("https://MLFLOW.example.com:443/x", True),
        ("http://mlflow.example.com/api", False),
        (f"{OWN}:8443/api", False),
        (f"{OWN}.other.example.com/api", False),
        (f"{OWN}@other.example.com/api", False),
        ("https://other.example.com\\@mlflow.example.com/api", False),
        ("https://other.example.com#@mlflow.example.com/api", False),
        ("file:///mlflow.example.com", False),
        ("https://[/", False),
        ("", False),
    ],
)
def test_an_address_is_the_registry_s_by_scheme_host_and_port(
    address: str, is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the client of http reads it, which takes some addresses apart in another way than others do."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", OWN)
    assert registry_login.is_own(address) is is_own
