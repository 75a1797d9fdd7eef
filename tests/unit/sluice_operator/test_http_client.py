"""What the HTTP client sends, what it reads of an answer, and what it says if there is none; real sockets."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from sluice_operator.http_client import Answer, HttpClient, HttpError, Request, SlowError
from tests.unit.sluice_operator.certificates import Authority
from tests.unit.sluice_operator.loopback import Asked, Behaviour, client_of

Speaks = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NO_HTTP = "what came cannot be read as HTTP with headers of up to 32 KiB"
URL = "http://mlflow.example:5000/api?token=s3cret"


def request(url: str = URL, seconds: float = 10.0, method: str = "GET", **fields: Any) -> Request:
    fields = {"patience": seconds, "max_bytes": 1000, **fields}
    return Request(method, url, deadline=asyncio.get_running_loop().time() + seconds, **fields)


def asked(behaviour: Behaviour, url: str = URL, times: int = 1, **fields: Any) -> Answer:
    """The last answer to a few equal requests."""

    async def ask() -> Answer:
        async with client_of(behaviour) as client:
            for _ in range(times):
                answer = await client.ask(request(url, **fields))
            return answer

    return asyncio.run(asyncio.wait_for(ask(), 20))


def said_to(speaks: Speaks, scheme: str = "http", **fields: Any) -> HttpError:
    """Why there is no answer of a server that does this with each connection."""

    closed = asyncio.Event()

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await speaks(reader, writer)
        writer.close()
        closed.set()

    async def ask() -> None:
        listening = await asyncio.start_server(closing, "127.0.0.1", 0)
        address = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            async with listening, HttpClient("mlflow") as client:
                await client.ask(request(f"{address}/api?token=s3cret", **fields))
        finally:
            await closed.wait()

    with pytest.raises(HttpError) as error:
        asyncio.run(asyncio.wait_for(ask(), 20))
    assert "s3cret" not in str(error.value)
    return error.value


def with_answer(text: bytes) -> Speaks:
    async def speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)

    return speaks


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def resets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def test_a_request_is_sent_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is quoted anew, unpacked answers are asked for, and the environment adds no proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen: list[Asked] = []

    def note(asked: Asked) -> web.Response:
        seen.append(asked)
        return web.Response(text="ok")

    path = "/a%2Fb/../c?name=a%2Fb+c%26d%23e%C3%A9&x=%7e"
    answer = asked(note, f"http://mlflow.example:5000{path}", method="POST", headers={"Host": "h.x"}, content=b"body")
    assert (answer.status, answer.body) == (200, b"ok")
    assert [(one.method, one.path, one.body) for one in seen] == [("POST", path, b"body")]
    assert {name: seen[0].headers[name] for name in ("Host", "Accept-Encoding")} == {
        "Host": "h.x",
        "Accept-Encoding": "identity",
    }


def test_no_cookie_is_kept() -> None:
    """One registry of many tenants must not make a request another one's."""
    cookies: list[str | None] = []

    def cookie(asked: Asked) -> web.Response:
        cookies.append(asked.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "session=1"})

    asked(cookie, times=2)
    assert cookies == [None, None]


def test_a_redirect_is_an_answer() -> None:
    """It is not followed, and its body is not read."""
    seen: list[str] = []

    def elsewhere(asked: Asked) -> web.Response:
        seen.append(asked.path)
        return web.Response(status=302, headers={"Location": "/else?x#y"}, text="moved")

    answer = asked(elsewhere)
    assert (answer.status, answer.redirect, answer.body, len(seen)) == (302, "/else?x#y", b"", 1)


@pytest.mark.parametrize(("length", "body"), [(1000, b"x" * 1000), (1001, None)])
def test_a_body_is_read_up_to_its_bound(length: int, body: bytes | None) -> None:
    """One that is too long is none, with the status and the headers all the same."""
    answer = asked(lambda _: web.Response(text="x" * length))
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, body, str(length))


def test_a_packed_body_stays_packed() -> None:
    """Whoever asked sees the encoding, and can refuse it."""
    packed = gzip.compress(b" " * 100_000)
    answer = asked(lambda _: web.Response(body=packed, headers={"Content-Encoding": "gzip"}))
    assert (answer.body, answer.headers["Content-Encoding"]) == (packed, "gzip")


def test_a_long_header_is_read() -> None:
    """Lists of sources in a security policy are longer than 8 KiB."""
    answer = asked(lambda _: web.Response(headers={"Content-Security-Policy": "x" * 20_000}))
    assert len(answer.headers["content-security-policy"]) == 20_000


@pytest.mark.parametrize(("fresh", "connections"), [(True, 3), (False, 1)])
def test_connections_are_used_again_unless_fresh_ones_are_wanted(fresh: bool, connections: int) -> None:
    """What balances connections decides only once for each."""
    opened = 0

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def ask() -> None:
        listening = await asyncio.start_server(answers, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with listening, HttpClient("gateway", fresh=fresh) as client:
            for _ in range(3):
                await client.ask(request(address))

    asyncio.run(asyncio.wait_for(ask(), 20))
    assert opened == connections


@pytest.mark.parametrize(
    ("speaks", "sentence"),
    [
        (resets, "it closed the connection without an answer|Connection reset by peer"),
        (with_answer(b""), "it closed the connection without an answer"),
        (with_answer(b"HTTP/1.1 200 OK\r\nContent-Le"), "it closed the connection without an answer"),
        (with_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "it broke off half-way"),
        (
            with_answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            f"it broke off half-way|{NO_HTTP}",
        ),
        (with_answer(b"SSH-2.0-OpenSSH s3cret\r\n\r\n"), NO_HTTP),
        (with_answer(b"HTTP/1.1 200 OK\r\nX: " + b"s3cret" * 10_000 + b"\r\n\r\n"), NO_HTTP),
    ],
)
def test_an_answer_that_is_none_is_told_in_a_few_words(speaks: Speaks, sentence: str) -> None:
    """Without the query, and without what the server has sent."""
    error = said_to(speaks)
    assert str(error) in sentence.split("|")
    assert not isinstance(error, SlowError)


def test_a_server_that_does_not_answer_is_slow() -> None:
    """Its connection stands: the request has a deadline, and each read, too."""
    assert isinstance(said_to(silent, seconds=0.2), SlowError)

    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.01)

    assert isinstance(said_to(drips, seconds=0.2), SlowError)


def test_a_connection_that_is_not_made_in_time_is_not_slow() -> None:
    """Nothing was sent, so nobody took long to answer: here a handshake that nobody answers."""
    error = said_to(silent, "https", seconds=10.0, patience=0.2)
    assert (type(error), str(error)) == (HttpError, "no connection within 0.2 s")


def test_a_server_without_tls_is_told() -> None:
    """In the words of OpenSSL."""
    error = said_to(speaks_http, "https")
    assert error.tls is not None
    assert str(error) in ("TLS fails, wrong version number", "TLS fails, record layer failure")


async def speaks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


def refused_by(url: str, resolver: AbstractResolver | None = None, **fields: Any) -> str:
    async def ask() -> None:
        async with HttpClient("mlflow", resolver=resolver) as client:
            await client.ask(request(url, **fields))

    with pytest.raises(HttpError) as error:
        asyncio.run(asyncio.wait_for(ask(), 20))
    return str(error.value)


def test_a_port_where_nobody_listens_is_told() -> None:
    """Also for a name with several addresses."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert refused_by(f"http://127.0.0.1:{port}/") == "Connection refused"
        assert refused_by(f"http://localhost:{port}/") == "Connection refused"


class Nobody(AbstractResolver):
    """It knows no name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None: ...


def test_a_name_that_is_not_found_is_told() -> None:
    """In the words of the resolver."""
    assert refused_by(URL, Nobody()) == "its name is not found (Name or service not known)"


@pytest.mark.parametrize(
    "url", ["http://a..b:5000/", f"http://{'a' * 70}.example/", "http://h:99999/", "http://[1.2.3]/", "http:///x", "x"]
)
def test_an_address_that_is_none_is_told(url: str) -> None:
    """Users write addresses, and no library's error may come of one."""
    told = refused_by(url)
    assert told == "it cannot be asked: its address, or a header, is not well-formed" or "name is not found" in told


def test_a_closed_client_says_that_the_process_ends() -> None:
    """What asks in the background goes on for a moment while the process ends: that is no fault to be logged."""

    async def ask() -> None:
        async with HttpClient("mlflow") as client:
            pass
        await client.ask(request())

    with pytest.raises(HttpError, match="this process ends"):
        asyncio.run(ask())


def test_a_header_with_a_line_break_is_not_sent() -> None:
    """And is not shown, because it may be a token."""
    with pytest.raises(HttpError) as error:
        asked(lambda _: web.Response(), headers={"Authorization": "Bearer s3cret\r\nX: y"})
    assert str(error.value) == "it cannot be asked: its address, or a header, is not well-formed"


UNTRUSTED = "self-signed certificate in certificate chain|unable to get local issuer certificate"


@pytest.mark.parametrize(
    ("certified", "name", "trusted", "says"),
    [
        ("mlflow.example", None, True, ""),
        ("other.example", None, True, "Hostname mismatch, certificate is not valid for 'mlflow.example'."),
        ("other.example", "other.example", True, ""),
        ("mlflow.example", None, False, UNTRUSTED),
    ],
)
def test_a_certificate_is_checked_for_the_host_of_the_url(
    tmp_path: Path, certified: str, name: str | None, trusted: bool, says: str
) -> None:
    """Or for another name that the request has; a failure comes with OpenSSL's error."""
    authority = Authority.made(tmp_path / "ca")
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_cert_chain(*authority.pair("server", f"DNS:{certified}"))
    trust = ssl.create_default_context(cafile=authority.certificate if trusted else None)

    async def ask() -> str:
        async with client_of(lambda _: web.Response(), certificate) as client:
            try:
                await client.ask(request("https://mlflow.example/", trust=trust, server_name=name))
            except HttpError as error:
                return error.tls.verify_message if isinstance(error.tls, ssl.SSLCertVerificationError) else str(error)
        return ""

    assert asyncio.run(asyncio.wait_for(ask(), 20)) in says.split("|")
