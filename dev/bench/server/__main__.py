"""`python -m dev.bench.server`: the model server's share of a constant reply, and `mlflow models serve`, in one run.

The server is on one core and the load on another; before each measurement the constant reply is measured in the same
way. Loopback only, bounded in time, and it ends what it starts. Prints two tables in markdown.
"""

import argparse
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from dev.bench.server import models, servers, table, usage, wrk
from dev.bench.server.models import LOGISTIC, Model
from dev.bench.server.servers import Running, Server
from dev.bench.server.table import Point, Start
from dev.bench.server.wrk import Load

_ONE, _MANY = 1, 64
_ROWS = (_ONE, _MANY)
_LOADS = ((_ONE, 1), (_ONE, 32), (_MANY, 32))  # rows of a request, connections
_LOAD_OF_VARIANTS = ((_ONE, 32),)


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
def _collector() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class Bench:
    """Measures servers one after the other against the floor, which runs all the time on the same core."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self.points: list[Point] = []
        self.starts: list[Start] = []

    def measure(self, floor: Running, server: Server, kinds: Sequence[tuple[int, int]]) -> None:
        """One server under each kind of load; in each round first the floor."""
        with servers.running(server, self._options.cores[0], self._folder) as running:
            self._load(running, _ONE, 8)  # the first requests find cold caches
            for rows, connections in kinds:
                pairs = [
                    (self._load(floor, rows, connections), self._load(running, rows, connections))
                    for _ in range(self._options.rounds)
                ]
                self.points.append(Point(server.name, server.model, rows, connections, pairs))
                print(table.loads([self.points[-1]]).splitlines()[-1], file=sys.stderr, flush=True)
            memory = usage.resident_bytes(running.process)
            self.starts.append(Start(server.name, server.model, running.ready, memory))

    def _load(self, running: Running, rows: int, connections: int) -> Load:
        body, core = running.server.bodies[rows], self._options.cores[1]
        headers = running.server.headers
        return wrk.load(
            running.url, body, headers, connections, self._options.seconds, core, running.process, self._folder
        )


def _all(bench: Bench, made: dict[str, Model], options: argparse.Namespace, folder: Path, collector: str) -> None:
    rows = {count: made[LOGISTIC].plain(count) for count in _ROWS}
    with servers.running(servers.floor(rows), options.cores[0], folder) as floor:
        for model in made.values():
            bench.measure(floor, servers.ours(model, _ROWS, folder, collector), _LOADS)
        for without in filter(None, servers.VARIANTS):
            server = servers.ours(made[LOGISTIC], _ROWS, folder, collector, without)
            bench.measure(floor, server, _LOAD_OF_VARIANTS)
        for model in () if options.only_ours else made.values():
            bench.measure(floor, servers.mlflow(model, _ROWS, folder), _LOADS)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.server", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each kind of load (default: %(default)s)")
    parser.add_argument("--only-ours", action="store_true", help="leave out mlflow models serve")
    options = parser.parse_args(argv)
    options.cores = sorted(os.sched_getaffinity(0))[:2]
    if len(options.cores) < 2:
        parser.error("two cores are needed: one for the server, one for the load")
    wrk.check()
    with TemporaryDirectory() as name, _collector() as collector:
        folder = Path(name)
        bench = Bench(options, folder)
        _all(bench, models.make(folder), options, folder, collector)
    print(f"{table.loads(bench.points)}\n\n{table.starts(bench.starts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
