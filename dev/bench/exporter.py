"""`python -m dev.bench.exporter PORT BEGAN`: the metrics of the model servers of many runs, from one process.

`/run3` is one scrape of all six pods of the run `run3`, at 50 requests per second. `/past` is a run that got its first
traffic at BEGAN (unix seconds). Its first ten or so scrapes have old samples with their times: six hours of stable's
pods, and then the pods of both revisions.
"""

import sys
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from prometheus_client import generate_latest

from sluice_server.http.dialects import CODES
from sluice_server.inference.metrics import Metrics
from sluice_server.model.identity import Identity
from sluice_server.model.origin import Origin

PAST = "past"
NAMESPACE = "models"
RATES = {"canary": 5.0, "stable": 45.0}  # requests per second by role
PODS = 3  # of each revision
SCRAPE_SECONDS = 2
_BASELINE_SECONDS, _BASELINE_STEP = 6 * 3600.0, 15.0
_PER_SCRAPE = 120  # times of the past for which one scrape has samples
_RUN, _REVISION = "@RUN@", "@REVISION@"  # placeholders in the series that all model servers have
_MEAN_SECONDS = 0.04  # of a request; times are exponential
_FAILED, _LABELLED, _CORRECT = 0.001, 0.2, 0.19  # shares of requests


class Pods:
    """The pods of one revision of a run; they started at `started` (unix seconds)."""

    def __init__(self, run: str, role: str, started: float) -> None:
        self._started, self._rate = started, RATES[role] / PODS
        names = [name.replace(_RUN, run).replace(_REVISION, revision(run, role)) for name, _ in _new_series()]
        pods = range(PODS)
        lines = [f"{_with_target(series, run, role, number)} %d" for number in pods for series in names]
        growth = [_per_request(series) for _ in pods for series in names]
        base = [value for _ in pods for _, value in _new_series()]
        self._lines = "\n".join(lines)
        self._growth, self._base = np.array(growth), np.array(base)

    def scraped(self, at: float, stamp: str = "") -> str:
        """The text of a scrape `at` a time (unix seconds). `stamp` follows each value."""
        values = np.floor(self._base + self._growth * self._rate * (at - self._started))
        return (self._lines % tuple(values.tolist())).replace("\n", f"{stamp}\n") + f"{stamp}\n"


class Past:
    """A run that began earlier. Its scrapes begin with stable's baseline and then catch up with the present."""

    def __init__(self, began: float) -> None:
        self._began, self._next = began, began - _BASELINE_SECONDS
        self._stable = Pods(PAST, "stable", self._next - SCRAPE_SECONDS)
        self._canary = Pods(PAST, "canary", began - SCRAPE_SECONDS)

    def scraped(self, at: float) -> str:
        """The next samples, with their times, up to `at` (unix seconds)."""
        moments: list[float] = []
        while len(moments) < _PER_SCRAPE and self._next + SCRAPE_SECONDS <= at:
            moments.append(self._next)
            self._next += SCRAPE_SECONDS if self._next >= self._began else _BASELINE_STEP
        return "".join(self._at(moment) for moment in moments)

    def _at(self, moment: float) -> str:
        stamp = f" {moment * 1000:.0f}"
        canary = self._canary.scraped(moment, stamp) if moment >= self._began else ""
        return self._stable.scraped(moment, stamp) + canary


def revision(run: str, role: str) -> str:
    return f"{run}-{role}"


@cache
def _new_series() -> list[tuple[str, float]]:
    """The series of a model server that has just started, with their values."""
    metrics = Metrics(Identity(_RUN, "1", _REVISION), CODES)
    metrics.describe(f"models:/{_RUN}/1", "sklearn", "sklearn", Origin())
    metrics.expect_classes(("setosa", "versicolor", "virginica"))
    lines = [line for line in generate_latest(metrics.registry).decode().splitlines() if not line.startswith("#")]
    return [(series, float(value)) for series, _, value in (line.rpartition(" ") for line in lines)]


def _with_target(series: str, run: str, role: str, number: int) -> str:
    """The series with the labels that Prometheus adds for a pod of the cluster."""
    pod = f"{revision(run, role)}-{number}"
    target = (
        f'namespace="{NAMESPACE}",model_deployment="{run}",pod="{pod}",pod_uid="{uuid5(NAMESPACE_URL, pod)}",'
        f'instance="{pod}:8080"'
    )
    name, _, labels = series.partition("{")
    return f"{name}{{{target},{labels}" if labels else f"{name}{{{target}}}"


def _per_request(series: str) -> float:
    """By how much one request through the gateway increases a series."""
    name, _, labels = series.partition("{")
    if 'entry="gateway"' not in labels:
        return 0.0
    match name:
        case "ml_requests_total":
            return {"200": 1 - _FAILED, "500": _FAILED}.get(labels.split('"')[1], 0.0)
        case "ml_request_duration_seconds_bucket":
            return 1 - float(np.exp(-float(labels.partition('le="')[2].partition('"')[0]) / _MEAN_SECONDS))
        case "ml_requests_started_total" | "ml_request_duration_seconds_count":
            return 1.0
        case "ml_request_duration_seconds_sum":
            return _MEAN_SECONDS
        case "ml_predictions_total":
            return 1 / 3
        case "ml_feedback_total":
            return _LABELLED
        case "ml_feedback_correct_total":
            return _CORRECT
    return 0.0


def serve(port: int, began: float) -> None:
    """Serve the metrics until the process is ended."""
    past = Past(began)

    @cache
    def pods_of(run: str) -> tuple[Pods, ...]:
        return tuple(Pods(run, role, time.time()) for role in RATES)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            run, now = self.path.strip("/"), time.time()
            text = past.scraped(now) if run == PAST else "".join(pods.scraped(now) for pods in pods_of(run))
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Prometheus may close a connection when its scrape times out. That is not an error of the exporter."""

    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
