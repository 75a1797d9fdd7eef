"""Prometheus servers that objects name for themselves: who may, with which credentials, and one poller for each server.

The operator's own credentials are not known here. Those of a Secret are read again while they are used, so that one
that is mended or renewed needs no restart.
"""

import base64
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluice_operator.api import spec, urls
from sluice_operator.counting.intervals import Intervals
from sluice_operator.kubernetes.port import Kube
from sluice_operator.prometheus import credentials
from sluice_operator.prometheus.credentials import CredentialsError
from sluice_operator.prometheus.poller import Poller
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.renewal import Entries, RenewingConnection

_READ_AGAIN_SECONDS = 10.0
_FORGOTTEN_AFTER_SECONDS = 3600.0

_Key = tuple[str, str, str]  # URL, and namespace and name of the Secret, if there is one


def opened(url: str, where: str, read: Callable[[], Entries]) -> Reader:
    """A reader that is whoever `read` says; `where` is what a person calls that."""
    return Reader(RenewingConnection(url, where, read))


class ServerRefusedError(MetricsLostError):
    """A Prometheus that is not asked. The text says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(eq=False)
class _Server:
    """A poller, and what its Secret held at `read_at`; None if there was none. Times are of a monotonic clock."""

    poller: Poller | None = None
    entries: Entries | None = None
    read_at: float = -math.inf
    used_at: float = 0.0


class Servers:
    """Pollers of the servers on the administrator's list, `allowed`: patterns of `host:port`."""

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
        self._known: dict[_Key, _Server] = {}

    async def poller(self, namespace: str, named: spec.Prometheus) -> Poller:
        """The one of a server and a Secret of `namespace`, for all runs that name both. Raises ServerRefusedError."""
        url, secret, now = self._allowed_url(named.url), named.credentials_secret, self._clock()
        self._known = {key: one for key, one in self._known.items() if one.used_at > now - _FORGOTTEN_AFTER_SECONDS}
        server = self._known.setdefault((url, namespace if secret else "", secret), _Server())
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
        found = await self._kube.get("Secret", namespace, name)
        if found is None:
            return None
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}


def _check(entries: Entries | None, where: str) -> None:
    """Raises ServerRefusedError for what would fail with the first query."""
    if entries is None:
        hint = "create it, or correct spec.prometheus.credentialsSecret"
        raise ServerRefusedError("CredentialsMissing", f"{where} is not there: {hint}")
    try:
        credentials.parse(entries)
    except CredentialsError as error:
        raise ServerRefusedError(
            "CredentialsUnusable", f"the credentials in {where} cannot be used: {error}"
        ) from error
