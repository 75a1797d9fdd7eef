"""The alert rules: tested by promtool, and each fires and resolves through a real Prometheus and Alertmanager."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.api_server import ROOT
from dev.processes import free_ports, running
from dev.programs import find_program
from tests.contract.conftest import PATIENCE
from tests.contract.prometheus_server import prometheus_in

ALERTS = sorted((ROOT / "manifests" / "alerts").glob("*.yaml"))
NAMES = {
    rule["alert"]
    for file in ALERTS
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def promtool(*arguments: str) -> None:
    done = subprocess.run([find_program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    """As Prometheus reads them, without a warning."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, ALERTS))


@pytest.mark.parametrize("file", ALERTS, ids=[file.stem for file in ALERTS])
def test_each_alert_fires_at_its_time_with_its_text(file: Path) -> None:
    """And not before; `tests/alerts` has the series and what is expected."""
    promtool("test", "rules", str(ROOT / "tests" / "alerts" / file.name))


def test_each_alert_has_a_test() -> None:
    """That says when it fires."""
    tested = set()
    for file in ALERTS:
        written = yaml.safe_load((ROOT / "tests" / "alerts" / file.name).read_text(encoding="utf-8"))
        cases = [case for test in written["tests"] for case in test["alert_rule_test"]]
        tested |= {case["alertname"] for case in cases if case["exp_alerts"]}
    assert tested == NAMES


def soon(rules: str) -> str:
    """Rules that look at seconds, not at minutes and hours."""
    rules = re.sub(r"\[\w+\]", "[10s]", re.sub(r"offset \w+", "offset 10s", rules))
    return re.sub(r"for: \w+", "for: 2s", rules)


@dataclass
class World:
    """Everything that the alerts look at. While it is `bad`, all of it is."""

    bad: bool = False
    began: float = field(default_factory=time.monotonic)
    bad_since: float = 0.0
    bad_seconds: float = 0.0

    def turn(self, bad: bool) -> None:
        if self.bad:
            self.bad_seconds += time.monotonic() - self.bad_since
        self.bad, self.bad_since = bad, time.monotonic()

    def metrics(self) -> str:
        """What a scrape gets. Counters go on from where they were."""
        now = time.monotonic()
        bad = self.bad_seconds + (now - self.bad_since if self.bad else 0.0)
        good = now - self.began - bad
        swapped = bad // 24 * 12 + max(bad % 24 - 12, 0)  # the classes change places each 12 seconds
        of = 'namespace="models",name="iris"'
        model = 'namespace="models",model_deployment="iris",model="iris",version="1",revision="r"'
        lines = [
            f"sluice_leader {int(not self.bad)}",
            f'sluice_queue_oldest_age_seconds{{lane="rollouts"}} {90 if self.bad else 1}',
            f"sluice_run_records_waiting {int(self.bad)}",
            f"sluice_reconcile_failures_total {2 * bad}",
            f'sluice_run_duration_seconds_count{{outcome="Rejected"}} {bad}',
            f'sluice_request_errors_total{{dependency="mlflow",kind="timeout"}} {9 * bad}',
            f'sluice_request_duration_seconds_count{{dependency="mlflow",operation="get"}} {10 * (bad + good)}',
            f'ml_requests_total{{{model},code="200"}} {100 * good + 90 * bad}',
            f'ml_requests_total{{{model},code="500"}} {10 * bad}',
            f'ml_request_duration_seconds_bucket{{{model},le="0.1"}} {100 * good}',
            f'ml_request_duration_seconds_bucket{{{model},le="1"}} {100 * (good + bad)}',
            f'ml_request_duration_seconds_bucket{{{model},le="+Inf"}} {100 * (good + bad)}',
            f"ml_feedback_total{{{model}}} {100 * (good + bad)}",
            f"ml_feedback_correct_total{{{model}}} {95 * good + 20 * bad}",
            f"ml_feedback_pending{{{model}}} {42 if self.bad else 0}",
            f'ml_predictions_total{{{model},class="setosa"}} {500 * good + 900 * (bad - swapped) + 100 * swapped}',
            f'ml_predictions_total{{{model},class="virginica"}} {500 * good + 100 * (bad - swapped) + 900 * swapped}',
            f'ml_feature_bin_total{{{model},feature="width",bin="1"}} {600 * good + 100 * bad}',
            f'ml_feature_bin_total{{{model},feature="width",bin="2"}} {400 * good + 900 * bad}',
            f'ml_feature_reference_ratio{{{model},feature="width",bin="1"}} 0.6',
            f'ml_feature_reference_ratio{{{model},feature="width",bin="2"}} 0.4',
        ]
        if self.bad:
            lines += [
                f'sluice_model_deployment_paused{{{of},reason="PausedByObjective"}} 1',
                f'sluice_model_deployment_stalled{{{of},reason="HostTaken"}} 1',
                f'sluice_run_verdict{{{of},result="Undecided",reason="MetricsUnavailable"}} 1',
            ]
        return "\n".join([*lines, ""])


@dataclass
class Pager:
    """What Alertmanager has sent, by alert: its newest notification."""

    sent: dict[str, dict[str, Any]] = field(default_factory=dict)

    def are(self, status: str) -> set[str]:
        return {name for name, alert in self.sent.items() if alert["status"] == status}


def serve(world: World, pager: Pager) -> ThreadingHTTPServer:
    """The target of Prometheus, and the webhook of Alertmanager."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(world.metrics().encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            pager.sent |= {alert["labels"]["alertname"]: alert for alert in body["alerts"]}
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def paging(tmp_path: Path) -> Iterator[tuple[World, Pager]]:
    """A world that Prometheus scrapes each second, and the pager that Alertmanager calls."""
    world, pager = World(), Pager()
    server = serve(world, pager)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours, (alertmanager,) = server.server_address[1], free_ports(1)
    for file in ALERTS:
        (tmp_path / file.name).write_text(soon(file.read_text(encoding="utf-8")))
    scraped = {"job_name": "world", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{ours}"]}]}
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [file.name for file in ALERTS],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
        "scrape_configs": [scraped],
    }
    route = {"receiver": "pager", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    webhook = {"url": f"http://127.0.0.1:{ours}/", "send_resolved": True}
    (tmp_path / "alertmanager.yml").write_text(
        yaml.safe_dump({"route": route, "receivers": [{"name": "pager", "webhook_configs": [webhook]}]})
    )
    command = [
        *(find_program("alertmanager"), "--config.file=alertmanager.yml", "--storage.path=kept"),
        *(f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address="),
    ]
    with (
        running(command, tmp_path / "alertmanager.log"),
        prometheus_in(tmp_path, configuration, "--rules.alert.resend-delay=1s"),
    ):
        yield world, pager
    server.shutdown()
    server.server_close()


def wait_for(condition: Callable[[], bool], says: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, says()
        time.sleep(0.2)


def test_each_alert_fires_and_resolves(paging: tuple[World, Pager]) -> None:
    """With a text that has no gaps, and a runbook. The times are cut to seconds; promtool tests the real ones."""
    world, pager = paging
    world.turn(bad=True)
    wait_for(lambda: pager.are("firing") == NAMES, lambda: NAMES - pager.are("firing"))
    for name, alert in pager.sent.items():
        texts = alert["annotations"]
        assert set(texts) == {"summary", "description", "runbook"}, name
        assert not re.search(r"<no value>|\{\{|%!|NaN|/ |/$", texts["summary"] + texts["description"]), texts
    world.turn(bad=False)
    wait_for(lambda: pager.are("resolved") == NAMES, lambda: NAMES - pager.are("resolved"))
