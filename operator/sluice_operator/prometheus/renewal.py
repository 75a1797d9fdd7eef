"""A connection to Prometheus with credentials that may change: tokens and certificates are renewed every few hours."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sluice_operator.credentials import entries as credentials
from sluice_operator.credentials.entries import CredentialsError, Entries
from sluice_operator.credentials.folder import files
from sluice_operator.prometheus.connection import Prometheus, connect


class RenewingConnection:
    """`Prometheus` at one URL. It reads the credentials before each query, and makes a new client if they have changed.

    `read` returns them; `where` names their place for people. A query raises CredentialsError if they cannot be used.
    """

    def __init__(self, url: str, where: str, read: Callable[[], Entries]) -> None:
        self._url, self._where, self._read = url, where, read
        self._lock = threading.Lock()
        self._current: tuple[Entries, Prometheus] | None = None  # credentials, and the client that uses them

    def custom_query(self, query: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        return self._client().custom_query(query, params)

    def custom_query_range(
        self, query: str, start_time: datetime, end_time: datetime, step: str
    ) -> list[dict[str, Any]]:
        return self._client().custom_query_range(query, start_time, end_time, step)

    def _client(self) -> Prometheus:
        with self._lock:
            try:
                entries = self._read()
                if self._current is None or self._current[0] != entries:
                    self._current = entries, connect(self._url, credentials=credentials.parse(entries))
            except CredentialsError as error:
                raise CredentialsError(f"the credentials in {self._where} cannot be used: {error}") from error
            return self._current[1]


def from_folder(url: str, folder: str) -> Prometheus:
    """A connection with the credentials in the files of `folder`, such as a mounted Secret; with none if it is `""`."""
    return RenewingConnection(url, folder, lambda: files(folder)) if folder else connect(url)
