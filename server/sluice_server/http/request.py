"""A request for a prediction on its way: what comes of it, what it gets, and how long the server takes for that."""

from __future__ import annotations

import time
from typing import Protocol

import msgspec
from starlette.types import Receive, Scope, Send

from sluice_server.http.asgi import Headers, RequestHead, send_body
from sluice_server.http.dialects.port import Body
from sluice_server.inference.prediction import Prediction
from sluice_server.model.schema import Rows


class Request(msgspec.Struct, frozen=True):
    """One request as it is dispatched: `headers` go into every response."""

    receive: Receive
    send: Send
    head: RequestHead
    entry: str
    headers: Headers


class Exchange(Protocol):
    """A request that has come as a whole, head and body, and the connection that waits for its answer."""

    @property
    def scope(self) -> Scope:
        """Its head, as ASGI has it."""

    @property
    def body(self) -> bytes: ...

    def answer(self, content: bytes, headers: Headers) -> None:
        """Sends status 200."""

    def hand_on(self) -> None:
        """Has it answered the usual way after all."""


class WholeRequest(msgspec.Struct, frozen=True, gc=False):
    """One request as it is dispatched before it has a task: `headers` go into its response."""

    exchange: Exchange
    head: RequestHead
    entry: str
    headers: Headers


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The end of a request, with what it gets: no `body` if its client went away. `prediction`: what was predicted for
    its `rows`, if anything.
    """

    code: int
    body: Body | None = None
    headers: Headers = ()
    rows: Rows | None = None
    prediction: Prediction | None = None

    async def send(self, request: Request) -> None:
        """Sends it, if there is anybody to get it."""
        if self.body is not None:
            await send_body(request.send, self.code, self.body.content, self.headers, self.body.content_type)


class Stopwatch:
    """The seconds that the server takes: without those for the body to come, or for the client to read the answer."""

    __slots__ = ("_began", "_seconds")

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._began = time.perf_counter()
        self._seconds: float | None = None

    def stop(self) -> float:
        """The seconds since the start, or until the first stop after it."""
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._began
        return self._seconds
