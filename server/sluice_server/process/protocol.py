"""uvicorn's protocol with two more ways: small requests without a task, and clients that close their side.

Most predictions come as a whole, head and body, and the loop has their answer in its next turn. A task, and the
messages of ASGI, cost more than such a prediction. So the application is asked first whether it answers a request
`at_once`; if not, the request goes the usual way. Keep-alive, pipelining, back-pressure and the end of the process stay
uvicorn's: what is answered at once is one of its cycles, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from httptools import HttpParserError, HttpParserUpgrade
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from sluice_server.http.asgi import ADMITTED, WHOLE_BODY, Headers

HEAD_SECONDS = 30.0  # for a head, from the connection or from its first bytes on
MAX_PIPELINED = 100  # requests that wait on one connection; nobody sends so many on purpose
MAX_HEAD = 64 * 1024  # bytes of the request line and the headers; other servers allow less
MAX_HEADERS = 100  # each takes some hundred bytes of memory, however short it is
_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain\r\ncontent-length: 24\r\n"
    b"connection: close\r\n\r\nthe headers are too long"
)
_OFFER = (b"upgrade", b"connection", b"http2-settings")
_HALF_OPEN = 1.0  # seconds that a client waits for an answer after it has closed its side
_EXTENSIONS: dict[str, dict[object, object]] = {WHOLE_BODY: {}}
_ADMITTED: dict[str, dict[object, object]] = {WHOLE_BODY: {}, ADMITTED: {}}


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
        """Gives the request, which was admitted already, to the application after all."""
        self._cycle.scope["extensions"] = _ADMITTED
        self._protocol.hand_on(self._cycle)


AtOnce: TypeAlias = Callable[[Exchange], bool]  # False: it does not, and the request goes the usual way


class Protocol(HttpToolsProtocol):
    """See the module.

    A client that closes its side of a connection after a request waits for its answer, or has gone: one cannot tell. So
    it gets an answer that comes soon; after that it counts as gone, and its rows do not wait for the model any longer.

    It also says when a body has come as a whole. That is nearly always with the head, and then nothing has to be
    prepared for a client that stops in the middle.

    A request that offers another protocol, as some clients do with each one, is answered in this one, as RFC 9110 wants
    it; uvicorn would lose its body. A head has a limit, and what comes after a body in chunks is no part of it.
    """

    def __init__(self, *args: Any, at_once: AtOnce | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at_once = at_once
        self._reads_head = False
        self._offers_upgrade = False
        self._head_bytes = 0  # of a head that is not complete yet
        self._head_timer: asyncio.TimerHandle | None = None
        self._starts = False  # the head of the request that is read now is complete
        self._held: RequestResponseCycle | None = None  # its body is still to come
        self._running: RequestResponseCycle | None = None  # the application answers it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._expect_head()

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
            return
        except HttpParserError:
            if self._reads_head and len(self.headers) >= MAX_HEADERS:
                self._refuse_head()
            else:
                self.send_400_response("Invalid HTTP request received.")
            return
        if self._reads_head:
            self._expect_head()
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse_head()
        if (held := self._held) is not None:  # the rest of its body comes later
            self._held = None
            self.hand_on(held)

    def _refuse_head(self) -> None:
        self.transport.write(_HEAD_TOO_LARGE)
        self.transport.close()

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Reads the request again, without the offer and with the body that the parser has left over."""
        if self.parser.get_method() == b"CONNECT":
            self.send_400_response("This is no proxy.")
            return
        lines = [b"%b %b HTTP/1.1" % (self.parser.get_method(), self.url)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name not in _OFFER]
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")  # of which httptools makes an HttpParserError
        self._reads_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._reads_head:
            return
        if len(self.headers) >= MAX_HEADERS:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._reads_head = False
        self._head_came()
        self._offers_upgrade = self.parser.should_upgrade()
        if self._offers_upgrade:
            return
        self._starts = True
        super().on_headers_complete()
        self._starts = False

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        plain = self._starts and cycle.keep_alive and not cycle.waiting_for_100_continue
        if plain and self._at_once is not None and not self.flow.write_paused:
            self._held = cycle
        else:
            self._running = cycle
            super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        if self._offers_upgrade:
            return
        super().on_message_complete()
        self.scope["extensions"] = _EXTENSIONS
        if (held := self._held) is not None:
            self._held = None
            if self._at_once is None or not self._at_once(Exchange(self, held)):
                self.hand_on(held)

    def hand_on(self, cycle: RequestResponseCycle) -> None:
        """Starts what answers all other requests."""
        self._running = cycle
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

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn tells the request that came last; the one that is being answered must know it, too."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self._head_came()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always answers no
        """Whether the connection stays open."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        self.loop.call_later(_HALF_OPEN, self.transport.close)
        return True
