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
PROBE_RATE, PROBE_BURST = 1.0, 10  # a rollout sends one of its predictions to a pod every few seconds
_LONGEST_KEY = 64  # bytes; a longer key is kept as its hash, so that memory is bounded


class RateLimits:
    """`rate` requests a second for each client, and `burst` at once. Not for several threads.

    `rejection` is what a client gets that asks more often; `who` that is, for its message.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        most_clients: int = MOST_CLIENTS,
        who: str = "one client",
    ) -> None:
        self.rejection = Rejection(Cause.LIMITED, f"{who} may send {rate:g} requests a second: send again later")
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


class PodLimits:
    """The limits of a pod: one for each client, and one that all probes share, whoever sends them.

    Anybody can call a request a probe. So probes need no token of a client, but there are few of them.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = RateLimits(rate, burst, clock)
        self._probes = RateLimits(PROBE_RATE, PROBE_BURST, clock, who="all probes together")

    def wait(self, client: bytes, probe: bool) -> tuple[float, Rejection]:
        """The seconds until this request may come, 0 if it may now; and what it gets where it may not."""
        limits = self._probes if probe else self._clients
        return limits.wait(b"" if probe else client), limits.rejection
