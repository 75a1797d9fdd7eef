"""uvicorn's protocol with two more ways: small requests without a task, and clients that close their side.

Most predictions come as a whole, head and body, and the loop has their answer in its next turn. A task, and the
messages of ASGI, cost more than such a prediction. So the application is asked first whether it answers a request
`at_once`; if not, the request goes the usual way. Keep-alive, pipelining, back-pressure and the end of the process stay
uvicorn's: what is answered at once is one of its cycles, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from sluice_server.http.asgi import WHOLE_BODY, Headers

_HALF_OPEN = 1.0  # seconds that a client waits for an answer after it has closed its side
_EXTENSIONS: dict[str, dict[object, object]] = {WHOLE_BODY: {}}


class Exchange:
    """A request that has come as a whole, and that nobody has begun to answer."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: Protocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    @property
    def scope(self) -> Scope:
        """Its head, as ASGI has it."""
        return self._cycle.scope  # type: ignore[return-value]  # uvicorn's own type of the same

    @property
    def body(self) -> bytes:
        return bytes(self._cycle.body)

    def answer(self, content: bytes, headers: Headers) -> None:
        """Sends status 200; `headers` must be safe to send as they are, and have the length of the content."""
        self._protocol.answer(self._cycle, content, headers)

    def hand_on(self) -> None:
        """Gives the request to the application after all."""
        self._protocol.hand_on(self._cycle)


AtOnce: TypeAlias = Callable[[Exchange], bool]  # False: it does not, and the request goes the usual way


class Protocol(HttpToolsProtocol):
    """See the module.

    A client that closes its side of a connection after a request waits for its answer, or has gone: one cannot tell. So
    it gets an answer that comes soon; after that it counts as gone, and its rows do not wait for the model any longer.

    It also says when a body has come as a whole. That is nearly always with the head, and then nothing has to be
    prepared for a client that stops in the middle.
    """

    def __init__(self, *args: Any, at_once: AtOnce | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at_once = at_once
        self._reads_head = False
        self._held: RequestResponseCycle | None = None  # its body is still to come

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if (held := self._held) is not None:  # the rest of its body comes later
            self._held = None
            self.hand_on(held)

    def on_headers_complete(self) -> None:
        self._reads_head = True
        super().on_headers_complete()
        self._reads_head = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        plain = self._reads_head and cycle.keep_alive and not cycle.waiting_for_100_continue
        if plain and self._at_once is not None and not self.flow.write_paused:
            self._held = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.scope["extensions"] = _EXTENSIONS
        if (held := self._held) is not None:
            self._held = None
            if self._at_once is None or not self._at_once(Exchange(self, held)):
                self.hand_on(held)

    def hand_on(self, cycle: RequestResponseCycle) -> None:
        """Starts what answers all other requests."""
        super()._start_asgi_task(cycle, self.app)

    def answer(self, cycle: RequestResponseCycle, content: bytes, headers: Headers) -> None:
        """Sends all of a response, and goes on with the connection as uvicorn does."""
        cycle.response_started = cycle.response_complete = True
        if not self.transport.is_closing():
            lines = [b"%b: %b\r\n" % header for header in (*cycle.default_headers, *headers)]
            if not cycle.keep_alive:
                lines.append(b"connection: close\r\n")
            self.transport.write(b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (b"".join(lines), content))
            if not cycle.keep_alive:
                self.transport.close()
        self.on_response_complete()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always answers no
        """Whether the connection stays open."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        self.loop.call_later(_HALF_OPEN, self.transport.close)
        return True
