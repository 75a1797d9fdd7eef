"""How often one client may ask: a token bucket per client key, in the memory of one pod.

A bucket is one number, the moment at which it is full again (the generic cell rate algorithm), so that nothing has to
be refilled. Of more clients than fit, the one that asked longest ago is forgotten, and begins with a full bucket.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b

from sluice_server.inference.rejection import Cause, Rejection

MOST_CLIENTS = 10_000
_LONGEST_KEY = 64  # bytes; a longer key is kept as its hash, so that memory is bounded


class RateLimits:
    """`rate` requests a second for each client, and `burst` at once. Not for several threads.

    `rejection` is what a client gets that asks more often.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic, most_clients: int = MOST_CLIENTS
    ) -> None:
        self.rejection = Rejection(Cause.LIMITED, f"one client may send {rate:g} requests a second: send again later")
        self._interval = 1.0 / rate
        self._ahead = (burst - 1) * self._interval
        self._clock = clock
        self._most_clients = most_clients
        self._full_at: dict[bytes, float] = {}  # the client that asked last is the last one

    def wait(self, client: bytes) -> float:
        """0 if this client may ask now, which takes a token; else the seconds until it may. No key is a key, too."""
        if len(client) > _LONGEST_KEY:
            client = blake2b(client, digest_size=_LONGEST_KEY).digest()
        now = self._clock()
        full_at = max(self._full_at.pop(client, now), now)
        wait = max(full_at - now - self._ahead, 0.0)
        self._full_at[client] = full_at if wait else full_at + self._interval
        if len(self._full_at) > self._most_clients:
            del self._full_at[next(iter(self._full_at))]
        return wait
