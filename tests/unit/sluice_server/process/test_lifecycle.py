"""What the protocol under the application tells it of a request."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from sluice_server.http.asgi import read_body, read_head, read_whole_body, send_json
from sluice_server.process.lifecycle import Protocol

HEAD = b"POST / HTTP/1.1\r\nhost: pod\r\ncontent-length: 2\r\n\r\n"


@pytest.mark.parametrize(("parts", "whole"), [((HEAD + b"{}",), True), ((HEAD, b"{}"), False)])
def test_a_body_that_came_with_its_head_is_not_waited_for(parts: tuple[bytes, ...], whole: bool) -> None:
    """The application is told so, and needs no time limit for it; every other body still has one."""

    async def talk() -> tuple[bool, bytes]:
        seen = asyncio.get_running_loop().create_future()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            head = read_head(scope, b"x-correlation-id")
            seen.set_result(head.whole)
            await (read_whole_body if head.whole else read_body)(receive, 10)
            await send_json(send, 200, {}, ())

        config = Config(app, log_config=None, lifespan="off")
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Protocol(config, ServerState(), {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.wait_for(asyncio.shield(seen), 30)
            answer = await asyncio.wait_for(reader.readline(), 30)
            writer.close()
        return seen.result(), answer

    assert asyncio.run(talk()) == (whole, b"HTTP/1.1 200 OK\r\n")
