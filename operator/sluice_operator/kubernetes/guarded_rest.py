"""The HTTP client of the work: asks whether it may write when the connection is there, just before the first byte.

A request may have waited for its connection, or an event loop that was busy. Then the Lease can be lost since the
question that `guard.py` has asked.
"""

from collections.abc import Callable
from typing import Any

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from sluice_operator.kubernetes.guard import NotLeading


class GuardedRest(RESTClientObject):  # type: ignore[misc] # its package has no types
    """Sends writes only while `leads(namespace)` is true. Raises NotLeading."""

    def __init__(self, configuration: Configuration, leads: Callable[[str], bool]) -> None:
        super().__init__(configuration)
        self._leads = leads

    def _create_connector(self) -> aiohttp.TCPConnector:
        return _GuardedConnector(self._leads, limit=self.maxsize, ssl=self.ssl_context)


class _GuardedConnector(aiohttp.TCPConnector):
    def __init__(self, leads: Callable[[str], bool], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._leads = leads

    async def connect(self, req: aiohttp.ClientRequest, *arguments: Any, **named: Any) -> Any:
        connection = await super().connect(req, *arguments, **named)
        if req.method != "GET" and not self._leads(namespace := _namespace(req.url.path)):
            connection.release()
            raise NotLeading(f"another operator may lead by now: nothing was sent to namespace {namespace}")
        return connection


def _namespace(path: str) -> str:
    return path.partition("/namespaces/")[2].partition("/")[0]
