"""Requests to MLflow's REST API: bounded in time and length, and each bad answer is one kind of error with a sentence.

The sentences appear in status and in events. So none of them holds a password, a query or a page of HTML.
"""

import asyncio
import base64
import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.observation import Denied
from sluice_operator.credentials import tls
from sluice_operator.credentials.entries import Credentials
from sluice_operator.http_client import PLAIN, Answer, Http, HttpError, Request, SlowError
from sluice_operator.mlflow.connection import Login

_TIMEOUT_SECONDS = 5.0  # for the whole answer: a server that sends a byte now and then must not keep us
_MAX_BYTES = 4_000_000
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T")


class _Told(msgspec.Struct):
    """What MLflow answers instead of what was asked for."""

    error_code: str = ""
    message: str = ""


class NotFoundError(Exception):
    """MLflow answered that there is no such thing."""


class DeniedError(Exception):
    """The registry may not be asked, or refuses the login."""

    def __init__(self, denied: Denied) -> None:
        super().__init__(denied.message)
        self.denied = denied


class UnusableError(Exception):
    """There is no answer, or it is not MLflow's. The message says what came instead."""


@dataclass(frozen=True, slots=True)
class Api:
    """MLflow's REST API at one address. Its methods raise NotFoundError, DeniedError or UnusableError."""

    http: Http
    base: str
    login: Login

    async def get(self, form: type[T], path: str, **params: str) -> T:
        """The answer in its form. Raises msgspec.ValidationError as well, whose message repeats nothing of it."""
        return await self._ask(form, "GET", f"{path}?{urlencode(params)}" if params else path)

    async def post(self, path: str, body: dict[str, str | bool]) -> None:
        await self._ask(dict[str, Any], "POST", path, json.dumps(body).encode())

    async def _ask(self, form: type[T], method: str, path: str, content: bytes = b"") -> T:
        typed = {"Content-Type": "application/json"} if content else {}
        request = Request(
            method,
            f"{self.base}/api/2.0/mlflow/{path}",
            patience=_TIMEOUT_SECONDS,
            deadline=asyncio.get_running_loop().time() + _TIMEOUT_SECONDS,
            headers={**_headers(self.login.credentials), **typed},
            content=content,
            max_bytes=_MAX_BYTES,
            trust=self.login.trust,
        )
        try:
            answer = await self.http.ask(request)
        except SlowError as error:
            raise UnusableError(f"it took more than {_TIMEOUT_SECONDS:g} s") from error
        except HttpError as error:
            raise UnusableError(tls.describe(error.tls) if error.tls else str(error)) from error
        return self._read(answer, form)

    def _read(self, answer: Answer, form: type[T]) -> T:
        status = answer.status
        if answer.redirect:
            hint = "redirects are not followed: write the address that answers, with its path"
            raise UnusableError(f"HTTP {status} to {_place(answer.redirect)}, and {hint}")
        content = _content(answer)
        if status in (401, 403):
            raise DeniedError(_login_refused(self.base, self.login, status, content))
        try:
            if status < 400:
                return msgspec.json.decode(content, type=form)
            told = msgspec.json.decode(content, type=_Told)
        except msgspec.ValidationError:
            if status < 400:
                raise
            told = _Told()
        except _NOT_JSON:
            raise UnusableError(_no_api(self.base, status, content)) from None
        if status in (400, 404) and told.error_code in _ABSENT:
            raise NotFoundError(in_one_line(told.message))
        if status == 404:
            raise UnusableError(_no_api(self.base, status, content))
        said = in_one_line(told.message or told.error_code) or "its JSON is not an answer of MLflow"
        raise UnusableError(f"HTTP {status}, {said}")


def _place(location: str) -> str:
    """The host that a redirect leads to, without user and password."""
    try:
        host = urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        return "what is no address"
    return in_one_line(host) or "another path"


def _content(answer: Answer) -> bytes:
    if (encoding := answer.headers.get("Content-Encoding", PLAIN)) != PLAIN:
        raise UnusableError(f"it is compressed ({in_one_line(encoding)}), which was not asked for")
    if answer.body is None:
        raise UnusableError(f"it is longer than {_MAX_BYTES // 1_000_000} MB, and is not read")
    return answer.body


def _headers(credentials: Credentials) -> dict[str, str]:
    if credentials.token:
        return {**dict(credentials.headers), "Authorization": f"Bearer {credentials.token}"}
    if credentials.username:
        pair = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
        return {**dict(credentials.headers), "Authorization": f"Basic {pair}"}
    return dict(credentials.headers)


def _login_refused(base: str, login: Login, status: int, content: bytes) -> Denied:
    if b"Invalid Host header" in content:
        host = urlsplit(base).netloc
        hint = f"start it with --allowed-hosts {host} in addition to its other hosts"
        return Denied("RegistryHostRefused", f"MLflow at {base} does not answer to this host name: {hint}")
    if not login.where:
        hint = "name a Secret with token, or username and password, in model.registry.credentialsSecret"
        return Denied("RegistryLoginRefused", f"MLflow at {base} asks for a login (HTTP {status}): {hint}")
    does = "does not accept the credentials" if status == 401 else "does not allow this with the credentials"
    hint = "correct them" if status == 401 else "give that user the right to read the model, or correct them"
    if status == 403 and not urlsplit(base).path:  # MLflow's app for logins allows no path that it does not know
        hint += "; or is the path missing in the address?"
    return Denied("RegistryLoginRefused", f"MLflow at {base} {does} in {login.where} (HTTP {status}): {hint}")


def _no_api(base: str, status: int, content: bytes) -> str:
    """What was found at an address that does not have MLflow's API, and the likely cause."""
    text = content[:65_536].decode(errors="replace")
    title = re.search(r"<title[^<>]*>([^<]*)", text, re.IGNORECASE)
    named = f" ({in_one_line(unescape(title[1]))!r})" if title and title[1].strip() else ""
    found = f"a page of HTML{named}" if text.lstrip().startswith("<") else "something else"
    likely = "is the address right, with its path, such as " + f"{base}/mlflow?"
    return f"HTTP {status} with {found} where MLflow's API should be: {likely}"
