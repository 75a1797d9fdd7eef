"""The gateway as callers of one place see it: requests with its host, over HTTP or over TLS with the host as SNI, below
its path.

A gateway that sends http to https is followed there, on the same host and nowhere else. Every failure becomes one
sentence for the person paged, which names the setting that helps.

The answers come from pods of users. So each is bounded in length and in total time, and what is shown of it is short
and printable.
"""

import asyncio
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sluice_operator import handshake
from sluice_operator.api import names
from sluice_operator.api.place import Place
from sluice_operator.http_client import Answer, Http, HttpClient, HttpError, Request, SlowError

_CONNECTIONS = 8
_GRACE = 1.0  # seconds after the timeout, which is that of each read: then an answer in small parts is given up, too
_MAX_BYTES = 4_500_000  # of a body: an input example is a request, and the model server takes 4 MiB by default
_REVISION = re.compile(r"[a-z0-9]{1,16}")
_SET_ADDRESS = "set SLUICE_GATEWAY_ADDRESS to the https address of the gateway, with its port"


class GatewayError(Exception):
    """There is no answer that could be looked at. `slow`: the connection stands, and the answer takes too long."""

    def __init__(self, message: str, *, slow: bool = False) -> None:
        super().__init__(message)
        self.slow = slow


@dataclass(frozen=True, slots=True)
class Access:
    """How the operator reaches the gateway: its settings. Timeouts are in seconds, `authority` is a PEM file.

    `addresses`: of gateways that are reached elsewhere, by the names of `Traffic.gateways`.
    `tls_port`: beside that of `address`, the only one to which a redirect is followed. A pod can answer with one, too,
    and must not choose where the headers go.
    """

    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a token
    authority: str = ""
    probe_timeout: float = 5.0
    smoke_timeout: float = 30.0
    tls_port: int = 443
    addresses: Mapping[str, str] = field(default_factory=dict)

    def of(self, gateways: Iterable[str]) -> "Access":
        """How these gateways are reached: at the first address that one of them has of its own."""
        own = next((self.addresses[name] for name in gateways if name in self.addresses), self.address)
        return replace(self, address=own)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `revision`: empty unless the header has the form of one. `body`: None if it is too long."""

    status: int
    revision: str = ""
    redirect: str = ""
    body: bytes | None = b""


@dataclass(frozen=True, slots=True)
class _Question:
    """`path`: of the model server. `timeout`: seconds for each read. `max_bytes`: of the body; with 0 only the headers
    are read.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    timeout: float
    max_bytes: int = _MAX_BYTES
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway for requests to `place`."""

    access: Access
    place: Place

    def client(self) -> HttpClient:
        """A client that opens a new connection for each request: what balances connections decides anew each time."""
        return HttpClient("gateway", connections=_CONNECTIONS, fresh=True)

    async def who(self, client: Http, headers: Mapping[str, str]) -> Reply:
        """Who answers a probe, without a body. Raises GatewayError."""
        return await self._ask(client, _Question("GET", "/metadata", headers, self.access.probe_timeout, max_bytes=0))

    async def metadata(self, client: Http, headers: Mapping[str, str]) -> Reply:
        """What the model server says of itself. Raises GatewayError."""
        return await self._ask(client, _Question("GET", "/metadata", headers, self.access.probe_timeout))

    async def predict(self, client: Http, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to a smoke request, whose `body` is JSON. Raises GatewayError."""
        typed = {**headers, "Content-Type": "application/json"}
        return await self._ask(client, _Question("POST", "/predict", typed, self.access.smoke_timeout, content=body))

    async def get(self, client: Http, path: str, headers: Mapping[str, str]) -> Reply:
        """What answers at a path, without its body. Raises GatewayError."""
        return await self._ask(client, _Question("GET", path, headers, self.access.probe_timeout, max_bytes=0))

    async def _ask(self, client: Http, question: _Question) -> Reply:
        deadline = asyncio.get_running_loop().time() + question.timeout + _GRACE
        at = self.access.address
        try:
            reply = await self._send(client, at, question, deadline)
            if (secure := self._secure(reply)) is not None:
                at = secure
                reply = await self._send(client, at, question, deadline)
        except SlowError as error:
            where = f"{self.place.prefix}{question.path} through {at}"
            raise GatewayError(f"no answer to {where} within {question.timeout:g} s", slow=True) from error
        except HttpError as error:
            raise GatewayError(self._why(at, error)) from error
        return reply

    async def _send(self, client: Http, at: str, question: _Question, deadline: float) -> Reply:
        request = Request(
            question.method,
            f"{at}{self.place.prefix}{question.path}",
            patience=question.timeout,
            deadline=deadline,
            headers={**self.access.headers, **question.headers, "Host": self.place.host, names.HEADER_PROBE: "1"},
            content=question.content,
            max_bytes=question.max_bytes,
            trust=_trust(self.access.authority),
            server_name=self.place.host,
        )
        return _reply(await client.ask(request))

    def _secure(self, reply: Reply) -> str | None:
        """Where the gateway listens for TLS, if it sends this host from http there; None for any other answer.

        Raises GatewayError for a port that is not followed.
        """
        address = urlsplit(self.access.address)
        target, port = _split(reply.redirect)
        if address.scheme != "http" or (target.scheme, target.hostname) != ("https", self.place.host.lower()):
            return None
        if port not in (self.access.tls_port, address.port):
            followed = f"and only port {self.access.tls_port} is followed"
            raise GatewayError(
                f"{self.access.address} sends {self.place.host} to port {port}, {followed}: {_SET_ADDRESS}"
            )
        name = address.hostname or ""
        return f"https://{f'[{name}]' if ':' in name else name}:{port}"

    def _why(self, at: str, error: HttpError) -> str:
        """Why there is no answer, and what to set."""
        if error.tls is not None:
            return f"{at}: {_about_tls(error.tls, self.place.host)}"
        why = f"{at} gave no answer: {error}"
        if at != self.access.address:
            why += f"; {self.access.address} sends {self.place.host} there: {_SET_ADDRESS}"
        return why


def _reply(answer: Answer) -> Reply:
    revision = answer.headers.get(names.HEADER_REVISION, "")
    return Reply(answer.status, revision if _REVISION.fullmatch(revision) else "", answer.redirect, answer.body)


def _split(location: str) -> tuple[SplitResult, int]:
    """The parts of an address and its port, 0 for none; nothing for what is no address."""
    try:
        parts = urlsplit(location)
        return parts, parts.port or (443 if parts.scheme == "https" else 0)
    except ValueError:
        return urlsplit(""), 0


def _about_tls(error: ssl.SSLError, host: str) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS fails for {host}: {handshake.reason(error)}"
    hint = "set SLUICE_GATEWAY_CA to the certificates of its authority"
    if not handshake.has_unknown_authority(error):
        hint = f"give the gateway a certificate for {host}"
    return f"its certificate for {host} is not trusted, {handshake.distrust(error)}: {hint}"


def _trust(authority: str) -> ssl.SSLContext:
    """What a certificate of the gateway is checked with: the file, as it is now, or the authorities of the system."""
    try:
        return _context(authority, Path(authority).stat().st_mtime_ns if authority else 0)
    except OSError as error:  # an SSLError is one, too
        raise GatewayError(f"SLUICE_GATEWAY_CA: {authority} holds no certificates that can be read") from error


@lru_cache(maxsize=2)
def _context(authority: str, changed: int) -> ssl.SSLContext:
    """`changed`: when the file was written, so that a renewed one is read."""
    context = ssl.create_default_context(cafile=authority or None)
    context.set_alpn_protocols(["http/1.1"])
    return context
