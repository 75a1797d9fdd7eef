"""The model server behind a wrapper that makes it bad: `python -m faulty {fetch|serve}`.

Only predictions are changed, never the operator's own probes. The server counts and measures a fault as if the model
had it. Environment variables choose the faults:

FAULT_ERRORS      share of predictions that fail
FAULT_SLOWER      by which share of its time a prediction takes longer
FAULT_DELAY       seconds that are added to each prediction
FAULT_STALL       seconds for which all predictions stand still, as in a collection of garbage
FAULT_STALL_EVERY seconds between two stalls on average (default 4)
FAULT_HANG_AFTER  number of predictions after which none is answered
FAULT_CRASH_ON    a text; a request that contains it ends the process
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice_server import __main__ as server
from sluice_server.http.asgi import PROBE_HEADER
from sluice_server.inference.data_plane import DataPlane
from sluice_server.inference.params import Params
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.rejection import Rejection
from sluice_server.model.schema import Rows
from sluice_server.process import lifecycle
from sluice_server.process.protocol import AtOnce

NEVER = sys.maxsize
Predict = Callable[..., Awaitable[Prediction | Rejection | None]]


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of this pod; without arguments there are none."""

    errors: float = 0.0
    slower: float = 0.0
    delay: float = 0.0
    stall: float = 0.0
    stall_every: float = 4.0
    hang_after: int = NEVER
    crash_on: bytes = b""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        return cls(
            errors=float(environment.get("FAULT_ERRORS", "0")),
            slower=float(environment.get("FAULT_SLOWER", "0")),
            delay=float(environment.get("FAULT_DELAY", "0")),
            stall=float(environment.get("FAULT_STALL", "0")),
            stall_every=float(environment.get("FAULT_STALL_EVERY", "4")),
            hang_after=int(environment.get("FAULT_HANG_AFTER", NEVER)),
            crash_on=environment.get("FAULT_CRASH_ON", "").encode(),
        )


class Slow:
    """Makes predictions slow where the server measures them: a slow client would not count.

    `source`: of random numbers.
    """

    def __init__(self, faults: Faults, source: random.Random) -> None:
        self._faults, self._random = faults, source
        self._stall_ends = 0.0  # of the next one, or the present one

    def slowed(self, predict: Predict) -> Predict:
        """`DataPlane.predict`, which takes longer for callers."""

        async def slow(
            plane: DataPlane,
            rows: Rows,
            entry: str,
            probe: bool,
            disconnected: Callable[[], Awaitable[object]],
            params: Params | None = None,
        ) -> Prediction | Rejection | None:
            began = time.perf_counter()
            prediction = await predict(plane, rows, entry, probe, disconnected, params)
            if not probe:
                now = time.perf_counter()
                await asyncio.sleep((now - began) * self._faults.slower + self._faults.delay + self.stalled_for(now))
            return prediction

        return slow

    def stalled_for(self, now: float) -> float:
        """The seconds until the present stall is over; 0 between two of them."""
        faults = self._faults
        if not faults.stall:
            return 0.0
        while self._stall_ends <= now:
            self._stall_ends = now + self._random.expovariate(1 / faults.stall_every) + faults.stall
        left = self._stall_ends - now
        return left if left <= faults.stall else 0.0


class Faulty:
    """An ASGI application that adds failures to another one. `source`: of random numbers."""

    def __init__(self, app: ASGIApp, faults: Faults, source: random.Random) -> None:
        self._app, self._faults, self._random = app, faults, source
        self._predictions = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        probe = any(name == PROBE_HEADER for name, _ in scope["headers"])
        if probe or scope["path"].rstrip("/") != "/predict":
            await self._app(scope, receive, send)
        else:
            await self._predict(scope, receive, send)

    async def _predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        faults = self._faults
        self._predictions += 1
        hangs = self._predictions > faults.hang_after
        fails = self._random.random() < faults.errors

        async def faulty_receive() -> Message:
            if hangs:
                await asyncio.Event().wait()
            if fails:
                raise RuntimeError("a planned failure")
            message = await receive()
            if faults.crash_on and faults.crash_on in message.get("body", b""):
                os._exit(1)
            return message

        await self._app(scope, faulty_receive, send)


def main() -> int:
    """The command line of the server. `lifecycle.make_server` is replaced before the server calls it."""
    faults, make_server = Faults.of(os.environ), lifecycle.make_server

    def faulty_server(app: ASGIApp, at_once: AtOnce | None = None) -> lifecycle.Server:
        """Answers nothing at once, because that would go past the faults."""
        return make_server(Faulty(app, faults, random.Random()))

    lifecycle.make_server = faulty_server
    DataPlane.predict = Slow(faults, random.Random()).slowed(DataPlane.predict)  # type: ignore[method-assign, assignment]
    return server.main(sys.argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main())
