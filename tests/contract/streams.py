"""Requests without a pause, for tests of what may happen to a server meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import httpx


class Stream:
    """A client that predicts until told to stop.

    `outcomes`: of each request its status or what happened instead, the version in its head, and the first prediction.
    """

    def __init__(self, url: str, body: Any, fresh_connections: bool) -> None:
        self.outcomes: list[tuple[int | str, str, Any]] = []
        self.closing = 0
        self._url = f"{url}/predict"
        self._body = body
        self._fresh = fresh_connections
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client() as client:
            while not self._stop.is_set():
                try:
                    answer = (httpx if self._fresh else client).post(self._url, json=self._body)
                    found = answer.json()["predictions"][0] if answer.status_code == 200 else None
                    self.outcomes.append((answer.status_code, answer.headers.get("x-model-version", ""), found))
                    self.closing += answer.headers.get("connection") == "close"
                except httpx.TransportError as error:
                    self.outcomes.append((repr(error), "", None))
