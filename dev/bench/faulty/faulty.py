"""The model server behind a wrapper that makes it bad: `python -m faulty {fetch|serve}`.

Only predictions that came through the gateway are touched, never the operator's own probes. A fault lies between the
server's own application and its socket, so the server measures and counts it as if the model had it. The environment
chooses: FAULT_ERRORS (share of predictions that fail), FAULT_SLOWER (share of its time that an answer takes longer) and
FAULT_DELAY (seconds on top), FAULT_HANG_AFTER (predictions after which none is answered), FAULT_CRASH_ON (a text; a
request that holds it ends the process).
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice_server import __main__ as server
from sluice_server.http.asgi import PROBE_HEADER
from sluice_server.process import lifecycle

NEVER = sys.maxsize


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with this pod."""

    errors: float = 0.0
    slower: float = 0.0
    delay: float = 0.0
    hang_after: int = NEVER
    crash_on: bytes = b""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        return cls(
            errors=float(environment.get("FAULT_ERRORS", "0")),
            slower=float(environment.get("FAULT_SLOWER", "0")),
            delay=float(environment.get("FAULT_DELAY", "0")),
            hang_after=int(environment.get("FAULT_HANG_AFTER", NEVER)),
            crash_on=environment.get("FAULT_CRASH_ON", "").encode(),
        )


class Faulty:
    """An ASGI application around another one; `chance` gives numbers from 0 to 1."""

    def __init__(self, app: ASGIApp, faults: Faults, chance: random.Random) -> None:
        self._app, self._faults, self._chance = app, faults, chance
        self._predictions = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        probe = any(name == PROBE_HEADER for name, _ in scope["headers"])
        if probe or scope["path"].rstrip("/") != "/predict":
            await self._app(scope, receive, send)
        else:
            await self._predict(scope, receive, send)

    async def _predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        faults, began = self._faults, time.perf_counter()
        self._predictions += 1
        hangs = self._predictions > faults.hang_after
        fails = self._chance.random() < faults.errors

        async def faulty_receive() -> Message:
            if hangs:
                await asyncio.Event().wait()
            if fails:
                raise RuntimeError("a planned failure")
            message = await receive()
            if faults.crash_on and faults.crash_on in message.get("body", b""):
                os._exit(1)
            return message

        async def slower_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep((time.perf_counter() - began) * faults.slower + faults.delay)
            await send(message)

        await self._app(scope, faulty_receive, slower_send)


def main() -> int:
    """The server's own command line. Its serving part is imported later and finds the wrapped application."""
    faults, plain = Faults.of(os.environ), lifecycle.make_server
    lifecycle.make_server = lambda app: plain(Faulty(app, faults, random.Random()))
    return server.main(sys.argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main())
