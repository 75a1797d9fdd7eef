"""Recorded scrapes of other model servers, given to a real Prometheus as if they had happened a while ago.

Between two recorded scrapes every counter grows evenly. So three files are enough for a quarter of an hour.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.contract.prometheus_server import prometheus_in

Labels = dict[str, str]
Job = dict[str, Any]

SCRAPES = ("start", "healthy", "bad")  # that were recorded: before any request, and after each period
PERIOD = 300  # seconds between two of them; after the last one it is a period without requests
INTERVAL = 15  # seconds between the samples that Prometheus gets

_PATIENCE = 60.0  # seconds
_SCRAPE_SECONDS = 2  # between two requests of Prometheus; the first one gets everything


@dataclass(frozen=True)
class Target:
    """What Prometheus scrapes: a pod of a revision, or a gateway."""

    recording: Path  # the folder with its scrapes
    labels: Labels  # that service discovery gives it
    relabelling: Sequence[dict[str, Any]] = ()

    @property
    def path(self) -> str:
        return f"/{self.recording.parent.name}/{self.recording.name}"

    def job(self, address: str) -> Job:
        """The scrape job for this target."""
        labels = {**self.labels, "__metrics_path__": self.path}
        return {
            "job_name": self.path.strip("/"),
            "relabel_configs": list(self.relabelling),
            "static_configs": [{"targets": [address], "labels": labels}],
        }


def exposition(recording: Path, began: float) -> str:
    """The whole recording as one text, in which each sample has its time. `began`: the first one (unix seconds)."""
    scrapes = [_values((recording / f"{name}.txt").read_text()) for name in SCRAPES]
    moments = [(began, scrapes[0])]
    for number, (before, after) in enumerate(pairwise([*scrapes, scrapes[-1]])):
        for second in range(INTERVAL, PERIOD + INTERVAL, INTERVAL):
            share = second / PERIOD
            was = {series: before.get(series, 0.0) for series in after}
            grown = {series: was[series] + share * (value - was[series]) for series, value in after.items()}
            moments.append((began + number * PERIOD + second, grown))
    lines = (f"{series} {value!r} {at * 1000:.0f}\n" for at, values in moments for series, value in values.items())
    return "".join(lines)


def _values(text: str) -> dict[str, float]:
    """The value by series, from the text format of Prometheus without times."""
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, _, value in samples}


@contextmanager
def prometheus(targets: Sequence[Target], began: float, folder: Path) -> Iterator[str]:
    """The URL of a Prometheus that has read all recordings."""
    bodies = {target.path: exposition(target.recording, began).encode() for target in targets}
    with _serving(bodies) as (address, wait_until_read):
        timing = {"scrape_interval": f"{_SCRAPE_SECONDS}s", "scrape_timeout": f"{_SCRAPE_SECONDS}s"}
        jobs = [target.job(address) for target in targets]
        with prometheus_in(folder, {"global": timing, "scrape_configs": jobs}) as url:
            wait_until_read()
            yield url


@contextmanager
def _serving(bodies: dict[str, bytes]) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a server of these texts, and a function that waits until Prometheus has stored all of them.

    It has stored a text when it asks for the second time.
    """
    requests = dict.fromkeys(bodies, 0)
    stored = {path: threading.Event() for path in bodies}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests[self.path] += 1
            if requests[self.path] > 1:
                stored[self.path].set()
            body = bodies[self.path] if requests[self.path] == 1 else b""
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...

    def wait_until_read() -> None:
        for path, event in stored.items():
            assert event.wait(_PATIENCE), f"Prometheus did not ask for {path} twice within {_PATIENCE:.0f} s"

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", wait_until_read
        finally:
            server.shutdown()
            thread.join()
