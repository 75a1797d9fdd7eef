"""The one ASGI application of both listening ports: which port a request came through, and who answers its path.

Small predictions are answered `at_once`, as the protocol under the application asks; that is a shorter way to the same
answer. Takes the correlation id, and hands the paths of the dialects to their endpoints and everything else to FastAPI.
Trailing slashes are dropped here, so they answer without a redirect.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice_server import logs
from sluice_server.http import model_archive
from sluice_server.http.asgi import BODY_SECONDS, CLOSE, RETRY, Headers, Unread, read_body, read_head, send_json
from sluice_server.http.intake import Intake
from sluice_server.http.predict import STOPPING, PredictEndpoint
from sluice_server.http.request import Exchange, Request, WholeRequest
from sluice_server.inference.readiness import Readiness
from sluice_server.inference.request_metrics import Meter
from sluice_server.model.identity import Identity

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")  # which no header may have
CLUSTER_ONLY = ("/metrics", model_archive.PATH)


class Dispatch:
    """`entries` maps a local port to its entry; it may be filled once the sockets are bound.

    `endpoints` maps the paths of predictions to their endpoints; `app` answers all other paths, which `meters` count by
    entry.
    """

    def __init__(
        self,
        app: ASGIApp,
        endpoints: Mapping[str, PredictEndpoint],
        readiness: Readiness,
        meters: Mapping[str, Meter],
        identity: Identity,
        correlation_header: str,
        client_header: str,
        intake: Intake,
        entries: Mapping[int, str],
    ) -> None:
        self._app = app
        self._endpoints = endpoints
        self._readiness = readiness
        self._meters = meters
        self._entries = entries
        self._intake = intake
        self._correlation_header = correlation_header.lower().encode()
        self._client_header = client_header.lower().encode()
        self._identity_headers = (
            (b"x-model-version", _CONTROL.sub(b"?", identity.version.encode("latin-1", "replace"))),
            (b"x-sluice-revision", identity.revision.encode()),
        )

    def at_once(self, exchange: Exchange) -> bool:
        """Has a prediction answered without a task; False, and nothing has happened, for every other request."""
        scope = exchange.scope
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is None or not endpoint.free or scope["method"] != "POST" or self._readiness.closing:
            return False
        head = read_head(scope, self._correlation_header, self._client_header)
        headers = (*self._identity_headers, (self._correlation_header, head.correlation_id.encode()))
        return endpoint.at_once(WholeRequest(exchange, head, self._entries[scope["server"][1]], headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = read_head(scope, self._correlation_header, self._client_header)
        logs.correlation_id.set(head.correlation_id)
        headers: Headers = (
            *self._identity_headers,
            (self._correlation_header, head.correlation_id.encode()),
            *((CLOSE,) if self._readiness.closing else ()),
        )
        entry = self._entries[scope["server"][1]]
        path = scope["path"]
        if path.endswith("/"):
            path = path.rstrip("/") or "/"
        endpoint = self._endpoints.get(path)
        if endpoint is not None and scope["method"] == "POST":
            await endpoint(Request(receive, send, head, entry, headers))
            return
        if not head.probe and not path.startswith(CLUSTER_ONLY):
            self._meters[entry].other()
        if endpoint is not None:
            await send_json(send, 405, {"detail": "send a POST"}, (*headers, (b"allow", b"POST")))
        elif entry != "cluster" and path.startswith(CLUSTER_ONLY):
            await send_json(send, 404, {"detail": f"{path} is on the cluster port only"}, headers)
        else:
            await self._fastapi({**scope, "path": path, "raw_path": path.encode()}, receive, send, headers)

    async def _fastapi(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        """FastAPI with the body limited and our headers on its responses. It answers HEAD as GET, without the body."""
        response = _Response(send, headers, only_head=scope["method"] == "HEAD")
        try:
            with self._intake.place() as place:
                if scope["method"] in {"POST", "PUT", "PATCH"}:
                    body = await read_body(receive, self._intake.max_body, place)
                    if isinstance(body, Unread):
                        await self._unread(body, send, headers)
                        return
                    receive = _replay(body, receive)
                await self._app({**scope, "method": "GET"} if response.only_head else scope, receive, response.send)
        except asyncio.CancelledError:
            if response.begun:
                raise
            await send_json(send, 503, {"detail": STOPPING.message}, (*headers, CLOSE, RETRY))

    async def _unread(self, why: Unread, send: Send, headers: Headers) -> None:
        """Answers a request whose body was not read, if there is anybody to answer."""
        if why is Unread.GONE:
            return
        code, detail, more = {
            Unread.TOO_LARGE: (413, f"the body is larger than {self._intake.max_body} bytes", ()),
            Unread.TOO_SLOW: (408, f"the body did not come within {BODY_SECONDS:g} s", ()),
            Unread.NO_ROOM: (429, self._intake.no_room.message, (RETRY,)),
        }[why]
        await send_json(send, code, {"detail": detail}, (*headers, CLOSE, *more))


class _Response:
    """The way of a response of FastAPI to the client: with our headers, and for HEAD without its body."""

    def __init__(self, send: Send, headers: Headers, only_head: bool) -> None:
        self.only_head = only_head
        self.begun = False
        self._send = send
        self._headers = headers

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            message["headers"] = [*message.get("headers", ()), *self._headers]
        elif self.only_head:
            message = {**message, "body": b""}
        await self._send(message)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body that was read already, then what really comes."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again
