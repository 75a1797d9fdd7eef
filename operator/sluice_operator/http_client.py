"""The HTTP client: one request, one answer, bounded in length and total time; whatever goes wrong is an HttpError.

It follows no redirect, unpacks nothing, keeps no cookies, and takes neither a proxy nor a login from the environment.
Why there is no answer is told in a few words, which never hold a query, a password or what a server has sent.
"""

import asyncio
import errno
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from sluice_operator import handshake
from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.telemetry.calls import measured

PLAIN = "identity"  # the only encoding that is asked for: a kilobyte that is compressed twice can be a gigabyte
_REDIRECTS = (301, 302, 303, 307, 308)
_IDLE_SECONDS = 4.0  # that a connection is kept: shorter than servers keep it, so that none is closed under a request
_HEADER_BYTES = 32_768  # of one header: some have more than the 8 KiB of the library; 128 are no more than a body


class HttpError(Exception):
    """There is no answer that could be used. `tls`: the failure of TLS, if it was one."""

    def __init__(self, message: str, tls: ssl.SSLError | None = None) -> None:
        super().__init__(message)
        self.tls = tls


class SlowError(HttpError):
    """The connection stands, and the answer takes too long."""


@dataclass(frozen=True, slots=True)
class Request:
    """`url` is sent as it is written. Without `trust`, the authorities of the system vouch for a server.

    `patience`: seconds until the connection stands, and for each read. `deadline`: of the whole answer, by the clock of
    the event loop. `max_bytes`: of a body; with 0 only the headers are read. `server_name`: for the TLS handshake, if
    that is not the host of the URL.
    """

    method: str
    url: str
    patience: float
    deadline: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a token
    content: bytes = b""
    max_bytes: int = 0
    trust: ssl.SSLContext | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The names of `headers` have no case. `redirect`: where to, as it came; such an answer is read without its body.

    `body`: as it came over the wire; None if it is too long, and then the rest was not read.
    """

    status: int
    headers: Mapping[str, str]
    redirect: str
    body: bytes | None


class Http(Protocol):
    """What sends requests."""

    async def ask(self, request: Request) -> Answer:
        """The answer, whatever its status is. Raises HttpError."""
        ...


class HttpClient:
    """`Http` over sockets. It is made inside a running event loop. Requests are counted as requests to `dependency`.

    `connections`: at a time, 0 for any number. `fresh`: each request opens one of its own. `resolver`: of host names;
    None is that of the system.
    """

    def __init__(
        self, dependency: str, *, connections: int = 0, fresh: bool = False, resolver: AbstractResolver | None = None
    ) -> None:
        self._dependency = dependency
        reuse: dict[str, Any] = {"force_close": True} if fresh else {"keepalive_timeout": _IDLE_SECONDS}
        connector = aiohttp.TCPConnector(limit=connections, resolver=resolver, **reuse)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Answer:
        """The answer, whatever its status is. Raises HttpError, also once this client is closed."""
        if self._session.closed:  # what asks in the background is not told that the process ends
            raise HttpError("this process ends")
        try:
            with measured(self._dependency, request.method.lower()) as call:
                async with asyncio.timeout_at(request.deadline):
                    answer = await self._send(request)
                call.answered(answer.status)
            return answer
        except aiohttp.ConnectionTimeoutError as error:
            raise HttpError(f"no connection within {request.patience:g} s") from error
        except TimeoutError as error:
            raise SlowError("it took too long") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = _tls_failure(error)
            raise HttpError(f"TLS fails, {handshake.reason(failure)}" if failure else _why(error), failure) from error

    async def _send(self, request: Request) -> Answer:
        async with self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers={**request.headers, "Accept-Encoding": PLAIN},
            data=request.content or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(connect=request.patience, sock_read=request.patience),
            ssl=request.trust or True,
            server_hostname=request.server_name,
        ) as response:
            redirect = response.headers.get("Location", "") if response.status in _REDIRECTS else ""
            is_read = request.max_bytes > 0 and not redirect
            body = await _body(response.content, request.max_bytes) if is_read else b""
            if body is None or not is_read:
                response.close()  # with its connection, on which the rest would still come
            return Answer(response.status, response.headers, redirect, body)


async def _body(content: aiohttp.StreamReader, max_bytes: int) -> bytes | None:
    body = bytearray()
    async for part in content.iter_any():
        body += part
        if len(body) > max_bytes:
            return None
    return bytes(body)


def _why(error: Exception) -> str:
    """Why there is no answer."""
    match error:
        case aiohttp.ClientConnectorDNSError(os_error=cause):
            return f"its name is not found ({in_one_line(cause.strerror or str(cause))})"
        case aiohttp.ClientConnectorError(os_error=cause):
            return _in_words(cause)
        case OSError():
            return _in_words(error)
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return "it broke off half-way"
        case aiohttp.ClientResponseError():
            return f"what came cannot be read as HTTP with headers of up to {_HEADER_BYTES // 1024} KiB"
        case ValueError():
            return "it cannot be asked: its address, or a header, is not well-formed"
        case _:
            return type(error).__name__


def _in_words(error: OSError) -> str:
    """The words of the system: those of the event loop are about its own calls, or missing."""
    number = errno.ECONNRESET if isinstance(error, ConnectionResetError) else error.errno
    return os.strerror(number) if number else in_one_line(str(error)) or type(error).__name__


def _tls_failure(error: BaseException | None) -> ssl.SSLError | None:
    """The failure of TLS that `error` came from, in the words of OpenSSL."""
    failed = None
    while error is not None:
        failed = error if isinstance(error, ssl.SSLError) else failed  # the library's own have neither reason nor code
        error = error.__cause__ or error.__context__
    return failed
