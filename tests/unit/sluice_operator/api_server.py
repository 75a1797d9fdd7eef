"""Something that answers like an API server on a port of its own, for the client that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import test_utils, web
from kubernetes.aio import client


@asynccontextmanager
async def api_server(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[client.ApiClient]:
    """The client of a server that gives `answer` to everything."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with test_utils.TestServer(application) as server:
        configuration = client.Configuration(host=f"http://127.0.0.1:{server.port}")
        async with client.ApiClient(configuration) as api:
            yield api
