"""Small gateways on loopback for tests: what each request gets is a function, and every request is kept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sluice_operator.api import names

HOST = "iris.example.com"


@dataclass(frozen=True)
class Asked:
    """One request as a gateway got it. `server_name`: the SNI of its connection."""

    method: str
    path: str
    headers: Mapping[str, str]
    server_name: str | None = None


@dataclass(frozen=True)
class Reply:
    """What a gateway answers. `silent`: it keeps the connection and answers nothing."""

    status: int = 200
    revision: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    silent: bool = False


Behaviour = Callable[[Asked], Reply]


@dataclass
class FakeGateway:
    port: int = 0
    asked: list[Asked] = field(default_factory=list)

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def https(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(behaviour: Behaviour, certificate: ssl.SSLContext | None = None) -> AsyncIterator[FakeGateway]:
    """A gateway that listens on a free port, with TLS if there is a certificate."""
    gateway, server_names, open_ones = FakeGateway(), list[str | None](), set[asyncio.StreamWriter]()
    if certificate is not None:
        certificate.sni_callback = lambda _connection, name, _context: server_names.append(name)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        asked = Asked(method, path, headers, server_names[-1] if server_names else None)
        gateway.asked.append(asked)
        reply = behaviour(asked)
        if reply.silent:
            await reader.read()  # until the client gives up
        else:
            await reader.read(int(headers.get("content-length", "0")))
            revision = {names.HEADER_REVISION: reply.revision} if reply.revision else {}
            answered = {"Content-Length": str(len(reply.body)), "Connection": "close", **revision, **reply.headers}
            shown = "".join(f"{name}: {value}\r\n" for name, value in answered.items())
            writer.write(f"HTTP/1.1 {reply.status} X\r\n{shown}\r\n{reply.body}".encode())
        writer.close()
        open_ones.discard(writer)

    server = await asyncio.start_server(connection, "127.0.0.1", 0, ssl=certificate)
    gateway.port = server.sockets[0].getsockname()[1]
    async with server:
        yield gateway
        for writer in open_ones:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in open_ones), return_exceptions=True)
