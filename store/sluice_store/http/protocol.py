"""uvicorn's protocol with limits for what comes before a request is known, and for clients that do not read.

Nobody needs a token for a connection and a head. A head has a size, a number of headers and a time; connections on
which nothing is asked have a number, and of more than that the one that waits longest is closed. A request that offers
another protocol is answered in this one, as RFC 9110 wants it; uvicorn would lose its body. The model server has some
of this too (`process/protocol.py` there); the two share no code, so that neither image needs the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 30.0  # for a head, from the connection or from its first bytes on
REST_SECONDS = 10.0  # in which at least REST_BYTES must come of a body whose request is answered already
REST_BYTES = 2 * 2**20
READ_SECONDS = 60.0  # for a client that does not read what is sent
MAX_HEAD = 16 * 1024  # bytes of the request line and the headers
MAX_HEADERS = 100  # each takes some hundred bytes, however short it is
MAX_PIPELINED = 20  # requests that wait on one connection
MAX_WAITING = 1_000  # connections without a request
_TOO_LARGE = b'{"detail":"the headers are too long: %d bytes and %d lines are the limit"}' % (MAX_HEAD, MAX_HEADERS)
_ANSWER = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"connection: close\r\n\r\n%b"
) % (len(_TOO_LARGE), _TOO_LARGE)
_OFFER = (b"upgrade", b"connection", b"http2-settings")


class Waiting:
    """The connections on which nothing is asked, in the order in which they began to wait."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._protocols: dict[Protocol, None] = {}

    def add(self, protocol: Protocol) -> None:
        """It waits from now on. If there are too many, the first one is closed."""
        self._protocols.setdefault(protocol)
        if len(self._protocols) > self._most:
            first = next(iter(self._protocols))
            self.remove(first)
            first.transport.close()

    def remove(self, protocol: Protocol) -> None:
        """It asks something, or is gone."""
        self._protocols.pop(protocol, None)


class _Deadline:
    """Does something once, some seconds after it was set, unless it is lifted before."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float, then: Callable[[], None]) -> None:
        """One that is set already stays as it is."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def lift(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Protocol(HttpToolsProtocol):
    """See the module. `waiting` is the one of the process."""

    def __init__(self, *args: Any, waiting: Waiting, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting = waiting
        self._waits = True  # nothing is asked: there is no request, or not all of its head
        self._reads_head = False
        self._offers_upgrade = False
        self._head_bytes = 0  # of a head that is not complete yet, as they came
        self._line_bytes = 0  # of its lines that are complete
        self._is_too_large = False
        self._rest_bytes = 0
        self._head, self._rest, self._read = _Deadline(), _Deadline(), _Deadline()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._waiting.add(self)
        self._head.set(HEAD_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
            return
        except HttpParserError:
            if self._is_too_large:
                self._refuse_head()
            else:
                self.send_400_response("Invalid HTTP request received.")
            return
        if self._waits or self._reads_head:
            self._head.set(HEAD_SECONDS, self.transport.close)
        if self._reads_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse_head()

    def _refuse_head(self) -> None:
        self.transport.write(_ANSWER)
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
        self._reads_head, self._head_bytes, self._line_bytes = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._reads_head:  # what comes after a body in chunks is no header
            return
        self._measure(len(name) + len(value))
        super().on_header(name, value)

    def _measure(self, line: int) -> None:
        """A whole head may come at once: what it has is kept as long as its connection is."""
        self._line_bytes += line
        if self._line_bytes > MAX_HEAD or len(self.headers) >= MAX_HEADERS:
            self._is_too_large = True
            raise ValueError("the head is too large")

    def on_headers_complete(self) -> None:
        self._reads_head = self._waits = False
        self._waiting.remove(self)
        self._head.lift()
        self._offers_upgrade = self.parser.should_upgrade()
        if not self._offers_upgrade:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._rest_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offers_upgrade:
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rest.lift()
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        if self.cycle.more_body:
            self._expect_rest()
        else:
            self._wait()

    def _wait(self) -> None:
        self._waits = True
        self._waiting.add(self)

    def _expect_rest(self) -> None:
        """The client may not read its answer before it has sent all; so all of it is read, if it comes."""
        self._rest_bytes = 0
        self._rest.set(REST_SECONDS, self._look_at_rest)

    def _look_at_rest(self) -> None:
        self._rest.lift()
        if self._rest_bytes < REST_BYTES:
            self.transport.close()
        else:
            self._expect_rest()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read.set(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read.lift()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.remove(self)
        for deadline in (self._head, self._rest, self._read):
            deadline.lift()
        super().connection_lost(exc)
