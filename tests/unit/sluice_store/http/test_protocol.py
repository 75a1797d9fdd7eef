"""What happens on a connection before a request is known, and after it is answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from sluice_store.http import protocol as protocol_module
from sluice_store.http.protocol import MAX_HEAD, MAX_HEADERS, REST_BYTES, Protocol, Waiting

pytestmark = pytest.mark.anyio
PATIENCE = 30.0
SOON = 0.02  # seconds, as a limit of time
GET = b"GET / HTTP/1.1\r\nhost: store\r\n\r\n"
OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"


@dataclass
class Application:
    """Answers with the body of the request; at `/early` before it has come."""

    paths: list[str] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        self.headers = [name for name, _ in scope["headers"]]
        body, more = b"", scope["path"] != "/early"
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends until nobody is there."""
    await receive()
    gone = asyncio.ensure_future(receive())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not gone.done():
        await send({"type": "http.response.body", "body": bytes(2**18), "more_body": True})
        await asyncio.sleep(0)
    scope["state"]["gone"].set()


@dataclass
class Connection:
    """A client's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def end(self) -> bytes:
        """What still comes until the store closes the connection."""
        came = b""
        with contextlib.suppress(ConnectionResetError):
            while part := await self.reader.read(2**16):
                came += part
        return came


@dataclass
class Server:
    """A store on loopback."""

    port: int
    clients: list[Connection] = field(default_factory=list)

    async def connect(self, *parts: bytes) -> Connection:
        self.clients.append(connection := Connection(*await asyncio.open_connection("127.0.0.1", self.port)))
        await connection.send(*parts)
        return connection


@asynccontextmanager
async def serving(app: object, waiting: Waiting | None = None, **state: object) -> AsyncIterator[Server]:
    """Within a limit of time for the whole scene."""
    config = Config(app, log_config=None, lifespan="off", interface="asgi3", proxy_headers=False)  # type: ignore[arg-type]
    shared = waiting or Waiting()

    def protocol() -> Protocol:
        return Protocol(config, ServerState(), state, waiting=shared)

    listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    server = Server(listening.sockets[0].getsockname()[1])
    async with listening, asyncio.timeout(PATIENCE):
        yield server
        for client in server.clients:
            client.writer.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()


def post(body: bytes, *lines: bytes, path: bytes = b"/", length: int | None = None) -> bytes:
    head = [b"POST %b HTTP/1.1" % path, b"host: store", b"content-length: %d" % (length or len(body))]
    return b"\r\n".join([*head, *lines]) + b"\r\n\r\n" + body


async def test_requests_are_answered_one_after_the_other() -> None:
    """Limits do not touch what clients do: many headers, a body in parts, several requests on a connection."""
    headers = [b"x-%d: %b" % (number, b"y" * 100) for number in range(MAX_HEADERS - 10)]
    async with serving(app := Application()) as server:
        client = await server.connect(post(b"one", *headers), GET, post(b"three")[:-2])
        assert [await client.answer() for _ in range(2)] == [(200, b"one"), (200, b"")]
        await client.send(b"ee")
        assert await client.answer() == (200, b"three")
    assert app.paths == ["/"] * 3


@pytest.mark.parametrize(
    "head",
    [
        b"x: " + b"y" * MAX_HEAD,
        b"a:b\r\n" * (MAX_HEADERS + 2),
        b"a:b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"x: " + b"y" * MAX_HEAD + b"\r\n\r\n",
    ],
)
async def test_a_head_has_a_limit(head: bytes) -> None:
    """Of bytes, and of lines, which take much more memory than they have bytes. Nothing is asked then."""
    async with serving(app := Application()) as server:
        client = await server.connect(b"GET / HTTP/1.1\r\n", head)
        status, told = await client.answer()
        assert (status, b"are the limit" in told) == (431, True)
        assert await client.end() == b""
    assert app.paths == []


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost"])
async def test_a_head_has_a_limit_of_time(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of which nothing comes."""
    monkeypatch.setattr(protocol_module, "HEAD_SECONDS", SOON)
    async with serving(Application()) as server:
        assert await (await server.connect(sent)).end() == b""


@pytest.mark.parametrize("sent", [b"\r\n", b"GET / HTTP/1.1\r\nhost"])
async def test_a_head_after_another_request_has_a_limit_of_time(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty lines are none."""
    async with serving(Application()) as server:
        client = await server.connect(GET)
        assert await client.answer() == (200, b"")
        monkeypatch.setattr(protocol_module, "HEAD_SECONDS", SOON)
        await client.send(sent)
        assert await client.end() == b""


async def test_of_too_many_connections_the_first_that_waits_is_closed() -> None:
    """One more client is always heard, and a request that is under way is not ended."""
    async with serving(Application(), Waiting(most=2)) as server:
        busy = await server.connect(post(b"bo", length=4))
        clients = [await server.connect(GET) for _ in range(4)]
        answers = [await client.answer() for client in clients]
        assert answers == [(200, b"")] * 4
        for client in clients[:2]:
            assert await client.end() == b""
        await busy.send(b"dy")
        assert await busy.answer() == (200, b"body")


async def test_the_rest_of_a_refused_body_is_waited_for_while_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the client gets to read its answer, and can go on with the connection."""
    async with serving(app := Application()) as server:
        client = await server.connect(post(b"b", path=b"/early", length=5))
        assert await client.answer() == (200, b"")
        await client.send(b"ody!", GET)
        assert await client.answer() == (200, b"")
        assert app.paths == ["/early", "/"]
        monkeypatch.setattr(protocol_module, "REST_SECONDS", SOON)
        client = await server.connect(post(b"b", path=b"/early", length=2 * REST_BYTES))
        assert await client.answer() == (200, b"")
        assert await client.end() == b""


async def test_a_client_that_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read for it is forgotten."""
    monkeypatch.setattr(protocol_module, "READ_SECONDS", SOON)
    async with serving(streaming, gone=(gone := asyncio.Event())) as server:
        await server.connect(GET)
        await gone.wait()


async def test_thousands_of_requests_at_once_are_refused() -> None:
    """They would all be kept until the first ones are answered."""
    async with serving(app := Application()) as server:
        client = await server.connect(GET * 2_000)
        assert b"HTTP/1.1 400" in await client.end()
    assert len(app.paths) < 100


async def test_an_offer_of_another_protocol_is_not_taken() -> None:
    """The body is neither lost nor read as the next request. This is no proxy, either."""
    request = post(GET, OFFER.removesuffix(b"\r\n"))
    async with serving(app := Application()) as server:
        for parts in ([request], [request[:-9], request[-9:]]):
            assert await (await server.connect(*parts)).answer() == (200, GET)
        assert b"400" in await (await server.connect(b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n")).end()
    assert app.paths == ["/"] * 2


async def test_what_follows_a_body_in_chunks_is_no_header() -> None:
    """Somebody in between may have checked the headers, and not these."""
    head = b"POST / HTTP/1.1\r\nhost: store\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serving(app := Application()) as server:
        client = await server.connect(head + b"2\r\nhi\r\n0\r\nauthorization: Bearer x\r\n\r\n")
        assert await client.answer() == (200, b"hi")
    assert b"authorization" not in app.headers
