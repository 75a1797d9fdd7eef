"""Requests to the store, for the commands `prepare` and `fetch`. Blocking; each request is tried once.

The containers of both are started again by Kubernetes with growing pauses, so no retries are hidden here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO, cast

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from sluice_server.settings import StoreSettings
from sluice_server.store import archive
from sluice_server.store.archive import ArchiveError

_CONNECT, _READ = 5.0, 60.0  # seconds; until the store has taken or sends the next bytes
_SHOWN = 300  # characters of an answer


class StoreError(Exception):
    """The store did not do what was asked; `reason` is one word for machines, the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreClient:
    """The models of one store."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=_CONNECT, read=_READ))

    def put(self, folder: Path, digest: str) -> None:
        """Keeps all files of the folder under their tree digest; raises StoreError."""
        with self._answer("PUT", digest, archive.packed(folder)) as response:
            self._expect(response, HTTPStatus.CREATED)

    def get(self, digest: str, folder: Path) -> None:
        """Writes the files that the store has under the digest below the folder; raises StoreError.

        Whether they are those of the digest is for the caller to check.
        """
        with self._answer("GET", digest, None) as response:
            self._expect(response, HTTPStatus.OK)
            try:
                archive.unpack(cast(IO[bytes], response), folder)
            except ArchiveError as error:
                raise StoreError(
                    "StoreContentDamaged",
                    f"what {self._settings.url} has under {digest} is no archive of a model ({error}): prepare the "
                    "model again, which replaces it",
                ) from None

    @contextmanager
    def _answer(
        self, method: str, digest: str, body: Iterator[bytes] | None
    ) -> Iterator[urllib3.response.BaseHTTPResponse]:
        url = f"{self._settings.url}/models/{digest}"
        headers = {} if self._settings.token is None else {"Authorization": f"Bearer {self._settings.token}"}
        try:
            response = self._pool.request(
                method, url, headers=headers, body=body, preload_content=False, redirect=False
            )
            try:
                yield response
            finally:
                response.close()
        except (HTTPError, ConnectionError) as error:
            what = " ".join(str(error).split())[:_SHOWN]
            raise StoreError("StoreUnreachable", f"no answer from the store at {self._settings.url}: {what}") from None

    def _expect(self, response: urllib3.response.BaseHTTPResponse, status: HTTPStatus) -> None:
        if response.status == status:
            return
        said = f"the store at {self._settings.url} answers {response.status}: {_detail(response.read(2**16))}"
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise StoreError("StoreLoginRefused", f"{said}; the token is that of {self._settings.token_file}")
        if response.status == HTTPStatus.NOT_FOUND:
            raise StoreError("NotInStore", said)
        if 400 <= response.status < 500:
            raise StoreError("StoreRefused", said)
        raise StoreError("StoreUnreachable", said)


def _detail(body: bytes) -> str:
    """The sentence of the answer, or its first characters if it is another server's."""
    try:
        detail = msgspec.json.decode(body)["detail"]
    except (msgspec.DecodeError, TypeError, KeyError):
        detail = body.decode(errors="replace")
    return " ".join(str(detail).split())[:_SHOWN]
