"""A connection to one Prometheus server: its HTTP API, with bounded answers and verified TLS."""

from datetime import datetime
from typing import Any, Protocol

from prometheus_api_client import PrometheusConnect

from sluice_operator.api import urls
from sluice_operator.prometheus import session, tls
from sluice_operator.prometheus.credentials import Credentials

_QUERY_TIMEOUT_SECONDS = 10.0
_LONGEST_ANSWER = 32_000_000  # bytes; once they are objects, they take ten times as much
_ANYBODY = Credentials()


class Prometheus(Protocol):
    """The part of the HTTP API that is needed: `result` lists of instant and of range queries."""

    def custom_query(self, query: str, params: dict[str, Any]) -> list[dict[str, Any]]: ...

    def custom_query_range(
        self, query: str, start_time: datetime, end_time: datetime, step: str
    ) -> list[dict[str, Any]]: ...


def connect(
    url: str,
    seconds: float = _QUERY_TIMEOUT_SECONDS,
    most: int = _LONGEST_ANSWER,
    credentials: Credentials = _ANYBODY,
) -> Prometheus:
    """A client that gives up after one try, `seconds` or `most` bytes: the next look is only seconds away.

    Raises ValueError for a URL with a password, and CredentialsError.
    """
    address = urls.plain(url)
    requests = session.bounded(seconds, most, credentials)
    client: Prometheus = PrometheusConnect(url=address, timeout=seconds, session=requests)
    requests.adapters.clear()  # the client's own trust others, and try again
    requests.mount("http", tls.Verified(tls.context(credentials)))
    return client
