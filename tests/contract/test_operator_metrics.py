"""A real Prometheus scrapes the operator's metrics: it takes all of them, and knows their types."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dev.processes import free_ports
from sluice_operator.telemetry import endpoint, metrics
from sluice_operator.telemetry.calls import measured
from sluice_operator.telemetry.object_series import Evidence, Rollouts
from sluice_operator.telemetry.waiting import Waiting
from tests.contract.conftest import PATIENCE
from tests.contract.prometheus_server import prometheus_in
from tests.unit.sluice_operator.build import NOW, OWNER, stepping


@contextmanager
def operator(port: int) -> Iterator[Rollouts]:
    """The endpoint of an operator that has one run under way."""
    rollouts, waiting = Rollouts(), Waiting(lambda: {"at_rest": [1.5], "rollouts": []})
    registry = CollectorRegistry()
    for collector in (metrics.REGISTRY, rollouts, waiting):
        registry.register(collector)
    status = stepping().status
    rollouts.saw(OWNER, status, status, NOW)
    rollouts.weighed("models", "iris", [Evidence("errors", "worse", 1.5, 4.0)])
    with measured("mlflow", "get") as call:
        call.answered(503)
    loop = asyncio.new_event_loop()
    serving = loop.create_task(endpoint.serve(registry, port, "127.0.0.1"))

    def serve() -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(serving)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield rollouts
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()


class Server:
    """A Prometheus, by its HTTP API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **parameters: str) -> Any:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url) as answer:
            return json.load(answer)["data"]

    def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        return [(one["metric"], float(one["value"][1])) for one in self.get("query", query=promql)["result"]]

    def becomes(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """The first answer that is not empty."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if result := self.query(promql):
                return result
            time.sleep(0.2)
        raise AssertionError(f"nothing for {promql}: {self.get('targets')}")


@pytest.fixture(scope="module")
def scraping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Rollouts]]:
    """A Prometheus that scrapes an operator every second, as docs/metrics.md says."""
    (ours,) = free_ports(1)
    job = {
        "job_name": "sluice-operator",
        "honor_labels": True,
        "static_configs": [{"targets": [f"127.0.0.1:{ours}"], "labels": {"namespace": "sluice-system"}}],
    }
    configuration = {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}
    with operator(ours) as rollouts, prometheus_in(tmp_path_factory.mktemp("prometheus"), configuration) as url:
        yield Server(url), rollouts


def test_the_metrics_are_scraped_and_keep_their_labels(scraping: tuple[Server, Rollouts]) -> None:
    """The namespace is that of the object, not that of the operator's pod."""
    server, _ = scraping
    ((labels, value),) = server.becomes('sluice_run_weight_live_ratio{namespace="models",name="iris"}')
    assert (value, labels["job"]) == (0.1, "sluice-operator")
    ((_, errors),) = server.query('sluice_request_errors_total{dependency="mlflow",kind="server_error"}')
    assert errors >= 1
    ((_, up),) = server.query("up")
    assert up == 1


def test_prometheus_knows_the_type_and_the_help_of_each_family(scraping: tuple[Server, Rollouts]) -> None:
    """So a dashboard offers rate() for counters."""
    server, _ = scraping
    server.becomes("sluice_build_info")
    known = {name: entries[0] for name, entries in server.get("metadata").items() if name.startswith("sluice_")}
    assert {entry["type"] for entry in known.values()} <= {"counter", "gauge", "histogram"}
    assert all(entry["help"] for entry in known.values())
    assert known["sluice_request_errors_total"]["type"] == "counter"
    assert known["sluice_reconcile_stage_duration_seconds"]["type"] == "histogram"


def test_series_of_a_deleted_object_are_stale_after_the_next_scrape(scraping: tuple[Server, Rollouts]) -> None:
    """An alert on them ends at once, and not after five minutes."""
    server, rollouts = scraping
    server.becomes('sluice_run_info{name="iris"}')
    rollouts.forget("models", "iris")
    server.becomes('absent(sluice_run_info{name="iris"})')
