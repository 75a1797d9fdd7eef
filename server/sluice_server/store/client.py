"""Requests to the store, and to pods that answer like it. Blocking; each request is tried once, unless it is `keep`.

Who asks knows when to try again: the containers `prepare` and `fetch` are started again by Kubernetes with growing
pauses, and labels are kept until they were taken. The token is read for each request, since it may be changed.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO, cast

import msgspec
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from sluice_server.settings import StoreSettings
from sluice_server.store import archive, connections
from sluice_server.store.archive import ArchiveError
from sluice_server.store.steady import Steady

_PATIENCE = 60.0  # seconds; until the store has taken or sends the next bytes
_LABELS_PATIENCE = 10.0  # seconds; some labels are counted at once, and a pod that stops waits for this
_PAUSES = (5.0, 10.0, 20.0, 30.0, 60.0, 60.0, 60.0)  # seconds between tries of `keep`
_SHOWN = 300  # characters of an answer
_NOT_NOW = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)  # of a proxy: another try may succeed
REFUSED = "StoreRefused"  # what was sent is wrong, and will be wrong again
logger = logging.getLogger("sluice.fetch")


class _LabelsAnswer(msgspec.Struct):
    new: list[bool]


class StoreError(Exception):
    """The store did not do what was asked; `reason` is one word for machines, the message says what to do.

    `passing`: the store is there, and may do it in a moment.
    """

    def __init__(self, reason: str, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.passing = passing


class StoreClient:
    """The models and labels of one store."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._pool = connections.pool(_PATIENCE)
        self._labels_pool = connections.pool(_LABELS_PATIENCE)

    def keep(self, folder: Path, digest: str, pause: Callable[[float], None] = time.sleep) -> None:
        """`put`, tried again for some minutes while the store is busy; raises StoreError.

        It is worth the wait: whoever has the folder has downloaded and converted it.
        """
        for seconds in _PAUSES:
            try:
                return self.put(folder, digest)
            except StoreError as error:
                if not error.passing:
                    raise
                logger.info("the store is asked again in some %.0f s: %s", seconds, error)
            pause(seconds * random.uniform(0.5, 1.5))  # noqa: S311 - so that those who wait do not come together
        self.put(folder, digest)

    def put(self, folder: Path, digest: str) -> None:
        """Keeps all files of the folder under their tree digest; raises StoreError."""
        with self._answer(self._pool, "PUT", f"/models/{digest}", archive.packed(folder)) as response:
            self._expect(response, HTTPStatus.CREATED)

    def get(self, digest: str, folder: Path) -> None:
        """Writes the files that the store has under the digest below the folder; raises StoreError.

        Whether they are those of the digest is for the caller to check.
        """
        with self._answer(self._pool, "GET", f"/models/{digest}", None) as response:
            self._expect(response, HTTPStatus.OK)
            try:
                archive.unpack(cast(IO[bytes], Steady(response)), folder)
            except TimeoutError as error:
                raise StoreError("StoreUnreachable", f"no answer from {self._settings.url}: {error}") from None
            except ArchiveError as error:
                raise StoreError(
                    "StoreContentDamaged",
                    f"what {self._settings.url} has under {digest} is no archive of a model ({error}): prepare the "
                    "model again, which replaces it",
                ) from None

    def has(self, digest: str) -> bool:
        """Whether the store has the model, which then counts as used; raises StoreError."""
        with self._answer(self._pool, "HEAD", f"/models/{digest}", None) as response:
            if response.status == HTTPStatus.NOT_FOUND:
                return False
            self._expect(response, HTTPStatus.OK)
            return True

    def count_labels(self, body: bytes) -> list[bool]:
        """For each label of a body for /labels, whether it is the first one of its row; raises StoreError."""
        with self._answer(self._labels_pool, "POST", "/labels", body) as response:
            self._expect(response, HTTPStatus.OK)
            try:
                return msgspec.json.decode(response.read(), type=_LabelsAnswer).new
            except msgspec.DecodeError as error:
                what = f"{self._settings.url} is no store that counts labels: {error}"
                raise StoreError("StoreUnreachable", what) from None

    def keep_predictions(self, model_deployment: str, body: bytes) -> None:
        """Keeps rows, as lines of JSON; raises StoreError."""
        with self._answer(self._labels_pool, "POST", f"/predictions/{model_deployment}", body) as response:
            self._expect(response, HTTPStatus.CREATED)

    @contextmanager
    def _answer(
        self, pool: urllib3.PoolManager, method: str, path: str, body: Iterator[bytes] | bytes | None
    ) -> Iterator[urllib3.response.BaseHTTPResponse]:
        url = f"{self._settings.url}{path}"
        try:
            response = pool.request(
                method, url, headers=self._headers(), body=body, preload_content=False, redirect=False
            )
            try:
                yield response
            finally:
                response.close()
        except (HTTPError, ConnectionError) as error:
            what = " ".join(str(error).split())[:_SHOWN]
            passing = not isinstance(error, NewConnectionError | ConnectTimeoutError)
            raise StoreError(
                "StoreUnreachable", f"no answer from {self._settings.url}: {what}", passing=passing
            ) from None

    def _headers(self) -> dict[str, str]:
        file = self._settings.token_file
        try:
            return {"Authorization": f"Bearer {file.read_text(encoding='ascii').strip()}"}
        except FileNotFoundError:  # the store is open, or says that it is not
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError("StoreLoginRefused", f"the token in {file} cannot be read: {error}") from None

    def _expect(self, response: urllib3.response.BaseHTTPResponse, status: HTTPStatus) -> None:
        if response.status == status:
            return
        said = f"{self._settings.url} answers {response.status}: {_detail(response.read(2**16))}"
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise StoreError("StoreLoginRefused", f"{said}; the token is that of {self._settings.token_file}")
        if response.status == HTTPStatus.NOT_FOUND:
            raise StoreError("NotInStore", said)
        if 400 <= response.status < 500 and response.status not in _NOT_NOW:
            raise StoreError(REFUSED, said)
        raise StoreError("StoreUnreachable", said, passing=response.status == HTTPStatus.SERVICE_UNAVAILABLE)


def _detail(body: bytes) -> str:
    """The sentence of the answer, or its first characters if it is another server's."""
    try:
        detail = msgspec.json.decode(body)["detail"]
    except (msgspec.DecodeError, TypeError, KeyError):
        detail = body.decode(errors="replace")
    return " ".join(str(detail).split())[:_SHOWN]
