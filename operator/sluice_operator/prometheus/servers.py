"""Prometheus servers that ModelDeployments name: which are allowed, with which credentials, and a poller for each.

The operator's own server and its credentials are not known here. A Secret is read again every few seconds while it is
used, so that a corrected or renewed one needs no restart.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluice_operator.api import spec, urls
from sluice_operator.counting.intervals import Intervals
from sluice_operator.credentials import entries as credentials
from sluice_operator.credentials.entries import CredentialsError, Entries
from sluice_operator.kubernetes import secrets
from sluice_operator.kubernetes.port import Kube, ReadRefused
from sluice_operator.prometheus.poller import Poller
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.renewal import RenewingConnection

_READ_AGAIN_SECONDS = 10.0
_FORGOTTEN_AFTER_SECONDS = 3600.0

_Key = tuple[str, str, str]  # URL, and namespace and name of the Secret, if there is one


def opened(url: str, where: str, read: Callable[[], Entries]) -> Reader:
    """A reader with the credentials that `read` returns; `where` names their place for people."""
    return Reader(RenewingConnection(url, where, read))


class ServerRefusedError(MetricsLostError):
    """A Prometheus that may not, or cannot, be asked. `reason`: for machines; the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(eq=False)
class _Server:
    """Mutable: a server with its poller and the content of its Secret. Times are of a monotonic clock, in seconds."""

    poller: Poller | None = None  # until credentials are there that can be used
    entries: Entries | None = None  # None: there is no such Secret
    read_at: float = -math.inf
    used_at: float = 0.0


class Servers:
    """The pollers by server and credentials. `allowed`: the administrator's list, patterns of `host:port`."""

    def __init__(
        self,
        kube: Kube,
        intervals: Intervals,
        allowed: Sequence[str],
        open_reader: Callable[[str, str, Callable[[], Entries]], Reader] = opened,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._intervals = intervals
        self._allowed = allowed
        self._open_reader = open_reader
        self._clock = clock
        self._servers: dict[_Key, _Server] = {}

    async def poller(self, namespace: str, named: spec.Prometheus) -> Poller:
        """The poller for a server and a Secret of `namespace`; runs with both share it. Raises ServerRefusedError."""
        url, secret, now = self._allowed_url(named.url), named.credentials_secret, self._clock()
        self._forget_unused_since(now - _FORGOTTEN_AFTER_SECONDS)
        server = self._servers.setdefault((url, namespace if secret else "", secret), _Server())
        server.used_at = now
        if not secret:
            server.entries = {}
        elif now >= server.read_at + _READ_AGAIN_SECONDS:
            server.entries, server.read_at = await self._entries(namespace, secret), now
        where = f"Secret {namespace}/{secret}"
        _check(server.entries, where)
        if server.poller is None:
            server.poller = Poller(self._open_reader(url, where, lambda: server.entries or {}), self._intervals)
        return server.poller

    def _forget_unused_since(self, moment: float) -> None:
        self._servers = {key: server for key, server in self._servers.items() if server.used_at > moment}

    def _allowed_url(self, url: str) -> str:
        try:
            plain = urls.plain(url)
        except ValueError as error:
            raise ServerRefusedError("InvalidPrometheus", f"spec.prometheus.url: {error}") from error
        host = urls.host(plain)
        if not urls.admits(self._allowed, host):
            hint = f"let the administrator add {host!r} to SLUICE_ALLOWED_PROMETHEUS or leave spec.prometheus out"
            raise ServerRefusedError("PrometheusNotAllowed", f"{plain} is not on the operator's list: {hint}")
        return plain

    async def _entries(self, namespace: str, name: str) -> Entries | None:
        try:
            return await secrets.entries(self._kube, namespace, name)
        except ReadRefused as error:
            hint = "let the operator read Secrets of this namespace"
            raise ServerRefusedError("CredentialsUnreadable", f"Secret {namespace}/{name}: {error}: {hint}") from error


def _check(entries: Entries | None, where: str) -> None:
    """Raises ServerRefusedError for credentials with which the first query would fail."""
    if entries is None:
        hint = "create it, or correct spec.prometheus.credentialsSecret"
        raise ServerRefusedError("CredentialsMissing", f"{where} is not there: {hint}")
    try:
        credentials.parse(entries)
    except CredentialsError as error:
        raise ServerRefusedError(
            "CredentialsUnusable", f"the credentials in {where} cannot be used: {error}"
        ) from error
