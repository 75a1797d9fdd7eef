"""Requests to MLflow's REST API: bounded in time and length, and each bad answer is one kind of error with a sentence.

The sentences appear in status and in events. So none of them holds a password, a query or a page of HTML.
"""

import asyncio
import base64
import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import httpx

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.observation import Denied
from sluice_operator.credentials.entries import Credentials
from sluice_operator.mlflow.connection import Login

_TIMEOUT_SECONDS = 5.0  # for the whole answer: a server that sends a byte now and then must not keep us
_MAX_BYTES = 4_000_000
_PLAIN = "identity"  # a kilobyte that is compressed twice can be a gigabyte
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


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

    base: str
    login: Login

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        return await self._ask("POST", path, json=body)

    async def _ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        request = self.login.client.build_request(
            method,
            f"{self.base}/api/2.0/mlflow/{path}",
            headers={**_headers(self.login.credentials), "Accept-Encoding": _PLAIN},
            timeout=_TIMEOUT_SECONDS,
            **content,
        )
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return self._read(*await _answer(self.login.client, request))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UnusableError(f"it took more than {_TIMEOUT_SECONDS:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnusableError(in_one_line(str(error)) or type(error).__name__) from error

    def _read(self, response: httpx.Response, content: bytes) -> dict[str, Any]:
        status = response.status_code
        if response.has_redirect_location:
            host = urlsplit(response.headers["location"]).netloc.rpartition("@")[2] or "another path"
            hint = "redirects are not followed: write the address that answers, with its path"
            raise UnusableError(f"HTTP {status} to {in_one_line(host)}, and {hint}")
        if status in (401, 403):
            raise DeniedError(_login_refused(self.base, self.login, status, content))
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            raise UnusableError(_no_api(self.base, status, content)) from None
        error_code = body.get("error_code") if isinstance(body, dict) else None
        if status in (400, 404) and error_code in _ABSENT:
            raise NotFoundError(in_one_line(str(body.get("message", ""))))
        if status == 404:
            raise UnusableError(_no_api(self.base, status, content))
        if status >= 400 or not isinstance(body, dict):
            said = in_one_line(str(body.get("message") or error_code or "")) if isinstance(body, dict) else ""
            raise UnusableError(f"HTTP {status}, {said or 'its JSON is not an answer of MLflow'}")
        return body


async def _answer(client: httpx.AsyncClient, request: httpx.Request) -> tuple[httpx.Response, bytes]:
    response = await client.send(request, stream=True)
    try:
        if (encoding := response.headers.get("Content-Encoding", _PLAIN)) != _PLAIN:
            raise UnusableError(f"it is compressed ({in_one_line(encoding)}), which was not asked for")
        content = bytearray()
        async for part in response.aiter_bytes():
            content += part
            if len(content) > _MAX_BYTES:
                raise UnusableError(f"it is longer than {_MAX_BYTES // 1_000_000} MB, and is not read")
        return response, bytes(content)
    finally:
        await response.aclose()


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
    return Denied("RegistryLoginRefused", f"MLflow at {base} {does} in {login.where} (HTTP {status}): {hint}")


def _no_api(base: str, status: int, content: bytes) -> str:
    """What was found at an address that does not have MLflow's API, and the likely cause."""
    text = content[:65_536].decode(errors="replace")
    title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
    named = f" ({in_one_line(unescape(title[1]))!r})" if title and title[1].strip() else ""
    found = f"a page of HTML{named}" if text.lstrip().startswith("<") else "something else"
    likely = "is the address right, with its path, such as " + f"{base}/mlflow?"
    return f"HTTP {status} with {found} where MLflow's API should be: {likely}"
