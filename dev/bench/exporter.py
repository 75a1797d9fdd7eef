"""`python -m dev.bench.exporter PORT BEGAN`: what the model servers of many runs would show, from one process.

`/run3` is one scrape of all six pods of the run `run3`, at 50 requests per second. `/past` first tells, in some ten
scrapes, what happened before: six hours of stable pods, and then both arms of a run that got its first traffic at BEGAN
(unix seconds).
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

PAST = "past"
NAMESPACE = "models"
RATES = {"canary": 5.0, "stable": 45.0}  # requests per second of each arm
PODS = 3  # of each arm
SCRAPE_SECONDS = 2
_RECORD_SECONDS, _RECORD_STEP = 6 * 3600.0, 15.0
_AT_ONCE = 120  # moments of the past that one scrape tells
_RUN, _REVISION = "@RUN@", "@REVISION@"  # in what all model servers show
_MEAN_SECONDS = 0.04  # of a request; times are exponential
_FAILED, _LABELLED, _CORRECT = 0.001, 0.2, 0.19  # shares of requests


class Pods:
    """The pods of one arm of a run, which began at `born` (unix seconds)."""

    def __init__(self, run: str, arm: str, born: float) -> None:
        self._born, self._rate = born, RATES[arm] / PODS
        series = [one.replace(_RUN, run).replace(_REVISION, revision(run, arm)) for one, _ in _shown()]
        pods = range(PODS)
        lines = [f"{_with_target(one, run, arm, number)} %d" for number in pods for one in series]
        growth = [_per_request(one) for _ in pods for one in series]
        base = [value for _ in pods for _, value in _shown()]
        self._lines = "\n".join(lines)
        self._growth, self._base = np.array(growth), np.array(base)

    def scraped(self, at: float, stamp: str = "") -> str:
        """The text at a moment; `stamp` follows each value."""
        values = np.floor(self._base + self._growth * self._rate * (at - self._born))
        return (self._lines % tuple(values.tolist())).replace("\n", f"{stamp}\n") + f"{stamp}\n"


class Past:
    """A run that has been going on, and that is told from the beginning of stable's record."""

    def __init__(self, began: float) -> None:
        self._began, self._told = began, began - _RECORD_SECONDS
        self._stable = Pods(PAST, "stable", self._told - SCRAPE_SECONDS)
        self._canary = Pods(PAST, "canary", began - SCRAPE_SECONDS)

    def scraped(self, at: float) -> str:
        """What comes next, up to now, with the time of each sample."""
        moments: list[float] = []
        while len(moments) < _AT_ONCE and self._told + SCRAPE_SECONDS <= at:
            moments.append(self._told)
            self._told += SCRAPE_SECONDS if self._told >= self._began else _RECORD_STEP
        return "".join(self._at(moment) for moment in moments)

    def _at(self, moment: float) -> str:
        stamp = f" {moment * 1000:.0f}"
        canary = self._canary.scraped(moment, stamp) if moment >= self._began else ""
        return self._stable.scraped(moment, stamp) + canary


def revision(run: str, arm: str) -> str:
    return f"{run}-{arm}"


@cache
def _shown() -> list[tuple[str, float]]:
    """Series and values of a model server that has just begun."""
    metrics = Metrics(Identity(_RUN, "1", _REVISION), CODES)
    metrics.describe(f"models:/{_RUN}/1", "sklearn", "sklearn")
    metrics.expect_classes(("setosa", "versicolor", "virginica"))
    lines = [line for line in generate_latest(metrics.registry).decode().splitlines() if not line.startswith("#")]
    return [(series, float(value)) for series, _, value in (line.rpartition(" ") for line in lines)]


def _with_target(series: str, run: str, arm: str, number: int) -> str:
    """With the labels that Prometheus gives to the pods that it finds in the cluster."""
    pod = f"{revision(run, arm)}-{number}"
    target = (
        f'namespace="{NAMESPACE}",model_deployment="{run}",pod="{pod}",pod_uid="{uuid5(NAMESPACE_URL, pod)}",'
        f'instance="{pod}:8080"'
    )
    name, _, labels = series.partition("{")
    return f"{name}{{{target},{labels}" if labels else f"{name}{{{target}}}"


def _per_request(series: str) -> float:
    """How much one request of the gateway adds to a series."""
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
    """Until the process is ended."""
    past = Past(began)

    @cache
    def pods_of(run: str) -> tuple[Pods, ...]:
        return tuple(Pods(run, arm, time.time()) for arm in RATES)

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
            """Whoever scrapes may have no time to wait: a missed scrape, which is no trouble of the exporter."""

    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
