"""Credentials in files, with a real HTTPS server: wrong ones are reported, corrected ones are used at once."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.renewal import from_folder
from tests.unit.sluice_operator.certificates import Authority

NOW = json.dumps({"data": {"result": [{"metric": {}, "value": [1, "2"]}]}}).encode()


@dataclass
class Server:
    """An HTTPS server. It requires a client certificate of the authority `clients`, and `wanted` as Authorization."""

    pair: tuple[Path, Path]
    clients: Path | None = None
    wanted: str | None = None
    connections: list[int] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Runs it, and gives its URL."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.connections.append(self.client_address[1])
                authorized = server.wanted in (None, self.headers.get("Authorization"))
                self.send_response(200 if authorized else 401)
                self.send_header("Content-Length", str(len(NOW)))
                self.end_headers()
                self.wfile.write(NOW)

            def log_message(self, format: str, *arguments: Any) -> None: ...

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.pair)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # refuses a client in the handshake, not at its first request
        if self.clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.clients)
        with Quiet(("127.0.0.1", 0), Handler) as listening:
            listening.context = context
            thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield f"https://127.0.0.1:{listening.server_port}"
            finally:
                listening.shutdown()
                thread.join()


class Quiet(ThreadingHTTPServer):
    """Makes handshakes in the threads that answer, and does not print failed ones."""

    daemon_threads = True
    block_on_close = False
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self.context.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None: ...


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authorities") / "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authorities") / "theirs")


def write(folder: Path, **files: str | Path) -> str:
    """Writes files by name, with a dot for each underscore. A Path is copied. Returns the folder."""
    for name, content in files.items():
        text = content.read_text() if isinstance(content, Path) else content
        (folder / name.replace("_", ".")).write_text(text)
    return str(folder)


def error_of(reader: Reader) -> str:
    """The message of the error, empty if there is an answer."""
    try:
        asyncio.run(reader.ahead())
    except MetricsLostError as error:
        return str(error)
    return ""


def test_a_server_is_trusted_if_ca_crt_has_its_authority(ours: Authority, theirs: Authority, tmp_path: Path) -> None:
    """Otherwise it is not. A corrected file is used with the next query."""
    reason = "self-signed certificate in certificate chain|unable to get local issuer certificate"
    with Server(ours.pair("server")).running() as url:
        reader = Reader(from_folder(url, write(tmp_path)))
        untrusted = error_of(reader)
        assert untrusted.startswith("Prometheus gave no answer: its certificate is not trusted, ")
        assert any(text in untrusted for text in reason.split("|"))
        assert untrusted.endswith(": is ca.crt that of its authority?")
        write(tmp_path, ca_crt=theirs.certificate)
        assert error_of(reader) == untrusted
        write(tmp_path, ca_crt=ours.certificate)
        assert error_of(reader) == ""


def test_the_environment_cannot_make_a_server_trusted(
    ours: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that the client library reads add nothing to ca.crt."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ours.certificate))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(ours.certificate))
    with Server(ours.pair("server")).running() as url:
        assert "its certificate is not trusted" in error_of(Reader(from_folder(url, write(tmp_path))))


def test_a_certificate_for_another_host_is_not_trusted(ours: Authority, tmp_path: Path) -> None:
    """Although a trusted authority has signed it."""
    write(tmp_path, ca_crt=ours.certificate)
    with Server(ours.pair("elsewhere", "DNS:prometheus.example")).running() as url:
        assert error_of(Reader(from_folder(url, str(tmp_path)))) == (
            "Prometheus gave no answer: its certificate is not trusted, IP address mismatch, certificate is not valid"
            " for '127.0.0.1'"
        )


def test_a_client_certificate_is_sent_to_a_server_that_requires_it(
    ours: Authority, theirs: Authority, tmp_path: Path
) -> None:
    """Without one, or with one of another authority, there is no answer. The right pair is used at once."""
    refused = (
        "Prometheus gave no answer: it refuses us without a certificate that it trusts: are tls.crt and tls.key those"
        " that it asks for?"
    )
    certificate, key = ours.pair("operator")
    stranger, of_stranger = theirs.pair("operator")
    with Server(ours.pair("server"), clients=ours.certificate).running() as url:
        reader = Reader(from_folder(url, write(tmp_path, ca_crt=ours.certificate)))
        assert error_of(reader) == refused
        write(tmp_path, tls_crt=stranger, tls_key=of_stranger)
        assert error_of(reader) == refused
        write(tmp_path, tls_crt=certificate)
        assert error_of(reader) == (
            f"the credentials in {tmp_path} cannot be used: tls.key is not the key of tls.crt, or one of them cannot be"
            " read"
        )
        write(tmp_path, tls_key=key)
        assert error_of(reader) == ""


def test_a_token_that_was_renewed_is_used_at_once(ours: Authority, tmp_path: Path) -> None:
    """While it does not change, the connection is kept."""
    server = Server(ours.pair("server"), wanted="Bearer first")
    with server.running() as url:
        reader = Reader(from_folder(url, write(tmp_path, ca_crt=ours.certificate, token="first\n")))
        assert [error_of(reader), error_of(reader)] == ["", ""]
        assert len(set(server.connections)) == 1
        server.wanted = "Bearer second"
        assert error_of(reader) == "Prometheus gave no answer: HTTP 401, Unauthorized: are its credentials right?"
        write(tmp_path, token="second\n")
        assert error_of(reader) == ""


def test_unusable_files_are_reported_until_they_are_corrected(ours: Authority, tmp_path: Path) -> None:
    """A missing folder, an unknown file, a broken certificate. Until then Prometheus is not asked."""
    server = Server(ours.pair("server"))
    with server.running() as url:
        reader, where = Reader(from_folder(url, str(tmp_path / "mounted"))), f"{tmp_path / 'mounted'} cannot be used"
        assert error_of(reader) == f"the credentials in {where}: No such file or directory"
        (tmp_path / "mounted").mkdir()
        write(tmp_path / "mounted", namespace="models")
        assert error_of(reader).startswith(f"the credentials in {where}: 'namespace' is none of the names that mean ")
        (tmp_path / "mounted" / "namespace").unlink()
        write(tmp_path / "mounted", ca_crt="-----BEGIN CERTIFICATE-----\nhidden\n-----END CERTIFICATE-----\n")
        assert error_of(reader) == (
            f"the credentials in {where}: ca.crt holds no certificates that can be read: write them in PEM"
        )
        assert server.connections == []
        write(tmp_path / "mounted", ca_crt=ours.certificate)
        assert error_of(reader) == ""


def test_a_mounted_secret_is_read_as_the_kubelet_writes_it(ours: Authority, tmp_path: Path) -> None:
    """Its files are links into a folder, and an update replaces that folder."""
    server = Server(ours.pair("server"), wanted="Bearer first")
    for name, token in (("..first", "first"), ("..second", "second")):
        (tmp_path / name).mkdir()
        write(tmp_path / name, ca_crt=ours.certificate, token=token)
    (tmp_path / "..data").symlink_to("..first")
    for key in ("ca.crt", "token"):
        (tmp_path / key).symlink_to(f"..data/{key}")
    with server.running() as url:
        reader = Reader(from_folder(url, str(tmp_path)))
        assert error_of(reader) == ""
        (tmp_path / "..new").symlink_to("..second")
        (tmp_path / "..new").rename(tmp_path / "..data")
        server.wanted = "Bearer second"
        assert error_of(reader) == ""
