"""Each query of each dashboard gets data from a real Prometheus, with series like those of a cluster with rollouts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.conftest import PATIENCE
from tests.contract.prometheus_server import prometheus_in
from tests.contract.test_alerts import ALERTS
from tests.dashboard_queries import Asked, asked, found
from tests.unit.dashboards.exported import series

VALUES = {"namespace": "models", "model_deployment": "iris", "__rate_interval": "10s"}
OBJECT = {"namespace": "models", "name": "iris"}
MODEL = {"model": "iris", "version": "1", "revision": "aaa"}
POD = {"namespace": "models", "pod": "iris-aaa-1", "pod_uid": "u", "model_deployment": "iris"}
TARGETS = {"sluice-operator": {"pod": "operator-1"}, "sluice": POD, "sluice-store": {}}  # by job
Lines = Iterator[tuple[str, Mapping[str, str], float]]


def histogram(name: str, labels: Mapping[str, str], count: float) -> Lines:
    for bound in ("0.1", "1", "+Inf"):
        yield f"{name}_bucket", {**labels, "le": bound}, count / 2 if bound == "0.1" else count
    yield f"{name}_count", labels, count
    yield f"{name}_sum", labels, count / 10


def run(phase: str, canary: str) -> Lines:
    """The series of a rollout under way."""
    yield "sluice_run_info", {**OBJECT, "phase": phase, "canary": canary, "stable": "aaa"}, 1
    yield "sluice_run_started_timestamp_seconds", OBJECT, time.time() - 5
    for name, value in (("step", 1), ("steps", 2), ("weight_desired_ratio", 0.1), ("weight_live_ratio", 0.1)):
        yield f"sluice_run_{name}", OBJECT, value
    yield "sluice_run_verdict", {**OBJECT, "result": "Undecided", "reason": "NotEnoughRequests"}, 1
    for claim in ("worse", "not_worse"):
        yield "sluice_run_evidence_log", {**OBJECT, "objective": "errors", "claim": claim}, 1.5
        yield "sluice_run_evidence_threshold_log", {**OBJECT, "objective": "errors", "claim": claim}, 3


def rollout(second: float) -> tuple[str, str] | None:
    """Phase and canary: one takes over, one is rolled back, one is withdrawn, and so on from the beginning."""
    parts = (
        *((3, ("Stepping", "bbb")), (6, ("Watching", "bbb")), (8, None)),
        *((11, ("Stepping", "ccc")), (14, ("RollingBack", "ccc")), (16, None)),
        *((19, ("Stepping", "ddd")), (21, None)),
    )
    return next(under_way for until, under_way in parts if second % 21 < until)


def operator(second: float) -> Lines:
    """`second`: since the world began."""
    yield "sluice_build_info", {"version": "1"}, 1
    yield "sluice_leader", {}, 1
    yield "process_start_time_seconds", {}, time.time() - 3600
    yield "process_cpu_seconds_total", {}, second / 10
    yield "process_resident_memory_bytes", {}, 1e8
    yield "sluice_model_deployments", {"phase": "Stable"}, 3
    yield "sluice_model_deployment_stalled", {**OBJECT, "reason": "HostTaken"}, 1
    yield "sluice_model_deployment_paused", {**OBJECT, "reason": "PausedByObjective"}, 1
    yield from run(*under_way) if (under_way := rollout(second)) else ()
    for outcome in ("Promoted", "Rejected"):
        yield "sluice_runs_total", {"outcome": outcome, "reason": "Because"}, second
        yield from histogram("sluice_run_duration_seconds", {"outcome": outcome}, second)
    yield "sluice_queue_depth", {"lane": "rollouts"}, 2
    yield "sluice_queue_oldest_age_seconds", {"lane": "rollouts"}, 3
    yield from histogram("sluice_queue_wait_seconds", {"lane": "rollouts"}, second)
    yield from histogram("sluice_reconcile_duration_seconds", {}, second)
    yield from histogram("sluice_reconcile_stage_duration_seconds", {"stage": "read"}, second)
    yield "sluice_reconcile_failures_total", {}, second
    yield "sluice_run_records_waiting", {}, 1
    yield from histogram("sluice_request_duration_seconds", {"dependency": "mlflow", "operation": "get"}, second)
    yield "sluice_request_errors_total", {"dependency": "mlflow", "kind": "timeout"}, second / 2


def pods(second: float) -> Lines:
    asked_for, fed = {**MODEL, "entry": "gateway"}, {"model": "iris", "revision": "aaa", "entry": "gateway"}
    yield "process_cpu_seconds_total", {}, second / 10
    yield "process_resident_memory_bytes", {}, 1e8
    yield "ml_model_info", {**MODEL, "uri": "models:/iris/1", "run_id": "x", "flavor": "sklearn", "runtime": "skops"}, 1
    yield "ml_model_accuracy", MODEL, 0.96
    yield "ml_model_training_seconds", MODEL, 90
    for code, rate in (("200", 100), ("500", 10)):
        yield "ml_requests_total", {**asked_for, "code": code}, rate * second
    yield from histogram("ml_request_duration_seconds", asked_for, 100 * second)
    yield "ml_requests_limited_total", asked_for, second
    yield "ml_predictions_total", {**asked_for, "class": "setosa"}, 100 * second
    for name, rate in (
        ("feedback", 100),
        ("feedback_correct", 90),
        ("feedback_repeats", 1),
        ("feedback_refused", 1),
        ("feedback_absolute_error", 40),
    ):
        yield f"ml_{name}_total", fed, rate * second
    yield "ml_feedback_pending", {}, 3
    yield "ml_kept_rows_total", {"model": "iris", "revision": "aaa", "result": "sent"}, second
    for name, ratio, rate in (("0 to 1", 0.6, 500), ("missing", 0.4, 500)):
        yield "ml_feature_bin_total", {**MODEL, "feature": "width", "bin": name}, rate * second
        yield "ml_feature_reference_ratio", {**MODEL, "feature": "width", "bin": name}, ratio


def store(second: float) -> Lines:
    yield "sluice_store_requests_total", {"collection": "labels", "method": "PUT", "result": "ok"}, second
    for name, labels, value in histogram(
        "sluice_store_request_duration_seconds", {"collection": "labels", "method": "PUT"}, second
    ):
        if name.endswith("_bucket"):
            yield name, labels, value
    yield "sluice_store_labels_total", {"result": "counted"}, second
    yield "sluice_store_kept_bytes", {"collection": "models", "namespace": "models"}, 1e9
    yield "sluice_store_kept_limit_bytes", {"collection": "models"}, 2e9


EXPORTERS: Mapping[str, Callable[[float], Lines]] = {"sluice-operator": operator, "sluice": pods, "sluice-store": store}


@pytest.mark.parametrize("job", EXPORTERS)
def test_the_world_has_the_labels_of_the_real_one(job: str) -> None:
    """Or the queries would find here what they do not find in a cluster."""
    lines = [line for second in (1, 5, 13) for line in EXPORTERS[job](second)]
    assert {
        name: {*labels, *TARGETS[job], "job", "instance"} for name, labels, _ in lines if name[:8] != "process_"
    } == {name: series()[name] for name, _, _ in lines if name[:8] != "process_"}


def exposition(job: str, second: float) -> str:
    """What a scrape of the job gets."""
    text = []
    for name, labels, value in EXPORTERS[job](second):
        written = ",".join(f'{label}="{of}"' for label, of in labels.items())
        text.append(f"{name}{{{written}}} {value}")
    return "\n".join([*text, ""])


@dataclass(frozen=True)
class Target:
    """What Prometheus scrapes: a path for each job."""

    began: float = field(default_factory=time.time)

    def server(self) -> ThreadingHTTPServer:
        began = self.began

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(exposition(self.path.strip("/"), time.time() - began).encode())

            def log_message(self, format: str, *args: object) -> None: ...

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def configuration(address: str) -> dict[str, Any]:
    jobs = [
        {
            "job_name": job,
            "metrics_path": f"/{job}",
            "honor_labels": True,
            "static_configs": [{"targets": [address], "labels": labels}],
        }
        for job, labels in TARGETS.items()
    ]
    timing = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return {"global": timing, "rule_files": [file.name for file in ALERTS], "scrape_configs": jobs}


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[tuple[str, float]]:
    """Its address, and when its first samples are from.

    The rules are those of manifests/alerts, but for one: the past that it compares with is a second ago, not a day.
    """
    target = Target()
    server = target.server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for file in ALERTS:
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8").replace("offset 1d", "offset 1s"))
    with prometheus_in(tmp_path, configuration(f"127.0.0.1:{server.server_address[1]}")) as url:
        yield url, target.began
    server.shutdown()
    server.server_close()


def test_each_query_finds_something(prometheus: tuple[str, float]) -> None:
    """At some moment of rollouts that take over, are rolled back, and are withdrawn."""
    url, began = prometheus
    open_ones, until = list(asked()), time.monotonic() + PATIENCE
    with httpx.Client(base_url=url, trust_env=False) as client:

        def finds_nothing(query: Asked) -> bool:
            times: dict[str, str | float] = {"start": began, "end": time.time(), "step": "1s"}
            answer = client.get("/api/v1/query_range", params={"query": query.sent(VALUES), **times})
            assert answer.status_code == 200, f"{query.where}: {answer.text}"
            return not found(answer.json())

        while open_ones := [query for query in open_ones if finds_nothing(query)]:
            assert time.monotonic() < until, [query.where for query in open_ones]
            time.sleep(0.5)
