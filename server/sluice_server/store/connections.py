"""Connections of urllib3 that wait as long while they send as while they read.

urllib3 sends the body of a request with the timeout for connecting, which is far shorter: a store that takes a body
slowly, because it writes others, would count as one that does not answer.
"""

from __future__ import annotations

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

CONNECT = 5.0  # seconds


def pool(patience: float) -> urllib3.PoolManager:
    """Connections for requests that are tried once. `patience`: seconds without any progress, after connecting."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(patience)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(patience)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    made = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=CONNECT, read=patience))
    made.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return made
