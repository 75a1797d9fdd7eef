"""HTTP to Prometheus that does no harm: answers of bounded length and time, and each trouble as one short sentence.

The sentences end up in status and in events, so none of them holds a query, a password, an address in memory or a page
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

from sluice_operator.prometheus import tls
from sluice_operator.prometheus.credentials import Credentials

_PART = 65_536  # bytes read at once, at most
_LONGEST = 200  # characters of what others say


class AnswerError(requests.RequestException):
    """An answer that is of no use. The text says why."""


class _Refusal(msgspec.Struct):
    """What Prometheus says with any status but 200."""

    error: str


class _Bounded:
    """The body of an answer, up to so many bytes, unpacked, and so many seconds in all.

    The client's own timeout is that of each read, so that one byte now and then would keep it for hours.
    """

    def __init__(self, body: Any, seconds: float, most: int) -> None:
        self._body = body
        self._seconds, self._most = seconds, most

    def stream(self, size: int, decode_content: bool) -> Iterator[bytes]:
        """In parts, as they come."""
        taken, until = 0, time.monotonic() + self._seconds
        while part := self._body.read1(min(size, _PART), decode_content=decode_content):
            taken += len(part)
            if taken > self._most:
                raise AnswerError(f"it is longer than {self._most / 1e6:g} MB, and is not read")
            if time.monotonic() > until:
                raise AnswerError(f"it had not ended after {self._seconds:g} s")
            yield part

    def close(self) -> None:
        self._body.close()


def bounded(seconds: float, most: int, credentials: Credentials) -> requests.Session:
    """One that raises AnswerError for answers that take longer, or more bytes, or have another status than 200.

    A redirect is such an answer: what is sent with a request is meant for one server, and for no other.
    """
    found = requests.Session()
    found.hooks["response"].append(partial(_read, seconds=seconds, most=most))
    found.auth = partial(_authorized, credentials=credentials)  # always set, or a .netrc would be asked
    found.headers.update(credentials.headers)
    return found


def said(error: Exception) -> str:
    """What went wrong in asking, for the person paged."""
    cause = _first(error)
    match error:
        case _ if isinstance(cause, TimeoutError | requests.Timeout):
            return "it took too long"
        case _ if isinstance(cause, ssl.SSLError):
            return tls.said(cause)
        case requests.JSONDecodeError():
            return "what came is no JSON: is that the address of Prometheus?"
        case requests.exceptions.ChunkedEncodingError():
            return "it broke off half-way"
        case KeyError() | TypeError():
            return "its JSON has no result"
        case _:
            text = cause.strerror if isinstance(cause, OSError) else None
            return _short(text or str(cause) or type(cause).__name__)


def _read(response: requests.Response, *, seconds: float, most: int, **_: Any) -> None:
    """Read it at once, while its length is looked after."""
    response.raw = _Bounded(response.raw, seconds, most)
    try:
        body = response.content
    except requests.RequestException:
        response.close()
        raise
    if response.status_code != requests.codes.ok:
        raise AnswerError(f"HTTP {response.status_code}, {_reason(body) or response.reason}{_hint(response)}")


def _authorized(request: requests.PreparedRequest, *, credentials: Credentials) -> requests.PreparedRequest:
    if credentials.token:
        request.headers["Authorization"] = f"Bearer {credentials.token}"
    elif credentials.username:
        HTTPBasicAuth(credentials.username.encode(), credentials.password.encode())(request)
    return request


def _hint(response: requests.Response) -> str:
    """What to do about an answer of this status, where that is known."""
    if response.is_redirect:
        host = urlsplit(response.headers["location"]).netloc.rpartition("@")[2]
        return f" to {host or 'another path'}, and redirects are not followed: write the address that answers"
    return ": are its credentials right?" if response.status_code in (401, 403) else ""


def _reason(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _first(error: BaseException) -> BaseException:
    """What is below all others: their texts repeat the URL, and with it the query."""
    while True:
        wrapped = error.args[-1] if error.args and isinstance(error.args[-1], BaseException) else None
        below = error.__cause__ or error.__context__ or wrapped
        if below is None:
            return error
        error = below


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}..."
