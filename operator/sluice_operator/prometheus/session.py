"""HTTP sessions for Prometheus: answers are bounded in length and time, and each error becomes one short sentence.

The sentences appear in status and in events. So none of them holds a query, a password, an address in memory or a page
of HTML.
"""

import ssl
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests
from requests.auth import HTTPBasicAuth

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.credentials import tls
from sluice_operator.credentials.entries import Credentials
from sluice_operator.telemetry.calls import measured

_PART_BYTES = 65_536  # read at once, at most


class _MeasuredSession(requests.Session):
    """Its requests are counted. The query is not looked at: only whether it is one for a range of time."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        operation = "query_range" if urlsplit(request.url or "").path.endswith("/query_range") else "query"
        with measured("prometheus", str(operation)) as call:
            try:
                return super().send(request, **options)
            except AnswerError as error:
                if error.response is not None:
                    call.answered(error.response.status_code)
                raise


class _Answer(requests.Response):
    """An answer that has been read. Its JSON, which can have megabytes, is decoded in a fraction of the usual time."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        vars(self).update(vars(response))

    def json(self, **options: Any) -> Any:
        try:
            return msgspec.json.decode(self.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return super().json(**options)  # raises the error of the library


class AnswerError(requests.RequestException):
    """An answer that cannot be used. The message says why."""


class TooLongError(AnswerError):
    """An answer that is longer than its bound, and was not read."""


class _Refusal(msgspec.Struct):
    """The JSON of Prometheus with a status other than 200."""

    error: str


class _Bounded:
    """The body of an answer, of at most `max_bytes` after unpacking, within `seconds` in total.

    The client's own timeout is for each single read: a server that sends a byte now and then would keep it for hours.
    """

    def __init__(self, body: Any, seconds: float, max_bytes: int) -> None:
        self._body = body
        self._seconds, self._max_bytes = seconds, max_bytes

    def stream(self, size: int, decode_content: bool) -> Iterator[bytes]:
        """The body in parts. Raises AnswerError."""
        received, until = 0, time.monotonic() + self._seconds
        while part := self._body.read1(min(size, _PART_BYTES), decode_content=decode_content):
            received += len(part)
            if received > self._max_bytes:
                raise TooLongError(f"it is longer than {self._max_bytes / 1e6:g} MB, and is not read")
            if time.monotonic() > until:
                raise AnswerError(f"it had not ended after {self._seconds:g} s")
            yield part

    def close(self) -> None:
        self._body.close()


def bounded(seconds: float, max_bytes: int, credentials: Credentials) -> requests.Session:
    """A session that raises AnswerError for answers that take longer, are longer, or have another status than 200.

    A redirect is such an answer, too: credentials are for one server and must not be sent to another.
    """
    session = _MeasuredSession()
    session.hooks["response"].append(partial(_read, seconds=seconds, max_bytes=max_bytes))
    session.auth = partial(_authorized, credentials=credentials)  # always set, or a .netrc file would be used
    session.headers.update(credentials.headers)
    return session


def is_too_long(error: Exception) -> bool:
    """Whether a query failed because of the length of its answer."""
    return isinstance(_innermost(error), TooLongError)


def describe(error: Exception) -> str:
    """Why a query failed, in one short sentence for the person who is paged."""
    cause = _innermost(error)
    match error:
        case _ if isinstance(cause, TimeoutError | requests.Timeout):
            return "it took too long"
        case _ if isinstance(cause, ssl.SSLError):
            return tls.describe(cause)
        case requests.JSONDecodeError():
            return "what came is no JSON: is that the address of Prometheus?"
        case requests.exceptions.ChunkedEncodingError():
            return "it broke off half-way"
        case KeyError() | TypeError():
            return "its JSON has no result"
        case _:
            text = cause.strerror if isinstance(cause, OSError) else None
            return in_one_line(text or str(cause) or type(cause).__name__)


def _read(response: requests.Response, *, seconds: float, max_bytes: int, **_: Any) -> _Answer:
    """The whole answer, read now within its bounds. Raises AnswerError."""
    response.raw = _Bounded(response.raw, seconds, max_bytes)
    try:
        body = response.content
    except requests.RequestException:
        response.close()
        raise
    if response.status_code != requests.codes.ok:
        message = f"HTTP {response.status_code}, {_reason(body) or response.reason}{_hint(response)}"
        raise AnswerError(message, response=response)
    return _Answer(response)


def _authorized(request: requests.PreparedRequest, *, credentials: Credentials) -> requests.PreparedRequest:
    if credentials.token:
        request.headers["Authorization"] = f"Bearer {credentials.token}"
    elif credentials.username:
        HTTPBasicAuth(credentials.username.encode(), credentials.password.encode())(request)
    return request


def _hint(response: requests.Response) -> str:
    """What to do about an answer of this status, if that is known."""
    if response.is_redirect:
        host = urlsplit(response.headers["location"]).netloc.rpartition("@")[2]
        return f" to {host or 'another path'}, and redirects are not followed: write the address that answers"
    match response.status_code:
        case 401 | 403:
            return ": are its credentials right?"
        case 404:
            return ": is that the address of Prometheus, with its path?"
        case _:
            return ""


def _reason(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _innermost(error: BaseException) -> BaseException:
    """The innermost cause: the messages of the errors around it repeat the URL, and with it the query."""
    while True:
        wrapped = error.args[-1] if error.args and isinstance(error.args[-1], BaseException) else None
        inner = error.__cause__ or error.__context__ or wrapped
        if inner is None:
            return error
        error = inner
