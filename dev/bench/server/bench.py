"""Measures servers one after the other against the floor, and takes the traces that they send meanwhile."""

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from dev.bench.server import servers, table, usage, wrk
from dev.bench.server.servers import Running, Server
from dev.bench.server.table import Failure, Point, Start
from dev.bench.server.wrk import Load

ONE, MANY = 1, 64
ROWS = (ONE, MANY)


class _Collector(BaseHTTPRequestHandler):
    """Takes whatever a tracing library sends."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def collector() -> Iterator[str]:
    """The address of a collector that lasts for the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def options(parser: argparse.ArgumentParser, argv: Sequence[str], seconds: int, rounds: int) -> argparse.Namespace:
    """What was asked for, with `cores`. Exits with a sentence if the benchmark cannot run here."""
    parser.add_argument("--seconds", type=int, default=seconds, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=rounds, help="of each kind of load (default: %(default)s)")
    found = parser.parse_args(argv)
    found.cores = sorted(os.sched_getaffinity(0))[:2]
    if len(found.cores) < 2:
        parser.error("two cores are needed: one for the server, one for the load")
    wrk.check()
    return found


class Bench:
    """Measures servers one after the other against the floor, which runs all the time on the same core."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self.points: list[Point | Failure] = []
        self.starts: list[Start] = []

    def tables(self) -> str:
        """All that was measured, in markdown."""
        return f"{table.loads(self.points)}\n\n{table.starts(self.starts)}"

    @contextmanager
    def running(self, server: Server) -> Iterator[Running]:
        """A server on the core of the servers."""
        with servers.running(server, self._options.cores[0], self._folder) as running:
            yield running

    def measure(self, floor: Running, server: Server, kinds: Sequence[tuple[int, int]]) -> None:
        """One server under each kind of load, rows and connections; in each round first the floor."""
        with self.running(server) as running:
            self._load(running, ONE, 8)  # the first requests find cold caches
            for rows, connections in kinds:
                pairs = [
                    (self._load(floor, rows, connections), self._load(running, rows, connections))
                    for _ in range(self._options.rounds)
                ]
                self._add(Point(server.name, server.model, rows, connections, pairs))
            memory = usage.resident_bytes(running.process)
            self.starts.append(Start(server.name, server.model, running.ready, memory))

    def attempt(self, floor: Running, server: Server, kinds: Sequence[tuple[int, int]]) -> None:
        """`measure`, but a server that does not start or refuses requests is a row that says so."""
        try:
            self.measure(floor, server, kinds)
        except (RuntimeError, subprocess.SubprocessError) as error:
            self.fail(server.name, server.model, str(error))

    def fail(self, name: str, model: str, text: str) -> None:
        """A row for what was not measured; all of the reason goes to the error output."""
        print(text, file=sys.stderr)
        self._add(Failure(name, model, text))

    def _add(self, row: Point | Failure) -> None:
        self.points.append(row)
        print(table.loads([row]).splitlines()[-1], file=sys.stderr, flush=True)

    def _load(self, running: Running, rows: int, connections: int) -> Load:
        body, core = running.server.bodies[rows], self._options.cores[1]
        headers = running.server.headers
        try:
            return wrk.load(
                running.url, body, headers, connections, self._options.seconds, core, running.process, self._folder
            )
        except RuntimeError as error:
            asked = f"{running.server.name}, rows {rows}, connections {connections}"
            raise RuntimeError(f"{asked}: {error}") from error
