"""The gateway as callers of one host see it: requests with that host, over HTTP or over TLS with the host as SNI.

A gateway that sends http to https is followed there, on the same host and nowhere else. Every failure becomes one
sentence for the person paged, which names the setting that helps.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from sluice_operator.api import names
from sluice_operator.telemetry.calls import MeasuredClient

_CONNECTIONS = 8
_UNTRUSTED = (18, 19, 20, 21)  # OpenSSL's codes for a chain without a trusted authority


class GatewayError(Exception):
    """There is no answer that could be looked at. `slow`: the connection stands, and the answer takes too long."""

    def __init__(self, message: str, *, slow: bool = False) -> None:
        super().__init__(message)
        self.slow = slow


@dataclass(frozen=True, slots=True)
class Access:
    """How the operator reaches the gateway: its settings. Timeouts are in seconds, `authority` is a PEM file."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a token
    authority: str = ""
    probe_timeout: float = 5.0
    smoke_timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway for requests to `host`."""

    access: Access
    host: str

    def client(self) -> httpx.AsyncClient:
        """A client that opens a new connection for each request. Raises GatewayError."""
        return MeasuredClient(
            "gateway",
            base_url=self.access.address,
            headers={**self.access.headers, "Host": self.host, names.HEADER_PROBE: "1"},
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=_CONNECTIONS),
            verify=_trust(self.access.authority),
            follow_redirects=False,
            trust_env=False,
        )

    async def get(self, client: httpx.AsyncClient, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """The answer to a probe. Raises GatewayError."""
        return await self._ask(client, "GET", path, headers, self.access.probe_timeout)

    async def post(self, client: httpx.AsyncClient, path: str, headers: Mapping[str, str], body: Any) -> httpx.Response:
        """The answer to a smoke request. Raises GatewayError."""
        return await self._ask(client, "POST", path, headers, self.access.smoke_timeout, json=body)

    async def _ask(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - handed to the client, which tells connecting from answering
        **body: Any,
    ) -> httpx.Response:
        as_host = {"sni_hostname": self.host}
        url = path
        try:
            answer = await client.request(method, url, headers=headers, timeout=timeout, extensions=as_host, **body)
            if (secure := self._secure(answer, path)) is not None:
                url = secure
                answer = await client.request(method, url, headers=headers, timeout=timeout, extensions=as_host, **body)
        except httpx.ReadTimeout as error:
            raise GatewayError(
                f"no answer to {path} through {self._shown(url)} within {timeout:g} s", slow=True
            ) from error
        except httpx.HTTPError as error:
            raise GatewayError(self._why(url, error)) from error
        return answer

    def _secure(self, answer: httpx.Response, path: str) -> str | None:
        """Where the gateway listens for TLS, if it sends this host from http there; None for any other answer."""
        if not answer.has_redirect_location or answer.url.scheme != "http":
            return None
        target = urlsplit(answer.headers["Location"])
        if (target.scheme, target.hostname) != ("https", self.host.lower()):
            return None
        address = urlsplit(self.access.address).hostname or ""
        return f"https://{f'[{address}]' if ':' in address else address}:{target.port or 443}{path}"

    def _shown(self, url: str) -> str:
        return self.access.address if url.startswith("/") else url.rpartition("/")[0]

    def _why(self, url: str, error: httpx.HTTPError) -> str:
        """Why there is no answer, and what to set."""
        redirected = not url.startswith("/")
        if (failed := _tls_failure(error)) is not None:
            return f"{self._shown(url)}: {_about_tls(failed, self.host)}"
        why = f"{self._shown(url)} gave no answer: {str(error) or type(error).__name__}"
        if redirected:
            why += (
                f"; {self.access.address} sends {self.host} there: set SLUICE_GATEWAY_ADDRESS to the https address of"
                " the gateway, with its port"
            )
        return why


def _tls_failure(error: BaseException | None) -> ssl.SSLError | None:
    """The failure of the handshake that `error` came from, if it was one."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _about_tls(error: ssl.SSLError, host: str) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS fails for {host}: {(error.reason or str(error)).replace('_', ' ').lower()}"
    hint = "set SLUICE_GATEWAY_CA to the certificates of its authority"
    if error.verify_code not in _UNTRUSTED:
        hint = f"give the gateway a certificate for {host}"
    return f"its certificate for {host} is not trusted, {error.verify_message.rstrip('.')}: {hint}"


def _trust(authority: str) -> ssl.SSLContext:
    """What a certificate of the gateway is checked with: the file, as it is now, or the authorities of the system."""
    try:
        return _context(authority, Path(authority).stat().st_mtime_ns if authority else 0)
    except OSError as error:  # an SSLError is one, too
        raise GatewayError(f"SLUICE_GATEWAY_CA: {authority} holds no certificates that can be read") from error


@lru_cache(maxsize=2)
def _context(authority: str, changed: int) -> ssl.SSLContext:
    """`changed`: when the file was written, so that a renewed one is read."""
    return ssl.create_default_context(cafile=authority or None)
