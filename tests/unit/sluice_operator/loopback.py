"""A client for which every host name is one small server on loopback: what each request gets is a function."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import test_utils, web
from aiohttp.abc import AbstractResolver, ResolveResult

from sluice_operator.http_client import HttpClient


@dataclass(frozen=True)
class Asked:
    """One request as the server got it. `path`: with the query, as it came."""

    method: str
    url: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Behaviour = Callable[[Asked], web.StreamResponse]


class EveryName(AbstractResolver):
    """All host names lead to one port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)
        return [found]

    async def close(self) -> None: ...


@asynccontextmanager
async def client_of(
    behaviour: Behaviour, certificate: ssl.SSLContext | None = None, dependency: str = "mlflow"
) -> AsyncIterator[HttpClient]:
    """A client of such a server, which speaks TLS if there is a certificate."""

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        return behaviour(Asked(request.method, str(request.url), request.path_qs, request.headers, body))

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    server = test_utils.TestServer(application, scheme="https" if certificate else "http")
    await server.start_server(ssl=certificate)
    try:
        assert server.port is not None
        async with HttpClient(dependency, resolver=EveryName(server.port)) as client:
            yield client
    finally:
        await server.close()
