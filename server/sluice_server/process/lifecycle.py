"""From listening sockets to the last response: uvicorn, and a drain on SIGTERM that fails nobody.

Kubernetes sends SIGTERM and takes the pod out of its Services at the same time, so requests still arrive for a while.
uvicorn would close at once; here the pod reports "not ready", keeps accepting and answering with `Connection: close`,
and only after the drain delay closes its sockets and finishes what is in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from sluice_server.inference.readiness import Phase, Readiness
from sluice_server.process.protocol import AtOnce, Protocol

KEEP_ALIVE = 120  # seconds; longer than gateways keep idle connections, so that the gateway closes first
FINISH = 15  # seconds for what is in flight after the sockets were closed
BACKLOG = 2048
logger = logging.getLogger("sluice.lifecycle")


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: the drain decides when it stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Drain:
    """What SIGTERM and SIGINT do: the first starts the drain, a second ends it at once."""

    def __init__(self, server: Server, readiness: Readiness, delay: float) -> None:
        self._server = server
        self._readiness = readiness
        self._delay = delay

    def begin(self) -> None:
        """Not ready from now on; still answering until the delay is over."""
        if not self._readiness.ready or self._delay == 0:  # nobody sends requests to a pod that was not ready
            self.end()
            return
        self._readiness.reached(Phase.DRAINING, "the pod is being stopped")
        logger.info("draining: answering for another %g s, then closing", self._delay)
        asyncio.get_running_loop().call_later(self._delay, self.end)

    def hand_over(self) -> None:
        """Another process takes new connections from now on. Who is here is answered until the delay is over."""
        for listener in getattr(self._server, "servers", ()):  # absent before it listens
            listener.close()
        self._readiness.leaving = True
        asyncio.get_running_loop().call_later(self._delay, self.end)

    def end(self) -> None:
        """Close the sockets and finish what is in flight."""
        self._readiness.reached(Phase.DRAINING, "the pod is being stopped")
        self._server.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def make_server(app: ASGIApp, at_once: AtOnce | None = None) -> Server:
    """The one uvicorn of the process; it listens on whatever sockets `serve` is given."""
    return Server(
        uvicorn.Config(
            app,
            http=partial(Protocol, at_once=at_once),  # type: ignore[arg-type]  # it is only called
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=FINISH,
        )
    )


async def serve(server: Server, sockets: list[socket.socket], drain: Drain) -> None:
    """Serves until the drain is over."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain.begin)
    await server.serve(sockets)
