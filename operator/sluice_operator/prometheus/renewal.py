"""A Prometheus whose credentials may change while it is asked: tokens and certificates are renewed every few hours."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice_operator.prometheus import credentials
from sluice_operator.prometheus.connection import Prometheus, connect
from sluice_operator.prometheus.credentials import CredentialsError

Entries = Mapping[str, bytes]


class RenewingConnection:
    """`Prometheus` under one URL. What `read` gives is looked at before each query; other credentials, another client.

    `where` is what a person calls them. A query raises CredentialsError while they cannot be used.
    """

    def __init__(self, url: str, where: str, read: Callable[[], Entries]) -> None:
        self._url, self._where, self._read = url, where, read
        self._lock = threading.Lock()
        self._known: tuple[Entries, Prometheus] | None = None

    def custom_query(self, query: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        return self._client().custom_query(query, params)

    def custom_query_range(
        self, query: str, start_time: datetime, end_time: datetime, step: str
    ) -> list[dict[str, Any]]:
        return self._client().custom_query_range(query, start_time, end_time, step)

    def _client(self) -> Prometheus:
        with self._lock:
            try:
                found = self._read()
                if self._known is None or self._known[0] != found:
                    self._known = found, connect(self._url, credentials=credentials.parse(found))
            except CredentialsError as error:
                raise CredentialsError(f"the credentials in {self._where} cannot be used: {error}") from error
            return self._known[1]


def from_folder(url: str, folder: str) -> Prometheus:
    """With the credentials that are in the files of `folder`, such as a mounted Secret; none if it is empty text."""
    return RenewingConnection(url, folder, lambda: files(folder)) if folder else connect(url)


def files(folder: str) -> Entries:
    """Its files by name. A mounted Secret also has entries that begin with two dots, and are its own affair."""
    try:
        return {one.name: one.read_bytes() for one in Path(folder).iterdir() if not one.name.startswith("..")}
    except OSError as error:
        raise CredentialsError(f"{error.strerror or 'they cannot be read'}") from error
