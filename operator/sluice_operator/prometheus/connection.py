"""A connection to one Prometheus server: its HTTP API, with bounded answers and verified TLS."""

from datetime import datetime
from typing import Any, Protocol

from prometheus_api_client import PrometheusConnect

from sluice_operator.api import urls
from sluice_operator.credentials.entries import Credentials
from sluice_operator.credentials.tls import context
from sluice_operator.prometheus import session, tls

_QUERY_TIMEOUT_SECONDS = 10.0
_MAX_ANSWER_BYTES = 32_000_000  # as Python objects they take ten times as much memory
_NO_CREDENTIALS = Credentials()


class Prometheus(Protocol):
    """The part of the HTTP API that is needed. Both methods return the `result` list of the answer."""

    def custom_query(self, query: str, params: dict[str, Any]) -> list[dict[str, Any]]: ...

    def custom_query_range(
        self, query: str, start_time: datetime, end_time: datetime, step: str
    ) -> list[dict[str, Any]]: ...


def connect(
    url: str,
    seconds: float = _QUERY_TIMEOUT_SECONDS,
    max_bytes: int = _MAX_ANSWER_BYTES,
    credentials: Credentials = _NO_CREDENTIALS,
) -> Prometheus:
    """A client that tries once, and gives up after `seconds` or after `max_bytes` of an answer.

    It does not try again, because the next evaluation is only seconds away. Raises ValueError if `url` is not a plain
    address or holds a password, and CredentialsError if the credentials cannot be used.
    """
    address = urls.plain(url)
    requests = session.bounded(seconds, max_bytes, credentials)
    client: Prometheus = PrometheusConnect(url=address, timeout=seconds, session=requests)
    requests.adapters.clear()  # the client's own adapters retry, and take trust from elsewhere
    requests.mount("http", tls.Verified(context(credentials)))
    return client
