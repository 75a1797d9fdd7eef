"""Each answer gives samples, or one short sentence, in bounded time. Client and server are real."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from sluice_operator.credentials.entries import Credentials
from sluice_operator.prometheus.connection import connect
from sluice_operator.prometheus.reader import Answer, MetricsLostError, Reader
from sluice_operator.prometheus.selection import Selection
from sluice_operator.prometheus.session import describe

IRIS = Selection((("models", "iris"),), ("canary", "stable"))
RESULT = [{"metric": {"a": "b"}, "values": [[1, "2"]]}]
SERIES = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": RESULT}}).encode()
TOO_MUCH = "query processing would load too many samples into memory in query execution"
REFUSED = json.dumps({"status": "error", "errorType": "execution", "error": TOO_MUCH}).encode()
ANSWERED: Answer = [({"a": "b"}, [(1, "2")])]

Respond = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(respond: Respond) -> Iterator[str]:
    """The URL of a server that answers every request with `respond`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            respond(self)

        def log_message(self, format: str, *arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def answer(status: int, body: bytes, length: int | None = None, **headers: str) -> Respond:
    """The whole answer at once. `length`: its Content-Length, if that is not the length of `body`."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Connection", "close")
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond


def in_chunks(*chunks: bytes, ended: bool = True) -> Respond:
    """A chunked answer, as Prometheus sends it if it is long."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for chunk in (*chunks, *([b""] if ended else [])):
            handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")

    return respond


def after(released: threading.Event, part: bytes) -> Respond:
    """The headers and a part of the body; the rest does not come before `released` is set."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        if part:
            answer(200, part, len(SERIES))(handler)
        released.wait()

    return respond


def dribbling(stopped: threading.Event) -> Respond:
    """One byte after another. Each comes in time for a read, but all together take too long."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        answer(200, b"[", 1_000_000)(handler)
        for _ in range(200):
            if not stopped.wait(0.02):
                handler.wfile.write(b" ")

    return respond


def read(respond: Respond, kind: str = "raw", seconds: float = 10.0, max_bytes: int = 1_000_000) -> Answer:
    with serving(respond) as url:
        reader = Reader(connect(url, seconds, max_bytes))
        query = reader.raw(IRIS, 100, 130) if kind == "raw" else reader.grid(IRIS, 100, 160, 15)
        return asyncio.run(query)


def error_of(*arguments: Any, **options: Any) -> str:
    """The message of the error."""
    with pytest.raises(MetricsLostError) as error:
        read(*arguments, **options)
    return str(error.value)


@pytest.mark.parametrize("kind", ["raw", "grid"])
@pytest.mark.parametrize(
    "respond",
    [
        answer(200, SERIES),
        answer(200, gzip.compress(SERIES), Content_Encoding="gzip"),
        in_chunks(SERIES[:10], SERIES[10:50], SERIES[50:]),
    ],
    ids=["plain", "packed", "in chunks"],
)
def test_the_client_reads_what_prometheus_sends(kind: str, respond: Respond) -> None:
    """In each encoding the result is the same, and has the form of the fakes in other tests."""
    assert read(respond, kind) == ANSWERED


@pytest.mark.parametrize("kind", ["raw", "grid"])
@pytest.mark.parametrize(
    ("respond", "sentence"),
    [
        (answer(500, b"oops"), "HTTP 500, Internal Server Error"),
        (answer(503, b"<html>" + b"x" * 50_000), "HTTP 503, Service Unavailable"),
        (answer(401, b""), "HTTP 401, Unauthorized: are its credentials right?"),
        (answer(403, b"<html>"), "HTTP 403, Forbidden: are its credentials right?"),
        (answer(404, b"nothing"), "HTTP 404, Not Found: is that the address of Prometheus, with its path?"),
        (answer(422, REFUSED), f"HTTP 422, {TOO_MUCH}"),
        (answer(400, json.dumps({"error": "no\n " * 999}).encode()), f"HTTP 400, {'no ' * 63}n..."),
        (answer(400, b"\xff\xfe"), "HTTP 400, Bad Request"),
        (answer(204, b""), "HTTP 204, No Content"),
        (answer(200, b"<html>"), "what came is no JSON: is that the address of Prometheus?"),
        (answer(200, b""), "what came is no JSON: is that the address of Prometheus?"),
        (answer(200, b"\xff\xfe\xfd"), "what came is no JSON: is that the address of Prometheus?"),
        (answer(200, SERIES[:60]), "what came is no JSON: is that the address of Prometheus?"),
        (answer(200, SERIES, len(SERIES) + 10), "it broke off half-way"),
        (in_chunks(SERIES[:60], ended=False), "it broke off half-way"),
        (answer(200, REFUSED), "its JSON has no result"),
        (answer(200, b"[]"), "its JSON has no result"),
        (answer(200, b'{"data":null}'), "its JSON has no result"),
        (
            answer(302, b"", Location="https://user:secret@login.example/?next=x"),
            "HTTP 302, Found to login.example, and redirects are not followed: write the address that answers",
        ),
        (
            answer(307, b"", Location="/elsewhere"),
            "HTTP 307, Temporary Redirect to another path, and redirects are not followed: write the address that"
            " answers",
        ),
    ],
)
def test_an_unusable_answer_is_one_sentence(kind: str, respond: Respond, sentence: str) -> None:
    """It has the cause in one line, and neither the query nor a page of HTML."""
    assert error_of(respond, kind) == f"Prometheus gave no answer: {sentence}"


def test_json_that_is_nested_too_deeply_is_an_error() -> None:
    """And not an exception that would stop the operator."""
    assert error_of(answer(200, b"[" * 200_000)).startswith("Prometheus gave no answer: ")


def test_credentials_are_not_sent_to_another_server() -> None:
    """A redirect is not followed, because our headers would be sent along."""
    received: list[str] = []

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        received.append(str(handler.headers))
        answer(200, SERIES)(handler)

    with serving(elsewhere) as other, serving(answer(302, b"", Location=other)) as url:
        credentials = Credentials(token="secret", headers=(("X-Scope-OrgID", "team-a"),))
        with pytest.raises(MetricsLostError, match="redirects are not followed"):
            asyncio.run(Reader(connect(url, credentials=credentials)).raw(IRIS, 100, 130))
    assert received == []


@pytest.mark.parametrize(
    ("credentials", "sent"),
    [
        (Credentials(), {"Authorization": None}),
        (Credentials(token="abc.def"), {"Authorization": "Bearer abc.def"}),
        (Credentials(username="us", password="ü s"), {"Authorization": "Basic dXM6w7wgcw=="}),
        (Credentials(headers=(("X-Scope-OrgID", "team-a"),)), {"X-Scope-OrgID": "team-a", "Authorization": None}),
    ],
)
def test_a_request_has_the_given_credentials(
    credentials: Credentials, sent: dict[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no others: the client library would read a `.netrc` file."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    received: list[dict[str, str | None]] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        received.append({name: handler.headers.get(name) for name in sent})
        answer(200, SERIES)(handler)

    with serving(respond) as url:
        asyncio.run(Reader(connect(url, credentials=credentials)).raw(IRIS, 100, 130))
    assert received == [sent]


def test_a_slash_at_the_end_of_the_address_is_removed() -> None:
    """Prometheus redirects a path with two slashes in a row."""
    paths: list[str] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        paths.append(handler.path.partition("?")[0])
        answer(200, SERIES)(handler)

    with serving(respond) as url:
        asyncio.run(Reader(connect(f"{url}/prometheus/")).raw(IRIS, 100, 130))
    assert paths == ["/prometheus/api/v1/query"]


def test_a_refused_connection_is_an_error() -> None:
    """There is one attempt, and the sentence is the same each time."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        reader = Reader(connect(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(MetricsLostError, match=r"^Prometheus gave no answer: Connection refused$"):
            asyncio.run(reader.raw(IRIS, 100, 130))


def test_a_host_that_does_not_exist_is_an_error() -> None:
    """A misspelt setting, or no DNS."""
    with pytest.raises(MetricsLostError) as error:
        asyncio.run(Reader(connect("http://nowhere.invalid")).raw(IRIS, 100, 130))
    assert len(str(error.value)) < 100


@pytest.mark.parametrize("part", [b"", SERIES[:30]], ids=["nothing", "half a body"])
def test_an_answer_that_takes_too_long_is_an_error(part: bytes) -> None:
    """Before its first byte, or in the middle of it: the next evaluation is only seconds away."""
    released = threading.Event()
    with serving(after(released, part)) as url:
        try:
            with pytest.raises(MetricsLostError) as error:
                asyncio.run(Reader(connect(url, seconds=0.1)).raw(IRIS, 100, 130))
        finally:
            released.set()
    assert str(error.value) == "Prometheus gave no answer: it took too long"


def test_an_answer_that_never_ends_is_an_error() -> None:
    """Each byte comes in time, but the other runs cannot wait for the whole."""
    stopped = threading.Event()
    with serving(dribbling(stopped)) as url:
        try:
            with pytest.raises(MetricsLostError) as error:
                asyncio.run(Reader(connect(url, seconds=0.2)).raw(IRIS, 100, 130))
        finally:
            stopped.set()
    assert str(error.value) == "Prometheus gave no answer: it had not ended after 0.2 s"


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_is_too_long_is_not_read(status: int, packed: bool) -> None:
    """Hundreds of megabytes would kill the operator and stop all rollouts. Compressed, they may be only some kB."""
    body = b" " * 3_000_000
    respond = answer(status, gzip.compress(body), Content_Encoding="gzip") if packed else answer(status, body)
    assert (
        error_of(respond, max_bytes=2_000_000) == "Prometheus gave no answer: it is longer than 2 MB, and is not read"
    )


def test_an_unexpected_error_is_described_by_its_innermost_cause() -> None:
    """The messages of the errors around it have addresses in memory, and the URL with the whole query."""
    error = requests.ConnectionError("/api/v1/query?query=" + "x" * 5000)
    error.__cause__ = OSError(113, "No route to host")
    assert describe(error) == "No route to host"
    assert describe(requests.ConnectionError(ConnectionError("Connection aborted.", OSError("gone")))) == "gone"
    assert describe(OSError("x" * 5000)) == "x" * 200 + "..."
    assert describe(OSError()) == "OSError"
