"""Which registry is asked, as whom, and from which Secrets: the connection of an object, and the login for it.

The operator's own credentials go to the operator's own registry only, and never in place of those that an object names.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sluice_operator.api import spec, urls
from sluice_operator.api.observation import Denied
from sluice_operator.credentials import entries as credentials
from sluice_operator.credentials import tls
from sluice_operator.credentials.entries import Credentials, CredentialsError, Entries
from sluice_operator.credentials.folder import files
from sluice_operator.kubernetes import secrets
from sluice_operator.kubernetes.port import Kube, ReadRefused

OF_A_POD = ("token", "username", "password", "ca.crt")  # what a pod's fetch container can use, too
_READ_AGAIN_SECONDS = 10.0
_SECRETS_KEPT, _CONTEXTS_KEPT = 1_000, 32
_NO_CREDENTIALS = Credentials()


@dataclass(frozen=True, slots=True)
class Connection:
    """A registry, and the Secrets of `namespace` for it. Without an address it is the operator's."""

    tracking_uri: str = ""
    namespace: str = ""
    credentials_secret: str = ""
    artifact_secret: str = ""

    @classmethod
    def of(cls, namespace: str, registry: spec.Registry) -> "Connection":
        """The connection that a spec asks for."""
        secrets_of = namespace if registry.credentials_secret or registry.artifact_secret else ""
        return cls(registry.tracking_uri, secrets_of, registry.credentials_secret, registry.artifact_secret)

    @classmethod
    def to(cls, tracking_uri: str, namespace: str, registry: spec.Registry) -> "Connection":
        """The registry that something came from, with the Secrets of today's spec if it is that one."""
        return cls.of(namespace, registry) if registry.tracking_uri == tracking_uri else cls(tracking_uri)


@dataclass(frozen=True, slots=True)
class Login:
    """The credentials, their place in words for people, and what a certificate is checked with: None is the system."""

    credentials: Credentials = field(default=_NO_CREDENTIALS, repr=False)
    where: str = ""
    trust: ssl.SSLContext | None = None


class Logins:
    """Reads credentials, again every few seconds while they are used, so that renewed ones need no restart.

    `folder`: of the operator's own credentials.
    """

    def __init__(self, kube: Kube, folder: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._folder = folder
        self._clock = clock
        self._secrets: dict[tuple[str, str], tuple[float, Entries | None]] = {}  # when it was read, and its content
        self._contexts: dict[tuple[str, str, str], ssl.SSLContext] = {}  # by their PEM texts, the last used last

    async def of(self, connection: Connection) -> Login | Denied:
        """The login for a connection, or which of its Secrets is missing or cannot be used."""
        namespace, where = connection.namespace, f"Secret {connection.namespace}/{connection.credentials_secret}"
        try:
            if connection.artifact_secret and await self._entries(namespace, connection.artifact_secret) is None:
                return _missing(namespace, connection.artifact_secret, "artifactSecret")
            if connection.credentials_secret:
                found = await self._entries(namespace, connection.credentials_secret)
                if found is None:
                    return _missing(namespace, connection.credentials_secret, "credentialsSecret")
                return self._login(credentials.parse(found, OF_A_POD), where)
            if self._folder and not connection.tracking_uri:
                where = self._folder
                return self._login(credentials.parse(files(self._folder)), where)
        except CredentialsError as error:
            return Denied("CredentialsUnusable", f"the credentials in {where} cannot be used: {error}")
        except ReadRefused as error:
            hint = f"let the operator read Secrets of namespace {connection.namespace}"
            return Denied("CredentialsUnreadable", f"the registry's credentials: {error}: {hint}")
        return Login()

    def _login(self, found: Credentials, where: str) -> Login:
        texts = found.authority, found.certificate, found.key
        if not any(texts):
            return Login(found, where)
        context = self._contexts.pop(texts, None) or tls.context(found)
        if len(self._contexts) >= _CONTEXTS_KEPT:
            self._contexts.pop(next(iter(self._contexts)))
        self._contexts[texts] = context
        return Login(found, where, context)

    async def _entries(self, namespace: str, name: str) -> Entries | None:
        key, now = (namespace, name), self._clock()
        read_at, found = self._secrets.get(key, (now - _READ_AGAIN_SECONDS, None))
        if now >= read_at + _READ_AGAIN_SECONDS:
            found = await secrets.entries(self._kube, namespace, name)
            self._secrets.pop(key, None)
            self._secrets[key] = now, found
            if len(self._secrets) > _SECRETS_KEPT:
                self._secrets.pop(next(iter(self._secrets)))
        return found


def address(connection: Connection, default: str, allowed: tuple[str, ...]) -> str | Denied:
    """The address to ask, or why it may not be asked. `allowed`: the administrator's list, patterns of `host:port`."""
    if not connection.tracking_uri:
        return default
    try:
        plain = urls.plain(connection.tracking_uri)
    except ValueError as error:
        hint = "write credentials into the Secret that registry.credentialsSecret names"
        return Denied("InvalidRegistry", f"model.registry.trackingURI cannot be used: {error}; {hint}")
    host = urls.host(plain)
    if plain == default or urls.admits(allowed, host):
        return plain
    hint = f"let the administrator add {host!r} to SLUICE_ALLOWED_REGISTRIES or leave trackingURI out"
    return Denied("RegistryNotAllowed", f"the registry {plain} is not on the operator's list: {hint}")


def _missing(namespace: str, name: str, field_name: str) -> Denied:
    return Denied(
        "CredentialsMissing",
        f"Secret {namespace}/{name} is not there: create it, or correct model.registry.{field_name}",
    )
